"""The yardstick of throughput: CometBFT's own kvstore app, built into the node, in Go and in memory.

It checks nothing but that there is one `=` in a transaction, and needs no socket to its node.  The node's settings
are those of our own chains.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.comet import LOCALNET, CometEndpoints
from abci_app.comet_binary import require_cometbft
from abci_app.comet_home import Genesis, GenesisValidator, NodeKeys, format_genesis, write_home
from abci_app.endpoint import Endpoint
from abci_app.errors import EndpointUnreachable
from abci_app.probe import accepts_tcp, is_port_free
from abci_app.process import spawn
from abci_app.rpc import CometRpc
from abci_app.supervisor import child_environment, read_tail
from bench.children import wait_or_kill
from bench.errors import LoadLost, YardstickFailed
from localnet.keys import derive_key
from localnet.ports import allocate_ports, choose_base_port

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from abci_app.comet import CometSettings
    from localnet.ports import NodePorts

HOST: Final = "127.0.0.1"
CHAIN_ID: Final = "kvstore"
START_S: Final = 60.0
STOP_S: Final = 15.0
POLL_S: Final = 0.05
POWER: Final = 10


@dataclass(frozen=True, slots=True, eq=False)
class KvNode:
    """One running node."""

    rpc: Endpoint
    process: subprocess.Popen[bytes]
    log: Path


@dataclass(frozen=True, slots=True)
class KvTx:
    """A transaction of the kvstore, and how to find its value again."""

    key: bytes
    value: bytes

    @property
    def encoded(self) -> bytes:
        """The transaction's bytes."""
        return self.key + b"=" + self.value


def imitate(tx: bytes) -> KvTx:
    """Return a kvstore transaction of the same size and, but for the separators, the same bytes as another one.

    Its key is the digest of the other, in hexadecimal.
    """
    key = sha256(tx).hexdigest().encode()
    return KvTx(key, tx[len(key) + 1 :].replace(b"=", b">").replace(b":", b";"))


@contextmanager
def running_kvstore(directory: Path, validators: int, block_time_ms: int) -> Iterator[Sequence[KvNode]]:
    """Run a kvstore chain that makes blocks with such pauses between them, and end it.

    Raises:
      YardstickFailed: a node ended, or made no block in time.

    """
    ports = allocate_ports(
        validators, choose_base_port(str(directory)), lambda port: is_port_free(Endpoint(HOST, port))
    )
    homes = _write_homes(directory, ports, replace(LOCALNET, timeout_commit_ms=block_time_ms))
    binary = require_cometbft().path
    nodes: list[KvNode] = []
    try:
        for home, own in zip(homes, ports, strict=True):
            log = home / "comet.log"
            process = spawn([str(binary), "start", "--home", str(home)], child_environment(), log)
            nodes.append(KvNode(Endpoint(HOST, own.rpc), process, log))
        _await_blocks(nodes)
        yield nodes
    finally:
        _stop(nodes)


def check_kept(node: KvNode, txs: Sequence[KvTx]) -> None:
    """Read every transaction back and compare its value's digest with that of what was sent.

    Raises:
      LoadLost: a value is missing or another one.

    """
    connection = http.client.HTTPConnection(node.rpc.host, node.rpc.port, timeout=30)
    try:
        for tx in txs:
            connection.request("GET", f"/abci_query?data=0x{tx.key.hex()}")
            answer = json.loads(connection.getresponse().read())
            encoded = answer["result"]["response"]["value"] or ""
            if sha256(base64.b64decode(encoded)).digest() != sha256(tx.value).digest():
                raise LoadLost(
                    f"expected the value of {tx.key.decode()}, got {len(encoded)} other characters"
                )
    finally:
        connection.close()


def _write_homes(directory: Path, ports: Sequence[NodePorts], settings: CometSettings) -> list[Path]:
    keys = [
        NodeKeys(derive_key(CHAIN_ID, "validator", str(index)), derive_key(CHAIN_ID, "node", str(index)))
        for index in range(len(ports))
    ]
    validators = tuple(GenesisValidator(own.validator.public_key, POWER) for own in keys)
    genesis = format_genesis(Genesis(CHAIN_ID, int(time.time()), validators, {}), settings)
    addresses = [f"{own.node_id}@{HOST}:{port.p2p}" for own, port in zip(keys, ports, strict=True)]
    homes = []
    for index, (own, port) in enumerate(zip(keys, ports, strict=True)):
        home = directory / f"node-{index}"
        endpoints = CometEndpoints(
            moniker=home.name,
            proxy_app="kvstore",
            rpc=f"{HOST}:{port.rpc}",
            p2p=f"{HOST}:{port.p2p}",
            persistent_peers=tuple(address for place, address in enumerate(addresses) if place != index),
        )
        write_home(home, settings, endpoints, genesis, own)
        homes.append(home)
    return homes


def _await_blocks(nodes: Sequence[KvNode]) -> None:
    deadline = time.monotonic() + START_S
    waiting = list(nodes)
    while waiting:
        waiting = [node for node in waiting if not _has_block(node)]
        for node in waiting:
            status = node.process.poll()
            if status is not None:
                raise YardstickFailed(f"a kvstore node ended with {status}:\n{read_tail(node.log)}")
        if time.monotonic() > deadline:
            raise YardstickFailed(f"expected blocks of the kvstore chain within {START_S:g} s, got none")
        time.sleep(POLL_S)


def _has_block(node: KvNode) -> bool:
    if not accepts_tcp(node.rpc):
        return False
    try:
        with CometRpc(f"http://{node.rpc}") as rpc:
            return rpc.status().height >= 1
    except EndpointUnreachable:
        return False


def _stop(nodes: Sequence[KvNode]) -> None:
    for node in nodes:
        if node.process.poll() is None:
            os.kill(node.process.pid, signal.SIGTERM)
    for node in nodes:
        wait_or_kill(node.process, STOP_S)
