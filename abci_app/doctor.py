"""Examine a node's home: versions, files, settings, ports, clock, disk, and every limit in force.

Each check is a fact and a verdict; nothing is changed.  A home that cannot be read ends the examination with the
error that says why.
"""

from __future__ import annotations

import platform
import resource
import shutil
import stat
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from abci_app.comet import find_drift
from abci_app.comet_binary import find_cometbft, require_cometbft
from abci_app.comet_limits import Limit, explain_limits
from abci_app.errors import EndpointUnreachable, NodeError
from abci_app.json_reader import JsonReader, parse_json
from abci_app.nodehome import load_config
from abci_app.probe import accepts_tcp, is_port_free
from abci_app.process import read_pid_file
from abci_app.rpc import CometRpc
from abci_app.version import VERSION

if TYPE_CHECKING:
    from abci_app.comet import CometSettings, Drift
    from abci_app.nodehome import NodeConfig, NodeHome

LOW_DISK_BYTES: Final = 2 * 1024**3
"""Less free space than this is called low: some hundred of the largest blocks."""

LOW_FILES: Final = 1_024
"""CometBFT and the app keep many database files and connections open."""

CLOCK_TOLERANCE_S: Final = 10
"""A clock further behind the newest block than this is wrong: block time is the validators' median."""

_NANOSECONDS: Final = 1_000_000_000
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    is_good: bool
    found: str


@dataclass(frozen=True, slots=True)
class Examination:
    """All that the doctor has to say of a home."""

    checks: tuple[Check, ...]
    drift: tuple[Drift, ...]
    """Settings in config.toml that are not those of node.toml and abci_app/comet.py."""
    limits: tuple[Limit, ...]
    """With the values in force, drift included."""

    @property
    def is_good(self) -> bool:
        """Whether every check is."""
        return all(check.is_good for check in self.checks)


def examine(home: NodeHome) -> Examination:
    """Look at a home.

    Raises:
      HomeMissing: there is none.
      HomeInvalid, InvalidSetting: node.toml or config.toml cannot be read.

    """
    config = load_config(home)
    drift = tuple(find_drift(_read_config(home), config.comet, config.endpoints))
    checks = (
        *_check_software(),
        Check(
            "settings",
            not drift,
            "as abci_app/comet.py says"
            if not drift
            else f"{len(drift)} differ: {', '.join(d.setting for d in drift)}",
        ),
        _check_genesis(home, config),
        _check_secrets(home),
        _check_halves(home),
        *_check_ports(home, config),
        _check_clock(home, config),
        _check_disk(home),
        _check_open_files(),
    )
    return Examination(checks, drift, _limits_in_force(config.comet, drift))


def _read_config(home: NodeHome) -> str:
    try:
        return home.comet_config_file.read_text()
    except FileNotFoundError:
        # Every setting is missing then, which the caller sees as drift.
        return ""


def _limits_in_force(settings: CometSettings, drift: tuple[Drift, ...]) -> tuple[Limit, ...]:
    changed = {item.setting: item.found for item in drift}
    return tuple(
        replace(limit, value=f"{changed[limit.setting]} (expected {limit.value})")
        if limit.setting in changed
        else limit
        for limit in explain_limits(settings)
    )


def _check_software() -> tuple[Check, ...]:
    own = Check("gradchain", is_good=True, found=f"{VERSION} on Python {platform.python_version()}")
    try:
        binary = require_cometbft()
    except NodeError as error:
        return (own, Check("cometbft", is_good=False, found=error.message))
    return (own, Check("cometbft", is_good=True, found=f"{binary.version} at {find_cometbft()}"))


