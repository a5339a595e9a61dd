"""Parts that do not match the root which a shard's node has told: the node may have lied about either."""

from __future__ import annotations

import asyncio
import time

import pytest

from relayer import effects, queries
from relayer.actions import SignParts
from relayer.config import NodeAddress
from relayer.errors import BodyForged, EndpointsDown
from relayer.events import BodyWanted, PartsFailed
from relayer.keyring import KeyRing
from relayer.nodes import ChainNodes, connect
from relayer.prover import Prover
from relayer.types import BodyKey, GroupId
from tests.support.relayer_world import HUB, SHARD
from wire.gradchain.shard.v1 import query_pb2 as shard_pb2

KEY = BodyKey(SHARD, 1, 1, 0)
TOLD = BodyWanted(KEY, b"r" * 32, 3)


@pytest.mark.parametrize("is_silent", [False, True])
def test_a_shard_is_asked_again_for_the_root_that_its_parts_do_not_match(
    monkeypatch: pytest.MonkeyPatch, is_silent: bool
) -> None:
    async def get_parts(
        shard: ChainNodes, key: BodyKey, indices: tuple[int, ...]
    ) -> list[shard_pb2.BodyPart]:
        return [shard_pb2.BodyPart(index=index, data=b"data") for index in indices]

    async def get_body(shard: ChainNodes, key: BodyKey) -> BodyWanted:
        if is_silent:
            raise EndpointsDown("down")
        return TOLD

    async def run() -> None:
        address = NodeAddress("http://127.0.0.1:9", "127.0.0.1:9")
        shard = connect(SHARD.chain, "shard", [address], 1.0)
        doer = effects.Effects(
            nodes={SHARD.chain: shard},
            keys=KeyRing({}),
            links={},
            prover=Prover({}, time.time_ns),
            clock_ns=time.time_ns,
            random_bytes=bytes,
            tx_life_s=60,
            max_tx_bytes=1_000,
        )
        answer = await doer.perform(SignParts(KEY, GroupId(1), HUB, b"x" * 32, 1, (0,)))
        await shard.close()
        assert isinstance(answer, PartsFailed)
        assert (answer.failure.codespace, answer.failure.code) == (BodyForged.CODESPACE, BodyForged.CODE)
        assert answer.told == (None if is_silent else TOLD)

    monkeypatch.setattr(queries, "get_body_parts", get_parts)
    monkeypatch.setattr(effects, "get_body", get_body)
    asyncio.run(run())
