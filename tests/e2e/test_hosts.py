"""Chains on several hosts, by hand, as docs/operations.md says: each loopback address stands for a host."""

from __future__ import annotations

import json
import re
import shutil
import signal
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from participant.connect import connect
from participant.errors import UnverifiedData
from tests.support.e2e import Console, finish
from tests.support.ports import free_ports
from tests.support.waiting import eventually
from tx.paths import model_root_key

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.localnet

SUPPLY = 1_000_000


@dataclass(frozen=True, slots=True)
class Host:
    """A host, with the home of its only node."""

    name: str
    address: str
    ports: tuple[int, ...]
    home: Path

    @property
    def rpc(self) -> str:
        return f"{self.address}:{self.ports[0]}"

    @property
    def p2p(self) -> str:
        return f"{self.address}:{self.ports[1]}"

    @property
    def grpc(self) -> str:
        return f"{self.address}:{self.ports[2]}"

    def init(self, console: Console, kind: str, *options: str) -> dict[str, str]:
        """Make the home, and return what the command says."""
        listeners = ("--rpc", self.rpc, "--p2p", self.p2p, "--grpc", self.grpc)
        made = console.view(
            "node",
            "init",
            "--home",
            str(self.home),
            "--kind",
            kind,
            "--chain-id",
            f"{kind}-1",
            "--name",
            self.name,
            *listeners,
            *options,
        )
        return {name: str(value) for name, value in made.items()}


def make_host(folder: Path, number: int) -> Host:
    return Host(f"host-{number}", f"127.0.0.{number + 2}", tuple(free_ports(3)), folder / f"host-{number}")


@contextmanager
def running(console: Console, host: Host) -> Iterator[subprocess.Popen[str]]:
    """Run a host's node in the foreground, and end it as a service manager does."""
    process = console.start("node", "start", "--home", str(host.home))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        done = finish(process)
    assert (done.exit_code, done.stderr) == (0, ""), done.describe()


def look_at(console: Console, host: Host) -> dict[str, object] | None:
    """Return the status of a node that has a block."""
    done = console.run("node", "status", "--home", str(host.home), "--json")
    if done.exit_code:
        return None
    status = json.loads(done.stdout)
    assert isinstance(status, dict)
    return status if status.get("height") else None


def fetch_hash(host: Host, height: int) -> str:
    """Return the hash of a header of a node's chain, as docs/operations.md says where to find it."""
    with urlopen(f"http://{host.rpc}/commit?height={height}") as answer:
        value = json.load(answer)
    return str(value["result"]["signed_header"]["commit"]["block_id"]["hash"])


def write_relayer_config(path: Path, keys: Path, hub: list[Host], shard: Host, height: int = 1) -> Path:
    """Write the configuration of a relayer that trusts the headers of a height."""

    def trusted(host: Host) -> str:
        return f'trusted_height = {height}\ntrusted_hash = "{fetch_hash(host, height)}"\n'

    def nodes(hosts: list[Host]) -> str:
        return ", ".join(f'{{ rpc = "http://{host.rpc}", grpc = "{host.grpc}" }}' for host in hosts)

    common = f'key_files = ["{keys}/relayer.json"]\nauthority_key_file = "{keys}/authority.json"'
    path.write_text(
        f'[hub]\nchain_id = "hub-1"\nmin_balance = 0\n{common}\n{trusted(hub[0])}nodes = [{nodes(hub)}]\n'
        f'[[shards]]\nchain_id = "shard-1"\n{common}\n{trusted(shard)}nodes = [{nodes([shard])}]\n'
    )
    return path


def refuse_link(console: Console, config: Path, shard: str, code: str) -> None:
    """See that a shard cannot be linked, and that the reason is told once."""
    done = console.run("relayer", "link", "--config", str(config))
    assert (done.exit_code, done.stdout) == (1, f"{shard}: not linked\n"), done.describe()
    assert done.stderr.count(code) == 1, done.describe()


