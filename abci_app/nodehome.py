"""The directory of a node: one place for what CometBFT and the app each need.

```
HOME/node.toml   what the node is and where it listens
HOME/config      CometBFT's settings, genesis and keys
HOME/data        CometBFT's blocks and state
HOME/app         the app's state
HOME/logs        comet.log, app.log, supervisor.log
HOME/run         process ids, the lock, the ABCI socket
```
`data` and `app` belong together: a node whose one half was removed refuses to start, so nothing here removes one alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import tempfile
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, get_args

from abci_app.comet import NETWORK, CometEndpoints, CometSettings, apply_settings, changed_settings
from abci_app.comet_home import NodeKeys, write_home
from abci_app.endpoint import Endpoint, parse_endpoint
from abci_app.errors import HomeExists, HomeInvalid, HomeMissing, NodeRunning, UnsafeDirectory
from abci_app.toml_text import TableReader, TomlValue, format_toml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from io import FileIO

NodeKind = Literal["hub", "shard", "kvstore"]
"""Which app the node runs; `kvstore` is the example that shows the server alone."""

KINDS: Final[tuple[str, ...]] = get_args(NodeKind)

ProcessKind = Literal["app", "comet"]
"""The two processes of a node."""

SOCKET_PATH_BYTES: Final = 100
"""Longest path of a unix socket that is used: Linux takes 107 bytes, macOS 103."""

CHAIN_ID_CHARACTERS: Final = 50
"""CometBFT's own limit (types/genesis.go)."""

_UNIX = "unix://"
_SOCKET_DIRECTORY = "gradchain-"
"""How the name of a directory begins that holds the socket of a home with a long path; random digits follow."""

