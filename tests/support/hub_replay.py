"""Run the same blocks of a hub on a real store, and print the app hash after each.

Started as a process of its own, so that the hash seed and the number of threads can differ between runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from abci_app.store import Store, open_store
from aggregation.model import model_root
from tests.support.federation import make_checkpoint, make_updates
from tests.support.hub import CREATOR, RELAYER, HubChain, body_message, make_model, make_spec
from tests.support.shards import MemoryState
from wire.gradchain.fl.v1 import task_pb2
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from abci_app.state import Overlay

CLIP = task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0))
LARGE = 30_000
"""Parameters of a model of two chunks, and of bodies of two parts."""


class StoredState(MemoryState):
    """Committed state on a real store; each block is committed as it comes."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.app_hashes: list[str] = []

    def get(self, store: str, key: bytes) -> bytes | None:
        return self.store.latest().get(store, key)

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self.store.latest().scan(store, prefix)

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        return self.store.latest().get_blob(segment, digest)

    def apply(self, overlay: Overlay) -> None:
        height = len(self.app_hashes)
        snapshot = self.store.commit(self.store.stage(overlay), height, height)
        self.app_hashes.append(snapshot.app_hash.hex())


def replay(store: Store) -> HubChain:
    """Run two tasks over three shards: deliveries, a lie, a late body, a void attempt, and an idle end.

    A third task is taken back.
    """
    state = StoredState(store)
    chain = HubChain(state=state).start(missing_limit=3, relay_fee=3)
    chain.add_shards("shard-1", "shard-2", "shard-3")
    first = chain.create_task(make_spec(LARGE, rounds=3, min_shards=2), make_model(LARGE))
    second = chain.create_task(make_spec(40, CLIP, rounds=2, max_attempts=2))
    cancelled = tx_pb2.MsgCreateTask(
        creator=CREATOR.public_key, spec=make_spec(30), model_root=model_root(make_model(30))
    )
    chain.must_send(CREATOR, cancelled)
    chain.must_send(CREATOR, tx_pb2.MsgCancelTask(creator=CREATOR.public_key, task=second + 1))
    chain.register(first, *range(8))
    chain.register(second, *range(5, 9))
    chain.run_round(first)
    fast, slow, liar = chain.parts(first)
    chain.complete(fast)
    false = make_checkpoint(liar, make_updates(liar)[:1])
    false.header.grams_root = b"\x01" * 32
    chain.deliver(liar.shard, false.packet())
    chain.must_send(RELAYER, body_message(liar, false.parts))
    late = make_checkpoint(slow)
    chain.deliver(slow.shard, late.packet())
    chain.must_send(RELAYER, body_message(slow, late.parts[:-1]))
    chain.block(b"nonsense", after_s=100)  # both rounds are void: one has too few bodies, the other none
    chain.run_round(first)
    for part in chain.parts(first)[:2]:
        chain.complete(part)
    part = chain.parts(second)[0]
    chain.complete(part)
    for after_s in (100, 500, 500, 5):
        chain.block(after_s=after_s)
    return chain


if __name__ == "__main__":
    with open_store(Path(sys.argv[1])) as opened:
        ran = replay(opened).state
        if isinstance(ran, StoredState):
            sys.stdout.write("\n".join(ran.app_hashes))