def test_chains_made_by_hand_on_several_hosts_are_linked_and_serve(tmp_path: Path) -> None:
    console = Console(tmp_path / "home")
    first, second, third, reader = (make_host(tmp_path, number) for number in range(4))
    addresses = {
        name: str(console.view("key", "new", name)["address"])
        for name in ("authority", "treasury", "relayer", "alice")
    }
    hub_state, shard_state = tmp_path / "hub.json", tmp_path / "shard.json"
    common = {"authority": addresses["authority"], "params": {}}
    hub_state.write_text(
        json.dumps(
            common | {"treasury": addresses["treasury"], "balances": {addresses["alice"]: str(SUPPLY)}}
        )
    )
    shard_state.write_text(json.dumps(common | {"hub_chain_id": "hub-1", "hub_client_id": "07-tendermint-0"}))

    made = second.init(console, "hub")
    peer = ("--validator", f"{made['validator']}:10", "--peer", f"{made['node_id']}@{second.p2p}")
    founder = first.init(console, "hub", "--app-state", str(hub_state), *peer)
    shutil.copy(founder["genesis"], made["genesis"])
    genesis = tmp_path / "genesis.json"
    shutil.copy(founder["genesis"], genesis)
    third.init(console, "shard", "--app-state", str(shard_state))
    dialled = f"{founder['node_id']}@{first.p2p}"
    reader.init(console, "hub", "--genesis", str(genesis), "--peer", dialled)

    with ExitStack() as stack:
        for host in (first, second, third):
            stack.enter_context(running(console, host))
        for host in (first, third):
            eventually(lambda host=host: look_at(console, host), f"a block of {host.name}")  # type: ignore[misc]
        config = write_relayer_config(
            tmp_path / "relayer.toml", console.home / "keys", [first, second], third
        )
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(re.sub("trusted_hash = .*", f'trusted_hash = "{"0" * 64}"', config.read_text()))
        refuse_link(console, wrong, "shard-1", "relayer/64")
        links = [console.view("relayer", "link", "--config", str(config))["links"] for _ in range(2)]
        assert [len(list_steps(link)) for link in links] == [5, 0]

        # the clients know the first headers; those that are trusted here are above them
        for host in (first, third):
            eventually(lambda host=host: has_height(console, host, 3), f"three blocks of {host.name}")  # type: ignore[misc]
        later = write_relayer_config(
            tmp_path / "later.toml", console.home / "keys", [first, second], third, 3
        )
        checks = console.view("relayer", "config", "validate", "--live", "--config", str(later))["checks"]
        assert isinstance(checks, list)
        vouched = [check for check in checks if check["name"] == "trusted header"]
        assert len(vouched) == 3 + 2 + 2, "one a node, a chain and a client"
        assert [check for check in vouched if check["is_note"] or not check["is_good"]] == []
        later.write_text(re.sub("trusted_hash = .*", f'trusted_hash = "{"0" * 64}"', later.read_text()))
        refuse_link(console, later, "shard-1", "relayer/64")

        network = ("--hub", first.grpc, "--genesis", str(genesis))
        console.view("transfer", "--to", "treasury", "--amount", "5", "--key", "alice", *network)
        examined = console.view("node", "doctor", "--home", str(first.home))
        checks = examined["checks"]
        assert isinstance(checks, list)
        assert [check for check in checks if not check["is_good"]] == []

        # a node that joins later fetches all blocks, and can stand in for another one
        with connect(
            hub=[reader.grpc, first.grpc], shards=[third.grpc], genesis=genesis, key=key_file(console)
        ) as own:
            assert own.hub.connection.address == first.grpc
        with running(console, reader):
            eventually(lambda: find_balance(console, reader, "treasury") == 5 or None, "the transfer")
            own = connect(
                hub=[reader.grpc, first.grpc], shards=[third.grpc], genesis=genesis, key=key_file(console)
            )
            assert own.hub.connection.address == reader.grpc
            assert own.hub.prove(model_root_key(1)).value is None
        with own, pytest.raises(UnverifiedData, match="has no model"):
            own.hub.prove_model(1)
        assert own.hub.connection.address == first.grpc
        assert list(own.shards) == []

    assert console.trail.list_processes() == {}
    with running(console, third):
        status = eventually(lambda: look_at(console, third), "the shard")
        assert int(str(status["height"])) > 1, "it goes on where it was"


def has_height(console: Console, host: Host, height: int) -> bool | None:
    """Return whether a node has a block, or None."""
    status = look_at(console, host)
    return True if status is not None and int(str(status["height"])) >= height else None


def list_steps(links: object) -> list[str]:
    """Return what `relayer link` had to do for its only shard."""
    assert isinstance(links, list)
    (link,) = links
    assert link["shard"] == "shard-1"
    return list(link["steps"])


def key_file(console: Console) -> Path:
    return console.home / "keys" / "alice.json"


def find_balance(console: Console, host: Host, name: str) -> int:
    done = console.run("account", "show", name, "--hub", host.grpc, "--json")
    return int(json.loads(done.stdout)["balance"]) if done.exit_code == 0 else 0
