"""Node homes and local networks for tests: kvstore apps, real CometBFT nodes, free ports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from abci_app.comet import LOCALNET
from abci_app.comet_binary import BINARY_VARIABLE
from abci_app.comet_home import Genesis, GenesisValidator, NodeKeys, format_genesis
from abci_app.endpoint import Endpoint
from abci_app.nodehome import NodeConfig, NodeHome, choose_socket, make_home
from localnet.manifest import parse_manifest
from localnet.network import Localnet
from tests.support.ports import free_ports
from tests.support.tools import ROOT, require_tool
from tests.support.waiting import PATIENCE_S
from tx.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localnet.manifest import Manifest
    from localnet.status import NodeReport

QUICK = replace(LOCALNET, timeout_commit_ms=50, empty_block_interval_ms=300)
"""Settings for tests that wait for blocks."""


def build_kvstore_config(home: NodeHome, name: str = "alone") -> NodeConfig:
    """Return the configuration of a kvstore node on free ports."""
    rpc, p2p = free_ports(2)
    return NodeConfig(
        kind="kvstore",
        name=name,
        chain_id="kv-test",
        abci=choose_socket(home),
        rpc=Endpoint("127.0.0.1", rpc),
        p2p=Endpoint("127.0.0.1", p2p),
        comet=QUICK,
    )


def build_node_keys(number: int = 1) -> NodeKeys:
    """Return the keys of a node."""
    return NodeKeys(
        SigningKey.from_seed(bytes([number]) * 32), SigningKey.from_seed(bytes([number + 100]) * 32)
    )


def build_genesis_text(config: NodeConfig, keys: NodeKeys) -> str:
    """Return a genesis in which the node is the only validator."""
    validator = GenesisValidator(keys.validator.public_key, 10, config.name)
    return format_genesis(Genesis(config.chain_id, int(time.time()), (validator,), {}), config.comet)


def make_kvstore_home(path: Path) -> NodeHome:
    """Make the home of a single kvstore validator."""
    home = NodeHome(path)
    config = build_kvstore_config(home)
    keys = build_node_keys()
    make_home(home, config, build_genesis_text(config, keys), keys)
    return home


def write_fake_cometbft(directory: Path, version: str, script: str = "exit 1") -> Path:
    """Write a program that states a version, and runs a shell script for everything else."""
    path = directory / "cometbft"
    path.write_text(f'#!/bin/sh\n[ "$1" = version ] && echo "{version}" && exit 0\n{script}\n')
    path.chmod(0o755)
    return path


def build_manifest(chains: int = 1, validators: int = 1, **changes: object) -> Manifest:
    """Return a network of kvstore chains on any free ports."""
    tables = [{"name": f"kv-{index}", "kind": "kvstore"} for index in range(chains)]
    values = {
        "name": "test",
        "seed": "test",
        "validators": validators,
        "block_time_ms": QUICK.timeout_commit_ms,
        "empty_block_interval_ms": QUICK.empty_block_interval_ms,
        "chains": tables,
    }
    return parse_manifest(values | changes, "test manifest")


@contextmanager
def running_localnet(manifest: Manifest, directory: Path) -> Iterator[Localnet]:
    """Run a localnet that is ready, and stop it at the end; it ends with the test process in any case."""
    use_real_cometbft()
    localnet = Localnet.create(manifest, directory)
    try:
        localnet.start(detach=False)
        localnet.wait_ready(PATIENCE_S)
        yield localnet
    finally:
        localnet.stop()


def use_real_cometbft() -> None:
    """Let the code under test find the binary that `require_tool` finds."""
    os.environ[BINARY_VARIABLE] = require_tool("cometbft")


@contextmanager
def running_node(home: NodeHome) -> Iterator[subprocess.Popen[bytes]]:
    """Run `run_node` in a process of its own and end it, hard if need be."""
    use_real_cometbft()
    child = start_python(
        "import sys; from pathlib import Path; from abci_app.supervisor import run_node;"
        "from abci_app.nodehome import NodeHome; run_node(NodeHome(Path(sys.argv[1])))",
        str(home.path),
        log=home.log_file("test"),
    )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(PATIENCE_S)
        finally:
            child.kill()


def start_python(program: str, *arguments: str, log: Path) -> subprocess.Popen[bytes]:
    """Start Python on a program given as text, with its output in a log."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=file, stderr=file
        )


def build_report(node: str, chain: str = "hub") -> NodeReport:
    """Return the report of a node that answers and has stated nothing of its state."""
    from localnet.status import NodeReport

    return NodeReport(node, chain, "running", 0, "", answers=True)
