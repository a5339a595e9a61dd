"""Headers and proofs are verified here before anybody pays for them: a node that lies is found out."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from ibc.errors import HeaderHashMismatch, MalformedCommit, TrustExpired
from relayer import actions, events, open_packets, queries
from relayer import prover as prover_module
from relayer.errors import PacketForged, ProofUnusable
from relayer.policy import Consequence, consequence_of, failure_of
from relayer.prover import Prover
from relayer.types import BatchId, ChainId, ClientId, Duty, Height, LinkEnd, PacketKey
from tests.support.relayer import HUB_CLIENT, SHARD_CLIENT, connected, running_pair, until
from tests.support.relayer_chain import SUCCESS
from tx.codec import encode
from tx.errors import AppError
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from relayer.nodes import ChainNodes
    from tests.support.relayer import Pair
    from wire.gradchain.node.v1 import query_pb2 as node_pb2
    from wire.tendermint.types import types_pb2

HUB = LinkEnd(ChainId("hub-1"), ClientId(HUB_CLIENT))
SHARD = LinkEnd(ChainId("shard-1"), ClientId(SHARD_CLIENT))
KEY = PacketKey(HUB, 1)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with running_pair(tmp_path_factory.mktemp("pair")) as running:
        running.send_from_hub()
        asyncio.run(until(running.hub.has_sent, "the packet to be sent"))
        yield running


def prove(
    pair: Pair,
    change: Callable[[actions.ProofRequest], actions.ProofRequest] = lambda item: item,
    meddle: Callable[[Prover, ChainNodes], None] = lambda prover, hub: None,
    duty: Duty = Duty.RECEIVE,
) -> events.BatchProved:
    """Prove the one packet that the hub has sent, at the newest header."""

    async def run() -> events.BatchProved:
        async with connected(pair.config) as (hub, shard):
            sent = await pending(hub)
            prover = Prover({hub.chain_id: hub, shard.chain_id: shard}, time.time_ns)
            view = (await queries.get_client(shard, SHARD.client)).view
            target = (await queries.get_head(hub)).height
            item = change(actions.ProofRequest(KEY, duty, sent, SUCCESS))
            meddle(prover, hub)
            action = actions.ProveBatch(BatchId(1), SHARD, HUB, target, view.height, (item,))
            return await prover.prove(action)

    return asyncio.run(run())


async def pending(hub: ChainNodes) -> bytes:
    from relayer.types import Link

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        listed = await open_packets.list_pending(hub, HUB, Link(HUB, SHARD))
        if listed and (await queries.get_head(hub)).height > listed[0].height:
            return listed[0].packet_bytes
        await asyncio.sleep(0.05)
    raise AssertionError("no packet")


def test_an_honest_node_gives_a_header_and_a_proof(pair: Pair) -> None:
    result = prove(pair)
    assert len(result.headers) == 1
    assert [type(item) for item in result.items] == [events.ItemProved]


def test_no_header_is_needed_for_a_height_that_the_client_knows(pair: Pair) -> None:
    async def run() -> events.BatchProved:
        async with connected(pair.config) as (hub, shard):
            prover = Prover({hub.chain_id: hub, shard.chain_id: shard}, time.time_ns)
            known = (await queries.get_client(shard, SHARD.client)).view.height
            return await prover.prove(actions.ProveBatch(BatchId(1), SHARD, HUB, known, known, ()))

    assert asyncio.run(run()).headers == ()


def test_a_packet_that_was_not_sent_is_proven_to_be_absent(pair: Pair) -> None:
    def change(item: actions.ProofRequest) -> actions.ProofRequest:
        packet = packet_pb2.Packet.FromString(item.packet_bytes)
        packet.sequence = 77
        return actions.ProofRequest(item.key, item.duty, encode(packet), b"")

    (item,) = prove(pair, change).items
    assert item == events.ItemAbsent(KEY)


def test_a_packet_with_another_content_is_known_as_forged(pair: Pair) -> None:
    def change(item: actions.ProofRequest) -> actions.ProofRequest:
        packet = packet_pb2.Packet.FromString(item.packet_bytes)
        packet.payloads[0].value += b"x"
        return actions.ProofRequest(item.key, item.duty, encode(packet), b"")

    (item,) = prove(pair, change).items
    assert isinstance(item, events.ItemUnproved)
    assert item.failure.code == PacketForged.CODE


def test_a_receipt_that_does_not_exist_proves_a_timeout(pair: Pair) -> None:
    def change(item: actions.ProofRequest) -> actions.ProofRequest:
        packet = packet_pb2.Packet.FromString(item.packet_bytes)
        packet.destination_client = HUB_CLIENT
        return actions.ProofRequest(item.key, Duty.TIMEOUT, encode(packet), b"")

    (item,) = prove(pair, change).items
    assert isinstance(item, events.ItemProved)


def test_an_acknowledgement_that_was_not_written_is_absent(pair: Pair) -> None:
    (item,) = prove(pair, duty=Duty.ACKNOWLEDGE).items
    assert item == events.ItemAbsent(KEY)


def lie(monkeypatch: pytest.MonkeyPatch, change: Callable[[node_pb2.ProveResponse], None]) -> None:
    """Let the node's answers about proofs be changed."""
    honest = queries.prove_many

    async def lying(
        nodes: ChainNodes, keys: Sequence[bytes], height: Height
    ) -> Sequence[node_pb2.ProveResponse]:
        answers = await honest(nodes, keys, height)
        for answer in answers:
            change(answer)
        return answers

    monkeypatch.setattr(queries, "prove_many", lying)


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: setattr(answer, "proof", b""),
        lambda answer: setattr(answer, "proof", answer.proof[:-1]),
        lambda answer: setattr(answer, "proof", answer.proof.replace(answer.value[:4], b"abcd")),
        lambda answer: setattr(answer, "value", b""),
        lambda answer: setattr(answer, "value", bytes(32)),
    ],
    ids=["no proof", "cut off", "another value", "value denied", "wrong value"],
)
def test_a_wrong_proof_is_found_out(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, change: Callable[[node_pb2.ProveResponse], None]
) -> None:
    lie(monkeypatch, change)
    (item,) = prove(pair).items
    assert isinstance(item, events.ItemUnproved)
    assert item.failure.code == ProofUnusable.CODE


