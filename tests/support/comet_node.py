"""Real CometBFT nodes with the kvstore, each in two processes, without any of the product's own node tooling."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import urllib.parse
import urllib.request
from contextlib import ExitStack
from http.client import HTTPException
from typing import TYPE_CHECKING, Self
from urllib.error import HTTPError, URLError

from tests.support.ports import free_ports
from tests.support.processes import connect_to, python_module, run_process
from tests.support.tools import require_tool
from tests.support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

SETTINGS = {
    "timeout_commit": '"20ms"',
    "timeout_propose": '"1s"',
    "timeout_broadcast_tx_commit": '"60s"',
    "create_empty_blocks": "false",
    "addr_book_strict": "false",
    "allow_duplicate_ip": "true",
    "pex": "false",
}
"""What differs from `cometbft init` on every node: blocks come when there is something in them, and at once."""


def pick(answer: object, *path: str) -> str:
    """Return a text inside JSON."""
    for name in path:
        assert isinstance(answer, dict), f"expected an object with {name}, got {answer!r}"
        answer = answer[name]
    assert isinstance(answer, str), f"expected a text at {path}, got {answer!r}"
    return answer


class CometNode:
    """A home directory, and while it runs an application and a `cometbft` process."""

    def __init__(self, home: Path, transport: str = "unix", snapshot_interval: int = 1000) -> None:
        self.home = home
        self.snapshot_interval = snapshot_interval
        rpc, p2p, app = free_ports(3)
        self.rpc_address = f"127.0.0.1:{rpc}"
        self.p2p_address = f"127.0.0.1:{p2p}"
        self.app_address = f"unix://{home}/abci.sock" if transport == "unix" else f"tcp://127.0.0.1:{app}"
        self._processes = ExitStack()
        self.app: subprocess.Popen[bytes] | None = None
        self.comet: subprocess.Popen[bytes] | None = None
        self._run_cometbft("init")
        self.configure(
            SETTINGS
            | {
                "proxy_app": f'"{self.app_address}"',
                "rpc.laddr": f'"tcp://{self.rpc_address}"',
                "p2p.laddr": f'"tcp://{self.p2p_address}"',
            }
        )

    def _run_cometbft(self, *arguments: str) -> str:
        command = [require_tool("cometbft"), *arguments, "--home", str(self.home)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    @property
    def peer_address(self) -> str:
        """How other nodes name this one."""
        return f"{self._run_cometbft('show-node-id')}@{self.p2p_address}"

    def configure(self, settings: Mapping[str, str]) -> None:
        """Change settings of config.toml, named by their key or by `section.key` where the key alone is ambiguous."""
        path = self.home / "config" / "config.toml"
        text = path.read_text()
        for name, value in settings.items():
            section, _, key = name.rpartition(".")
            start = text.index(f"\n[{section}]\n") if section else 0
            head, tail = text[:start], text[start:]
            tail, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {value}", tail, count=1)
            assert count == 1, f"expected a setting {name}"
            text = head + tail
        path.write_text(text)

    def read_genesis(self) -> dict[str, object]:
        """Return the genesis file."""
        genesis = json.loads((self.home / "config" / "genesis.json").read_text())
        assert isinstance(genesis, dict)
        return genesis

    def write_genesis(self, genesis: Mapping[str, object]) -> None:
        """Replace the genesis file."""
        (self.home / "config" / "genesis.json").write_text(json.dumps(genesis))

    def start(self, **environment: str) -> None:
        """Start both processes, the application first."""
        app = python_module(
            "tests.support.checked_kvstore",
            self.app_address,
            str(self.home / "app"),
            str(self.snapshot_interval),
        )
        self.app = self._processes.enter_context(run_process(self.home / "app.log", *app))
        connect_to(self.app_address, self.app).close()
        comet = [require_tool("cometbft"), "start", "--home", str(self.home)]
        self.comet = self._processes.enter_context(
            run_process(self.home / "comet.log", *comet, **environment)
        )

    def kill(self) -> None:
        """End both processes at once, without any chance to tidy up."""
        self._processes.close()

    def is_running(self) -> bool:
        """Tell whether both processes run."""
        processes = (self.app, self.comet)
        return all(process is not None and process.poll() is None for process in processes)

    def call(self, method: str, **parameters: str) -> object:
        """Call the node's RPC, and return the result."""
        url = f"http://{self.rpc_address}/{method}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as response:
                return json.load(response)["result"]
        except HTTPError as error:
            raise AssertionError(f"{method} was refused: {error.read().decode()}") from error

    def try_call(self, method: str, **parameters: str) -> object | None:
        """Return the result of a call, or None while the node cannot answer it."""
        if not self.is_running():
            logs = "\n".join((self.home / name).read_text()[-3000:] for name in ("app.log", "comet.log"))
            raise AssertionError(f"the node has ended:\n{logs}")
        try:
            return self.call(method, **parameters)
        except (URLError, HTTPException, ConnectionError, TimeoutError):
            return None

    def height(self) -> int:
        """Return the height of the last block, once the node answers."""
        status = eventually(lambda: self.try_call("status"), "a node that answers")
        return int(pick(status, "sync_info", "latest_block_height"))

    def is_catching_up(self) -> bool:
        """Tell whether the node still fetches blocks, and takes no transactions; also while it does not answer."""
        status = self.try_call("status")
        assert status is None or isinstance(status, dict)
        return status is None or bool(status["sync_info"]["catching_up"])

    def wait_for_height(self, height: int) -> None:
        """Wait until the node has a block."""
        eventually(lambda: True if self.height() >= height else None, f"a block {height}")

    def send(self, tx: str) -> int:
        """Send a transaction, wait until it is committed, and return its height."""
        eventually(lambda: None if self.is_catching_up() else True, "a node that has caught up")
        # CometBFT waits ten seconds for the block, which validators that first have to find each other may need.
        self.wait_for_height(1)
        answer = self.call("broadcast_tx_commit", tx=f'"{tx}"')
        assert isinstance(answer, dict)
        assert (answer["check_tx"]["code"], answer["tx_result"]["code"]) == (0, 0), answer
        return int(pick(answer, "height"))

    def query(self, data: str, path: str = "") -> str | None:
        """Return the application's value of a key, once the node answers."""
        parameters = {"data": f'"{data}"', "path": f'"{path}"'}
        answer = eventually(lambda: self.try_call("abci_query", **parameters), "an answer")
        assert isinstance(answer, dict)
        value = answer["response"]["value"]
        return None if value is None else base64.b64decode(value).decode()

    def app_state(self) -> tuple[int, str]:
        """Return height and app hash of the application, the latter in hexadecimal."""
        info = eventually(lambda: self.try_call("abci_info"), "an answer")
        assert isinstance(info, dict)
        response = info["response"]
        app_hash = base64.b64decode(pick(response, "last_block_app_hash")).hex().upper()
        return int(pick(response, "last_block_height")), app_hash

    def header(self, height: int) -> dict[str, object]:
        """Return a block's header."""
        answer = eventually(lambda: self.try_call("header", height=str(height)), "a header")
        assert isinstance(answer, dict)
        header = answer["header"]
        assert isinstance(header, dict)
        return header

    def wait_until_idle(self) -> tuple[int, str]:
        """Wait until a header proves the application's state, so that no block is due; return the state."""

        def look() -> tuple[int, str] | None:
            height, app_hash = self.app_state()
            if not height or height != self.height():
                return None
            return (height, app_hash) if self.header(height)["app_hash"] == app_hash else None

        return eventually(look, "an idle chain")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()


def join_nodes(nodes: Sequence[CometNode], *, validators: int, vote_extensions: bool = False) -> None:
    """Give all nodes the first one's chain, with the first nodes as validators, and make them peers."""
    genesis = nodes[0].read_genesis()
    own = [node.read_genesis()["validators"] for node in nodes[:validators]]
    genesis["validators"] = [entry for entries in own if isinstance(entries, list) for entry in entries]
    if vote_extensions:
        parameters = genesis["consensus_params"]
        assert isinstance(parameters, dict)
        parameters["abci"] = {"vote_extensions_enable_height": "1"}
    for node in nodes:
        node.write_genesis(genesis)
        peers = ",".join(other.peer_address for other in nodes if other is not node)
        node.configure({"persistent_peers": f'"{peers}"'})
