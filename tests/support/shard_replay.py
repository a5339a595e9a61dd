"""Run the same blocks of a shard on a real store, and print the app hash after each.

Started as a process of its own, so that the hash seed and the number of threads can differ between runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from abci_app.context import BlockContext, Services
from abci_app.execution import execute_block
from abci_app.state import Overlay
from abci_app.store import Store, open_store
from shards.app import build_shard_app
from tests.support.aggregation import shared_setup
from tests.support.shard_rounds import SHARD_CHAIN, TestRound, build_round, bundle
from tests.support.shards import deliver_first, genesis_state, link_tx
from tests.support.txs import NOW_NS, SECOND_NS
from wire.gradchain.fl.v1 import packet_pb2, task_pb2

PARTICIPANTS = 40


def build_rounds() -> list[TestRound]:
    """Return rounds whose checkpoints exercise every kind of arithmetic."""
    clipped = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0))
    return [
        build_round(PARTICIPANTS, task=1, parameters=2_500),
        build_round(PARTICIPANTS, task=2, parameters=1_300, rule=clipped),
        build_round(3, task=3, close_after_s=5),
    ]


def list_blocks(rounds: list[TestRound]) -> list[list[bytes]]:
    """Return the transactions of each block: honest updates, lies, repeats and nonsense."""
    first, second, third = rounds
    half = PARTICIPANTS // 2
    return [
        [bundle(*(first.update(i) for i in range(half)), second.miscommitted(1)), b"nonsense"],
        [bundle(*(second.update(i) for i in range(half))), bundle(first.update(0), first.miscounted(half))],
        [bundle(*(first.update(i) for i in range(half, PARTICIPANTS)), third.update(0))],
        [bundle(*(second.update(i) for i in range(half, PARTICIPANTS)))],
        [],
    ]


def replay(store: Store) -> list[str]:
    """Return the app hash of the genesis and after each block, in hexadecimal."""
    app = build_shard_app()
    services = Services(shared_setup())
    rounds = build_rounds()
    genesis = Overlay(store.latest())
    app.init_genesis(BlockContext(SHARD_CHAIN, 0, NOW_NS, b"", services), genesis, genesis_state())
    hashes = [store.commit(store.stage(genesis), 0, NOW_NS).app_hash.hex()]
    packets = [packet_pb2.HubPacket(round_opened=item.opened) for item in rounds]
    blocks = [[link_tx(NOW_NS)], *list_blocks(rounds)]
    for height, txs in enumerate(blocks, start=1):
        time_ns = NOW_NS + height * SECOND_NS
        block = BlockContext(SHARD_CHAIN, height, time_ns, b"", services)
        outcome = execute_block(deliver_first(app, packets, []), block, store.latest(), txs)
        packets = []
        hashes.append(store.commit(store.stage(outcome.state), height, time_ns).app_hash.hex())
    return hashes


if __name__ == "__main__":
    with open_store(Path(sys.argv[1])) as opened:
        sys.stdout.write("\n".join(replay(opened)))
