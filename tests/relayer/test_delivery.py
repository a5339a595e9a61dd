"""`relayer packet`: the transaction in which a packet reached its receiver, whoever sent it."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from bench.played.app import RELAYER
from tests.support.relayer import ended, received
from tests.support.relayer_cli import run, run_json, send, write_config
from tests.support.tools import ROOT
from tests.support.waiting import eventually
from tx.keys import format_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from relayer.config import RelayerConfig
    from tests.support.relayer import Pair

PACKET = ("packet", "--chain", "hub-1", "--sequence", "1")


@contextmanager
def running_process(config: RelayerConfig) -> Iterator[None]:
    """Run a relayer that keeps a trail, in a process of its own."""
    command = [sys.executable, "-m", "relayer.main", "--config", str(write_config(config))]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def find_move(pair: Pair, stage: str) -> dict[str, Any] | None:
    """Return the first move of the packet to a stage, as JSON has it."""
    result = run(pair, *PACKET)
    if result.exit_code:
        return None
    return next((move for move in run_json(pair, *PACKET)["moves"] if move["stage"] == stage), None)


def delivering_txs(pair: Pair) -> dict[str, int]:
    """Return the heights of all transactions in the shard's blocks, by hash."""
    return {sha256(tx).hexdigest(): height for height, block in pair.shard.blocks.items() for tx in block.txs}


def test_a_committed_packet_names_the_transaction_that_delivered_it(pair: Pair) -> None:
    with running_process(pair.config):
        send(pair, from_hub=1)
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        eventually(lambda: find_move(pair, "acknowledged"), "the end of the trail")
    committed, submitted = find_move(pair, "committed"), find_move(pair, "submitted")
    assert committed is not None
    assert submitted is not None
    assert committed["tx_hash"] == submitted["tx_hash"]
    assert committed["tx_state"] == "included"
    assert committed["tx_height"] == delivering_txs(pair)[committed["tx_hash"]]


def test_what_another_relayer_delivered_names_its_transaction(pair: Pair) -> None:
    pair.hub.held_signer = format_address(RELAYER.public_key)
    with running_process(pair.config):
        send(pair, from_hub=1)
        eventually(lambda: received(pair.shard) == 1, "a delivery")
    other = replace(pair.config, journal=pair.directory / "other.db")
    with running_process(other):
        eventually(lambda: find_move(pair, "committed"), "an acknowledgement to bring back")
    committed = find_move(pair, "committed")
    assert committed is not None
    assert committed["tx_height"] == delivering_txs(pair)[committed["tx_hash"]]
    assert find_move(pair, "submitted") is None


def test_the_way_of_a_packet_is_known_without_the_chains(pair: Pair) -> None:
    with running_process(pair.config):
        send(pair, from_hub=1)
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        eventually(lambda: find_move(pair, "acknowledged"), "the end of the trail")
    dead = replace(pair.config.hub.nodes[0], rpc="http://127.0.0.1:9", grpc="127.0.0.1:9")
    write_config(replace(pair.config, hub=replace(pair.config.hub, nodes=(dead,))))
    committed = find_move(pair, "committed")
    assert committed is not None
    assert (committed["tx_hash"], committed["tx_height"]) == ("", 0)