_CHAIN_ID = re.compile(r"[A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """The content of node.toml."""

    kind: NodeKind
    name: str
    """For people: the moniker, and the prefix of log lines."""
    chain_id: str
    abci: str
    """Address of the app for CometBFT, `unix:///path`."""
    rpc: Endpoint
    """CometBFT's RPC."""
    p2p: Endpoint
    """Where peers connect."""
    grpc: Endpoint | None = None
    """The app's gRPC services; None where the app has none."""
    metrics: Endpoint | None = None
    """The app's metrics for Prometheus; None turns them off."""
    peers: tuple[str, ...] = ()
    """`node id@host:port` of every peer that is always dialled."""
    external_p2p: str = ""
    """host:port under which peers reach the node, if it differs from `p2p`."""
    backend: str = ""
    """Database of the app's store; "" leaves the choice to the store, which remembers it."""
    app: str = ""
    """Module to run as the app, with `--home HOME`; "" runs the one of the kind."""
    comet: CometSettings = NETWORK

    @property
    def socket_path(self) -> Path:
        """Path of the ABCI socket.

        Raises:
          HomeInvalid: the address is no unix socket.

        """
        if not self.abci.startswith(_UNIX + "/"):
            raise HomeInvalid(f"expected abci = {_UNIX}/path in node.toml, got {self.abci!r}")
        return Path(self.abci.removeprefix(_UNIX))

    @property
    def rpc_url(self) -> str:
        """URL of CometBFT's RPC."""
        return f"http://{self.rpc}"

    @property
    def endpoints(self) -> CometEndpoints:
        """What CometBFT is told of this node."""
        return CometEndpoints(
            moniker=self.name,
            proxy_app=self.abci,
            rpc=str(self.rpc),
            p2p=str(self.p2p),
            persistent_peers=self.peers,
            external_address=self.external_p2p,
        )

    @property
    def listeners(self) -> Mapping[str, Endpoint]:
        """Every TCP address that the node listens on, by the name of its key."""
        named = {"rpc": self.rpc, "p2p": self.p2p, "grpc": self.grpc, "metrics": self.metrics}
        return {name: endpoint for name, endpoint in named.items() if endpoint is not None}


@dataclass(frozen=True, slots=True)
class NodeHome:
    """Paths of a home."""

    path: Path

    @property
    def config_file(self) -> Path:
        """What the node is."""
        return self.path / "node.toml"

    @property
    def comet_config_file(self) -> Path:
        """CometBFT's settings."""
        return self.path / "config" / "config.toml"

    @property
    def genesis_file(self) -> Path:
        """The start of the chain."""
        return self.path / "config" / "genesis.json"

    @property
    def app_directory(self) -> Path:
        """The app's state."""
        return self.path / "app"

    @property
    def run_directory(self) -> Path:
        """What exists only while the node runs."""
        return self.path / "run"

    def log_file(self, name: str) -> Path:
        """Log of `app`, `comet` or `supervisor`."""
        return self.path / "logs" / f"{name}.log"

    def pid_file(self, name: str) -> Path:
        """Process id of `app` or `comet`."""
        return self.run_directory / f"{name}.pid"

    @property
    def state_file(self) -> Path:
        """What the supervisor last said of the node."""
        return self.run_directory / "state.json"

    @property
    def hold_file(self) -> Path:
        """While it exists, the supervisor keeps the node stopped."""
        return self.run_directory / "hold"


def make_home(home: NodeHome, config: NodeConfig, genesis: str, keys: NodeKeys) -> None:
    """Make a home with all files that the node needs; `genesis` is the text of genesis.json.

    Raises:
      HomeExists: there is one.

    """
    if home.config_file.exists():
        raise HomeExists(f"expected no node home at {home.path}, got one")
    for directory in (home.path, home.app_directory, home.run_directory, home.path / "logs"):
        directory.mkdir(parents=True, exist_ok=True)
    home.path.chmod(0o700)
    write_home(home.path, config.comet, config.endpoints, genesis, keys)
    save_config(home, config)


def choose_socket(home: NodeHome) -> str:
    """Return the address of the ABCI socket of a home that is being made.

    The socket lies in the home where its path is short enough for the operating system.  Otherwise it gets a directory
    for itself, which exists only while the node runs (`prepare_socket`, `release_socket`).
    """
    path = home.run_directory / "abci.sock"
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        path = Path(tempfile.gettempdir()) / f"{_SOCKET_DIRECTORY}{secrets.token_hex(8)}" / "abci.sock"
    return _UNIX + str(path)


def prepare_socket(config: NodeConfig) -> None:
    """Make the directory of the ABCI socket unless it exists; call it before the app starts.

    Raises:
      UnsafeDirectory: it is another user's, or others can write to it.

    """
    directory = config.socket_path.parent
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.stat()
    if found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise UnsafeDirectory(
            f"expected {directory} to be writable by user {os.getuid()} alone, got owner {found.st_uid} "
            f"and mode {stat.S_IMODE(found.st_mode):o}"
        )


def release_socket(config: NodeConfig) -> None:
    """Remove the ABCI socket, and its directory if `choose_socket` named that for it alone; again: a no-op.

    Call it when no process of the node is left.
    """
    path = config.socket_path
    # What cannot be removed costs nothing but the sight of it, and the node has ended.
    with suppress(OSError):
        path.unlink(missing_ok=True)
    if path.parent.name.startswith(_SOCKET_DIRECTORY):
        with suppress(OSError):
            path.parent.rmdir()


def lock_home(home: NodeHome) -> FileIO:
    """Take the lock of a home; it is held until the returned file is closed or the process ends.

    Raises:
      NodeRunning: another process holds it.

    """
    home.run_directory.mkdir(parents=True, exist_ok=True)
    file = (home.run_directory / "lock").open("a+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder = file.read(32).decode("ascii", "replace").strip() or "unknown"
        file.close()
        raise NodeRunning(f"expected no node on {home.path}, got one under process {holder}") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n".encode())
    return file


def save_config(home: NodeHome, config: NodeConfig) -> None:
    """Write node.toml."""
    top: dict[str, TomlValue] = {
        "kind": config.kind,
        "name": config.name,
        "chain_id": config.chain_id,
        "abci": config.abci,
        "rpc": str(config.rpc),
        "p2p": str(config.p2p),
        "grpc": str(config.grpc or ""),
        "metrics": str(config.metrics or ""),
        "peers": list(config.peers),
        "external_p2p": config.external_p2p,
        "backend": config.backend,
        "app": config.app,
    }
    text = format_toml(
        {"": top, "comet": changed_settings(config.comet)},
        "A gradchain node. The table [comet] holds what differs from the defaults in abci_app/comet.py.",
    )
    home.config_file.write_text(text)


def load_config(home: NodeHome) -> NodeConfig:
    """Read node.toml.

    Raises:
      HomeMissing: there is none.
      HomeInvalid: it is no TOML, a key is unknown or missing, or a value is not allowed.
      InvalidSetting: the same of a CometBFT setting.

    """
    try:
        text = home.config_file.read_text()
    except (FileNotFoundError, NotADirectoryError):
        raise HomeMissing(f"expected a node home at {home.path}, got no {home.config_file.name}") from None
    try:
        values: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HomeInvalid(f"expected TOML in {home.config_file}, got: {error}") from None
    return _parse_config(values, str(home.config_file))


def _parse_config(values: dict[str, object], where: str) -> NodeConfig:
    reader = TableReader(values, where, HomeInvalid)
    kind = reader.take("kind", str)
    if kind not in KINDS:
        raise HomeInvalid(f"expected kind of {', '.join(KINDS)} in {where}, got {kind!r}")
    chain_id = reader.take("chain_id", str)
    check_chain_id(chain_id, where)
    config = NodeConfig(
        kind=kind,  # type: ignore[arg-type]  # checked above
        name=reader.take("name", str),
        chain_id=chain_id,
        abci=reader.take("abci", str),
        rpc=parse_endpoint(reader.take("rpc", str)),
        p2p=parse_endpoint(reader.take("p2p", str)),
        grpc=_parse_optional(reader.take("grpc", str, "")),
        metrics=_parse_optional(reader.take("metrics", str, "")),
        peers=tuple(str(peer) for peer in reader.take("peers", list, [])),
        external_p2p=reader.take("external_p2p", str, ""),
        backend=reader.take("backend", str, ""),
        app=reader.take("app", str, ""),
        comet=apply_settings(NETWORK, reader.take("comet", dict, {}), where),
    )
    reader.finish()
    _ = config.socket_path
    return config


def check_chain_id(chain_id: str, where: str) -> None:
    """Check the form of a chain id.

    Raises:
      HomeInvalid: it is empty, too long, or holds other characters than letters, digits, dots and dashes.

    """
    if len(chain_id) > CHAIN_ID_CHARACTERS or _CHAIN_ID.fullmatch(chain_id) is None:
        raise HomeInvalid(
            f"expected a chain id of 1 to {CHAIN_ID_CHARACTERS} letters, digits, dots, dashes and underscores "
            f"in {where}, got {chain_id!r}"
        )


def _parse_optional(text: str) -> Endpoint | None:
    return parse_endpoint(text) if text else None
