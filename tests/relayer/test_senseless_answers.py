"""Answers of nodes that make no sense: each is refused by name, whatever a node may say."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import pytest
from grpc import StatusCode, aio

from abci_app.errors import RpcMalformed
from abci_app.grpc_errors import ERROR_KEY
from abci_app.json_reader import parse_json
from abci_app.rpc_answers import BlockResults, parse_block_results
from relayer.actions import ListPending, QueryPacket
from relayer.config import NodeAddress
from relayer.errors import AnswerMalformed, EndpointsDown
from relayer.nodes import ChainNodes, remote_error
from relayer.open_packets import get_packet_status, list_some_pending
from relayer.queries import get_block_results, get_checkpoint
from relayer.types import MAX_STORED, BodyKey, Height, PacketKey
from tests.support.relayer_world import HUB, LINK, SHARD
from wire.gradchain.hub.v1 import query_pb2 as hub_pb2
from wire.gradchain.ibc.v1 import query_pb2 as ibc_pb2
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from relayer.nodes import Node

GARBAGE = b"\xff"
KEY = PacketKey(HUB, 1)


@dataclass
class Liar:
    """A node that answers what a test wants; each of its services is itself."""

    sequence: int = 1
    pending: int = 1
    acknowledgement: bytes = b""
    status: int = 0
    results_height: int = 7
    is_checked: bool = True
    behind_until_s: float = 0.0
    timeout_s: float = 1.0
    failures: int = 0
    cooling_until_s: float = 0.0
    doubted_until_s: float = 0.0

    @property
    def address(self) -> NodeAddress:
        return NodeAddress("http://127.0.0.1:1", "127.0.0.1:1")

    @property
    def ibc(self) -> Liar:
        return self

    @property
    def hub(self) -> Liar:
        return self

    @property
    def rpc(self) -> Liar:
        return self

    async def ListPendingPackets(self, *_: object, **__: object) -> ibc_pb2.ListPendingPacketsResponse:  # noqa: N802
        packet = packet_pb2.Packet(
            sequence=self.sequence,
            source_client=HUB.client,
            destination_client=SHARD.client,
            timeout_timestamp=9,
        )
        pending = ibc_pb2.PendingPacket(packet=packet, height=1)
        return ibc_pb2.ListPendingPacketsResponse(packets=[pending] * self.pending)

    async def GetPacketStatus(self, *_: object, **__: object) -> ibc_pb2.GetPacketStatusResponse:  # noqa: N802
        return ibc_pb2.GetPacketStatusResponse(received=True, acknowledgement=self.acknowledgement)

    async def ListPacketStatuses(self, *_: object, **__: object) -> ibc_pb2.ListPacketStatusesResponse:  # noqa: N802
        return ibc_pb2.ListPacketStatusesResponse(statuses=[await self.GetPacketStatus()] * self.pending)

    async def GetCheckpoint(self, *_: object, **__: object) -> hub_pb2.GetCheckpointResponse:  # noqa: N802
        answer = hub_pb2.GetCheckpointResponse()
        answer.state.status = cast("hub_pb2.ShardRoundStatus.ValueType", self.status)
        return answer

    async def block_results(self, _: int) -> BlockResults:
        return BlockResults(self.results_height, (), (), b"")

    async def subscribe_heights(self, cursor: int, attempts: int) -> AsyncGenerator[int, None]:
        yield cursor + 1


def nodes_of(*liars: Liar) -> ChainNodes:
    return ChainNodes(HUB.chain, "hub", [cast("Node", liar) for liar in liars])


def test_an_acknowledgement_that_does_not_decode_is_no_answer_about_a_packet() -> None:
    liar = nodes_of(Liar(acknowledgement=GARBAGE))
    with pytest.raises(EndpointsDown):
        asyncio.run(get_packet_status(liar, liar, QueryPacket(KEY, SHARD)))


def test_an_acknowledgement_that_does_not_decode_is_no_answer_in_a_list() -> None:
    liar = nodes_of(Liar(acknowledgement=GARBAGE))
    with pytest.raises(EndpointsDown):
        asyncio.run(list_some_pending(liar, liar, LINK, ListPending(HUB, SHARD)))


def test_a_list_that_ends_beyond_all_numbers_is_no_answer() -> None:
    liar = nodes_of(Liar(sequence=(1 << 64) - 1, pending=256))
    with pytest.raises(AnswerMalformed):
        asyncio.run(list_some_pending(liar, liar, LINK, ListPending(HUB, SHARD)))


def test_results_of_another_block_are_no_answer() -> None:
    with pytest.raises(EndpointsDown, match="height 6"):
        asyncio.run(get_block_results(nodes_of(Liar()), Height(6)))


def test_a_node_that_makes_no_sense_is_passed_over() -> None:
    liar, other = Liar(results_height=8), Liar()
    assert asyncio.run(get_block_results(nodes_of(liar, other), Height(7))).height == 7
    assert (liar.failures, other.failures) == (1, 0)


def test_a_status_that_no_shard_has_is_no_answer() -> None:
    with pytest.raises(EndpointsDown):
        asyncio.run(get_checkpoint(nodes_of(Liar(status=99)), BodyKey(SHARD, 1, 1, 1)))


def test_a_height_that_cannot_be_stored_is_no_news() -> None:
    async def follow() -> list[int]:
        return [height async for height in nodes_of(Liar()).follow_heights(MAX_STORED)]

    with pytest.raises(EndpointsDown, match=str(MAX_STORED)):
        asyncio.run(follow())


@pytest.mark.parametrize("digits", ["1" * 5_000, str(MAX_STORED + 1), str(1 << 32)])
def test_a_code_that_no_error_has_is_no_registered_error(digits: str) -> None:
    metadata = aio.Metadata((ERROR_KEY, f"hub/{digits}"))
    assert remote_error(aio.AioRpcError(StatusCode.NOT_FOUND, aio.Metadata(), metadata)) is None


def test_a_code_that_no_result_has_is_malformed() -> None:
    answer = b'{"height": "1", "txs_results": [{"code": %d}]}'
    with pytest.raises(RpcMalformed):
        parse_block_results(parse_json(answer % (1 << 32), "here"))
    assert parse_block_results(parse_json(answer % 5, "here")).txs[0].code == 5


@pytest.mark.parametrize("text", [b'"\\ud800"', b'{"a": ["\\uDFFF"]}', b'"\xed\xa0\x80"'])
def test_half_a_character_is_no_json(text: bytes) -> None:
    with pytest.raises(RpcMalformed):
        parse_json(text, "here")


def test_a_character_beyond_the_basic_plane_may_be_written_in_two_halves() -> None:
    assert parse_json(b'"\\ud83d\\ude00"', "here").value == "\N{GRINNING FACE}"
