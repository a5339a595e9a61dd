"""The way of packets: recorded, bounded, and dispensable."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from relayer.actions import PutCursor, PutPacket, PutTx
from relayer.errors import PacketUnknown
from relayer.journal import Journal
from relayer.packetview import find_packet, list_packets
from relayer.state import RelayOptions, RelayState
from relayer.trail import Trail, read_moves, trail_path
from relayer.types import (
    NS_PER_SECOND,
    Duty,
    Failure,
    Height,
    PacketKey,
    PacketRecord,
    Step,
    TimeNs,
    TxHash,
    TxRecord,
    TxState,
)
from tests.support.relayer_world import HUB, SHARD

if TYPE_CHECKING:
    from pathlib import Path

STATE = RelayState(RelayOptions())
KEY = PacketKey(HUB, 7)
TX = TxHash(b"t" * 32)


def make_record(step: Step, at_s: int, *, duty: Duty = Duty.RECEIVE, key: PacketKey = KEY) -> PacketRecord:
    return PacketRecord(
        key=key,
        packet_bytes=b"packet",
        timeout_s=99,
        duty=duty,
        step=step,
        provable_from=Height(1),
        seen_ns=TimeNs(NS_PER_SECOND),
        changed_ns=TimeNs(at_s * NS_PER_SECOND),
        tx_hash=TX if step is Step.SUBMITTED else TxHash(b""),
        failure=Failure("relayer", 22, "lost") if step is Step.REFUSED else None,
    )


def test_the_moves_of_a_packet_come_in_their_order_with_their_transactions(tmp_path: Path) -> None:
    journal = tmp_path / "relayer.db"
    steps = [
        make_record(step, at_s) for at_s, step in enumerate((Step.WAITING, Step.PROVED, Step.SUBMITTED), 1)
    ]
    steps.append(make_record(Step.WAITING, 4, duty=Duty.ACKNOWLEDGE))
    with Trail(trail_path(journal)) as trail:
        for record in steps:
            trail.note([PutPacket(record), PutCursor(HUB.chain, Height(1))], STATE, TimeNs(0))
    moves = read_moves(trail_path(journal), KEY)
    assert [move.stage for move in moves] == ["seen", "proved", "submitted", "committed"]
    assert [move.at_ns // NS_PER_SECOND for move in moves] == [1, 2, 3, 4]
    assert [move.tx_hash for move in moves] == [b"", b"", TX, b""]
    with Journal(journal) as opened:
        sent = TxRecord(TX, SHARD, b"", TimeNs(1), TxState.INCLUDED, TimeNs(1), Height(5))
        opened.apply([PutPacket(steps[-1]), PutTx(sent)])
    view = find_packet(journal, KEY, 11 * NS_PER_SECOND)
    assert (view.stage, view.ended, view.age_s, view.timeout_s) == ("committed", False, 10, 99)
    submitted = view.moves[2]
    assert (submitted.tx_hash, submitted.tx_state, submitted.tx_height) == (TX.hex(), "included", 5)


def test_a_packet_that_the_journal_has_forgotten_is_known_by_its_trail(tmp_path: Path) -> None:
    journal = tmp_path / "relayer.db"
    Journal(journal).close()
    with Trail(trail_path(journal)) as trail:
        for at_s, step in ((1, Step.WAITING), (2, Step.DONE)):
            trail.note([PutPacket(make_record(step, at_s, duty=Duty.ACKNOWLEDGE))], STATE, TimeNs(0))
    view = find_packet(journal, KEY, 3 * NS_PER_SECOND)
    assert (view.stage, view.ended, len(view.moves)) == ("acknowledged", True, 2)


def test_a_packet_that_nobody_saw_is_unknown(tmp_path: Path) -> None:
    journal = tmp_path / "relayer.db"
    Journal(journal).close()
    with pytest.raises(PacketUnknown):
        find_packet(journal, KEY, 0)


def test_open_packets_are_listed_oldest_first_and_by_stage(tmp_path: Path) -> None:
    journal = tmp_path / "relayer.db"
    keys = [PacketKey(HUB, number) for number in (1, 2, 3)]
    with Journal(journal) as opened:
        records = [
            make_record(step, 1, key=key)
            for key, step in zip(keys, (Step.WAITING, Step.PROVED, Step.DONE), strict=True)
        ]
        opened.apply([PutPacket(record) for record in records])
    assert [packet.sequence for packet in list_packets(journal, "", 10, 0)] == [1, 2]
    assert [packet.sequence for packet in list_packets(journal, "", 1, 0)] == [1]
    assert [packet.sequence for packet in list_packets(journal, "proved", 10, 0)] == [2]


def test_the_oldest_moves_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    with Trail(path, kept=5) as trail:
        for number in range(1, 20):
            record = make_record(Step.WAITING, 1, key=PacketKey(HUB, number))
            trail.note([PutPacket(record)], STATE, TimeNs(0))
    assert not read_moves(path, PacketKey(HUB, 14))
    assert read_moves(path, PacketKey(HUB, 15))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM moves").fetchone() == (5,)


def test_a_trail_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    for at_s in (1, 2):
        with Trail(path) as trail:
            trail.note([PutPacket(make_record(Step.WAITING, at_s))], STATE, TimeNs(0))
    assert len(read_moves(path, KEY)) == 2


def test_a_place_that_takes_no_trail_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "trail"
    with Trail(path) as trail:
        trail.note([PutPacket(make_record(Step.WAITING, 1))], STATE, TimeNs(0))
    assert read_moves(path, KEY) == ()


def test_a_file_that_is_no_trail_is_read_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trail"
    path.write_bytes(b"not a database, " * 100)
    assert read_moves(path, PacketKey(HUB, 1)) == ()