def test_a_node_with_a_wrong_proof_is_asked_last_from_then_on(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie(monkeypatch, lambda answer: setattr(answer, "proof", b""))
    seen: list[ChainNodes] = []
    prove(pair, meddle=lambda prover, hub: seen.append(hub))
    (node,) = seen[0].nodes
    assert node.doubted_until_s > node.cooling_until_s


def meddle_with_blocks(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[types_pb2.LightBlock], None]
) -> None:
    honest = queries.get_light_block

    async def lying(nodes: ChainNodes, height: Height) -> types_pb2.LightBlock:
        block = await honest(nodes, height)
        change(block)
        return block

    monkeypatch.setattr(queries, "get_light_block", lying)


def test_a_header_that_was_changed_is_found_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    meddle_with_blocks(
        monkeypatch,
        lambda block: setattr(block.signed_header.header, "app_hash", bytes(32)),
    )
    with pytest.raises(HeaderHashMismatch):
        prove(pair)


def test_a_commit_with_a_forged_signature_is_found_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def forge(block: types_pb2.LightBlock) -> None:
        for slot in block.signed_header.commit.signatures:
            slot.signature = bytes(64)

    meddle_with_blocks(monkeypatch, forge)
    with pytest.raises(MalformedCommit):
        prove(pair)


def test_one_vote_that_does_not_verify_here_is_left_out(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    # CometBFT accepts some signatures that libsodium refuses.
    def forge(block: types_pb2.LightBlock) -> None:
        block.signed_header.commit.signatures[1].signature = bytes(64)

    meddle_with_blocks(monkeypatch, forge)
    result = prove(pair)
    assert [type(item) for item in result.items] == [events.ItemProved]


def test_blocks_are_fetched_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[Height] = []
    honest = queries.get_light_block

    async def count(nodes: ChainNodes, height: Height) -> object:
        fetched.append(height)
        return await honest(nodes, height)

    monkeypatch.setattr(queries, "get_light_block", count)

    async def run() -> None:
        async with connected(pair.config) as (hub, shard):
            prover = Prover({hub.chain_id: hub, shard.chain_id: shard}, time.time_ns)
            known = (await queries.get_client(shard, SHARD.client)).view.height
            target = (await queries.get_head(hub)).height
            for _ in range(3):
                await prover.prove(actions.ProveBatch(BatchId(1), SHARD, HUB, target, known, ()))

    asyncio.run(run())
    assert len(fetched) == 1


def test_a_client_that_was_recovered_with_a_longer_life_is_asked_for_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = queries.get_client

    async def get_short(nodes: ChainNodes, client_id: ClientId) -> queries.ClientInfo:
        info = await honest(nodes, client_id)
        trust = replace(info.state.trust, trusting_period_ns=1)
        return replace(info, state=replace(info.state, trust=trust))

    async def run() -> events.BatchProved:
        async with connected(pair.config) as (hub, shard):
            prover = Prover({hub.chain_id: hub, shard.chain_id: shard}, time.time_ns)
            known = (await honest(shard, SHARD.client)).view.height
            action = actions.ProveBatch(
                BatchId(1), SHARD, HUB, (await queries.get_head(hub)).height, known, ()
            )
            monkeypatch.setattr(queries, "get_client", get_short)
            with pytest.raises(TrustExpired):
                await prover.prove(action)
            monkeypatch.setattr(queries, "get_client", honest)
            return await prover.prove(action)

    assert len(asyncio.run(run()).headers) == 1


def test_too_many_headers_hold_up_the_lane_and_are_no_fault_of_a_packet(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prover_module, "MAX_MESSAGES", 1)
    with pytest.raises(AppError) as failure:
        prove(pair)
    assert consequence_of(failure_of(failure.value)) is Consequence.LANE