def _check_genesis(home: NodeHome, config: NodeConfig) -> Check:
    try:
        genesis = parse_json(home.genesis_file.read_bytes(), home.genesis_file.name)
        chain_id = genesis.text("chain_id")
        block_bytes = _block_bytes(genesis)
        has_state = bool(genesis.to_object().get("app_state"))
    except FileNotFoundError:
        return Check("genesis", is_good=False, found=f"no {home.genesis_file}")
    except NodeError as error:
        return Check("genesis", is_good=False, found=error.message)
    if config.kind != "kvstore" and not has_state:
        found = f"expected an app_state, without which a {config.kind} cannot start, got none: put the chain's genesis here"
        return Check("genesis", is_good=False, found=found)
    is_good = chain_id == config.chain_id and block_bytes == config.comet.max_block_bytes
    return Check(
        "genesis",
        is_good,
        f"chain {chain_id} (expected {config.chain_id}), blocks of {block_bytes} bytes "
        f"(expected {config.comet.max_block_bytes})",
    )


def _block_bytes(genesis: JsonReader) -> int:
    return genesis.child("consensus_params").child("block").integer("max_bytes")


def _check_secrets(home: NodeHome) -> Check:
    open_files = []
    for name in ("priv_validator_key.json", "node_key.json"):
        path = home.path / "config" / name
        if not path.exists():
            return Check("keys", is_good=False, found=f"no {path}")
        if path.stat().st_mode & _OTHERS:
            open_files.append(name)
    found = f"others can read {', '.join(open_files)}" if open_files else "readable by their owner alone"
    return Check("keys", not open_files, found)


def _check_halves(home: NodeHome) -> Check:
    """CometBFT's data and the app's state belong together: one without the other does not start."""
    has_engine = (home.path / "data" / "blockstore.db").exists()
    has_app = home.app_directory.exists() and any(home.app_directory.iterdir())
    found = {
        (True, True): "CometBFT's data and the app's state are there",
        (False, False): "no blocks yet",
        (True, False): "CometBFT has data, the app has none: it will be replayed from the first block",
        (False, True): "the app has state, CometBFT's data is gone: the node will not start",
    }[has_engine, has_app]
    return Check("data", has_engine or not has_app, found)


def _check_ports(home: NodeHome, config: NodeConfig) -> list[Check]:
    running = any(read_pid_file(home.pid_file(kind)) for kind in ("app", "comet"))
    checks = []
    for name, endpoint in config.listeners.items():
        if running:
            is_good = accepts_tcp(endpoint)
            found = "the node listens" if is_good else "the node does not listen"
        else:
            is_good = is_port_free(endpoint)
            found = "free" if is_good else "taken by another process"
        checks.append(Check(f"port {name}", is_good, f"{endpoint}: {found}"))
    return checks


def _check_clock(home: NodeHome, config: NodeConfig) -> Check:
    now_ns, newest = time.time_ns(), "newest block"
    try:
        with CometRpc(config.rpc_url, timeout_s=2.0) as rpc:
            block_ns = rpc.status().block_time_ns
    except (EndpointUnreachable, NodeError):
        block_ns, newest = _genesis_time_ns(home), "genesis"
    behind_s = (block_ns - now_ns) / _NANOSECONDS
    if behind_s > CLOCK_TOLERANCE_S:
        return Check("clock", is_good=False, found=f"{behind_s:.0f} s behind the {newest}")
    return Check("clock", is_good=True, found=f"{newest} {max(0.0, -behind_s):.0f} s ago")


def _genesis_time_ns(home: NodeHome) -> int:
    try:
        return parse_json(home.genesis_file.read_bytes(), "genesis.json").time_ns("genesis_time")
    except (FileNotFoundError, NodeError):
        return 0


def _check_disk(home: NodeHome) -> Check:
    free = shutil.disk_usage(home.path).free
    return Check("disk", free >= LOW_DISK_BYTES, f"{free // 2**20} MiB free")


def _check_open_files() -> Check:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    is_good = limit == resource.RLIM_INFINITY or limit >= LOW_FILES
    return Check("open files", is_good, f"{limit} allowed, {LOW_FILES} needed")
