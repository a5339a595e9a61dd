"""What a relayer takes up: filters by port and by packet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from relayer.config import FilterConfig
from relayer.events import (
    BlockSeen,
    BodyWanted,
    FinishedPacket,
    HeadSeen,
    ListedPacket,
    PendingListed,
    SentPacket,
    WrittenAck,
)
from relayer.filters import list_doubts, take_ports
from relayer.types import BodyKey, ChainId, Height, PacketKey, TimeNs
from tests.support.relayer import ended, received, running_pair, running_relayer, until
from tests.support.relayer_chain import make_packet
from tests.support.relayer_world import HUB, SHARD
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2

if TYPE_CHECKING:
    from pathlib import Path

FROM_HUB = SentPacket(PacketKey(HUB, 1), make_packet(HUB, SHARD, 1, 9), 9, Height(3))
FROM_SHARD = SentPacket(PacketKey(SHARD, 1), make_packet(SHARD, HUB, 1, 9, fl_pb2.Checkpoint()), 9, Height(3))
WRITTEN = WrittenAck(FROM_HUB.key, FROM_HUB.packet_bytes, 9, b"ack")
FINISHED = FinishedPacket(FROM_SHARD.key, timed_out=False)
BLOCK = BlockSeen(ChainId("hub-1"), Height(3), (FROM_HUB, FROM_SHARD), (WRITTEN,), (FINISHED,))
BODY = BodyWanted(BodyKey(SHARD, 1, 1, 0), b"root", 3)


def test_without_a_filter_everything_is_taken_up() -> None:
    for event in (BLOCK, BODY, HeadSeen(ChainId("hub-1"), Height(1), TimeNs(1))):
        assert take_ports(event, FilterConfig()) is event


@pytest.mark.parametrize("chosen", [FilterConfig(ports=("fl.shard",)), FilterConfig(skip_ports=("fl.hub",))])
def test_packets_of_other_ports_are_left_out_of_blocks(chosen: FilterConfig) -> None:
    left = take_ports(BLOCK, chosen)
    assert left == replace(BLOCK, sent=(FROM_SHARD,), written=())


def test_packets_of_other_ports_are_left_out_of_lists() -> None:
    listed = PendingListed(HUB, (ListedPacket(FROM_HUB),))
    assert take_ports(listed, FilterConfig(ports=("fl.shard",))) == PendingListed(HUB, ())
    assert take_ports(listed, FilterConfig(ports=("fl.hub",))) == listed


@pytest.mark.parametrize(
    "chosen", [FilterConfig(), FilterConfig(ports=("fl.hub",), skip_ports=("fl.shard",))]
)
def test_the_ports_of_hub_and_shards_raise_no_doubt(chosen: FilterConfig) -> None:
    assert list_doubts(chosen) == ()


def test_a_port_that_neither_hub_nor_shards_have_raises_a_doubt() -> None:
    doubts = list_doubts(FilterConfig(ports=("fl.hub", "fl.shards"), skip_ports=("bench",)))
    assert doubts == (
        "ports names fl.shards, which gradchain's chains do not have (they have fl.hub, fl.shard); fl.shard was meant?",
        "skip_ports names bench, which gradchain's chains do not have (they have fl.hub, fl.shard)",
    )


def test_bodies_go_with_the_port_of_shards() -> None:
    assert take_ports(BODY, FilterConfig(ports=("fl.hub",))) is None
    assert take_ports(BODY, FilterConfig(skip_ports=("fl.hub",))) is BODY


def test_a_relayer_carries_the_ports_that_it_is_told(tmp_path: Path) -> None:
    with running_pair(tmp_path) as pair:
        config = replace(pair.config, filter=FilterConfig(ports=("fl.shard",)))

        async def run() -> None:
            pair.send_from_hub()
            async with running_relayer(config) as task:
                pair.send_from_hub()
                pair.send_from_shard()
                await until(lambda: ended(pair.shard) == ["acknowledged"], "an acknowledgement", task)

        asyncio.run(run())
        assert (received(pair.hub), received(pair.shard)) == (1, 0)
