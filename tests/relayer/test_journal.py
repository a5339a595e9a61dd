"""The journal: what is written is there, all of a turn or nothing, whatever happens to the process."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relayer import journal as journal_module
from relayer.actions import PutBody, PutCursor, PutPacket, PutTx
from relayer.driver import Driver
from relayer.errors import JournalInUse, JournalMissing, JournalTooNew, JournalTooOld, JournalUnusable
from relayer.journal import SCHEMA_VERSION, Journal, JournalReader
from relayer.journal_schema import MIGRATIONS, PUT_PACKET, packet_row
from relayer.state import Restored
from relayer.types import (
    BodyKey,
    BodyRecord,
    ChainId,
    ClientId,
    Duty,
    Failure,
    Height,
    LinkEnd,
    PacketKey,
    PacketRecord,
    Step,
    TimeNs,
    TxHash,
    TxRecord,
    TxState,
)
from tests.support.relayer_journal_writer import HUB, PACKETS_A_TURN, make_packet_record, make_turn
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SHARD = LinkEnd(ChainId("shard-1"), ClientId("07-tendermint-1"))
LARGEST = (1 << 63) - 1
NUMBERS = st.integers(min_value=0, max_value=LARGEST)
TIMES = NUMBERS.map(TimeNs)
FAILURES = st.none() | st.builds(Failure, st.text(min_size=1, max_size=9), NUMBERS, st.text(max_size=30))
ENDS = st.sampled_from([HUB, SHARD])

PACKETS = st.builds(
    PacketRecord,
    key=st.builds(PacketKey, ENDS, NUMBERS),
    packet_bytes=st.binary(max_size=40),
    timeout_s=NUMBERS,
    duty=st.sampled_from(Duty),
    step=st.sampled_from([step for step in Step if step is not Step.DONE]),
    provable_from=NUMBERS.map(Height),
    seen_ns=TIMES,
    changed_ns=TIMES,
    acknowledgement=st.binary(max_size=40),
    tx_hash=st.binary(max_size=32).map(TxHash),
    attempts=NUMBERS,
    not_before_ns=TIMES,
    alone=st.booleans(),
    failure=FAILURES,
)
TXS = st.builds(
    TxRecord,
    tx_hash=st.binary(min_size=1, max_size=32).map(TxHash),
    lane=ENDS,
    tx_bytes=st.binary(max_size=40),
    expires_at_ns=TIMES,
    state=st.just(TxState.PENDING),
    made_ns=TIMES,
    height=NUMBERS.map(Height),
    failure=FAILURES,
)
BODIES = st.builds(
    BodyRecord,
    key=st.builds(BodyKey, ENDS, NUMBERS, NUMBERS, NUMBERS),
    body_root=st.binary(max_size=32),
    parts=NUMBERS,
    done=st.just(False),
    seen_ns=TIMES,
    changed_ns=TIMES,
    attempts=NUMBERS,
    refusals=NUMBERS,
    not_before_ns=TIMES,
    outcome=st.text(max_size=9),
    failure=FAILURES,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relayer.db"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    packets=st.lists(PACKETS, max_size=5, unique_by=lambda record: record.key),
    txs=st.lists(TXS, max_size=3, unique_by=lambda record: record.tx_hash),
    bodies=st.lists(BODIES, max_size=3, unique_by=lambda record: record.key),
    number=st.integers(),
)
def test_every_record_comes_back_as_it_was(
    path: Path, packets: list[PacketRecord], txs: list[TxRecord], bodies: list[BodyRecord], number: int
) -> None:
    own = path.with_name(f"{number}.db")
    own.unlink(missing_ok=True)
    with Journal(own) as journal:
        journal.apply([*map(PutPacket, packets), *map(PutTx, txs), *map(PutBody, bodies)])
    with Journal(own) as journal:
        restored = journal.restore()
    assert set(restored.packets) == set(packets)
    assert set(restored.txs) == set(txs)
    assert set(restored.bodies) == set(bodies)


def test_a_new_journal_holds_nothing(path: Path) -> None:
    with Journal(path) as journal:
        assert journal.restore() == Restored()


def test_what_is_done_is_not_taken_up_again(path: Path) -> None:
    record = make_packet_record(1, 0)
    with Journal(path) as journal:
        journal.apply(make_turn(1))
        journal.apply([PutPacket(replace(record, step=Step.DONE))])
        tx = journal.restore().txs[0]
        journal.apply([PutTx(replace(tx, state=TxState.INCLUDED, tx_bytes=b""))])
        restored = journal.restore()
    assert [packet.key.sequence for packet in restored.packets] == [4, 5]
    assert restored.txs == ()


def test_a_packet_that_is_done_stays_for_people_but_without_its_bytes(path: Path) -> None:
    record = replace(make_packet_record(1, 0), step=Step.DONE, acknowledgement=b"ack")
    with Journal(path) as journal:
        journal.apply([PutPacket(record)])
    reader = JournalReader(path)
    (kept,) = reader.packets()
    reader.close()
    assert (kept.key, kept.packet_bytes, kept.acknowledgement) == (record.key, b"", b"")


def test_the_oldest_of_what_is_done_is_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "KEPT_DONE", 3)
    with Journal(path) as journal:
        journal.apply(
            [PutPacket(replace(make_packet_record(turn, 0), step=Step.DONE)) for turn in range(1, 11)]
        )
        journal.apply([PutPacket(make_packet_record(20, 0))])
    with Journal(path):
        pass
    reader = JournalReader(path)
    sequences = [packet.key.sequence for packet in reader.packets()]
    reader.close()
    assert sequences == [21, 24, 27, 30, 60]


def test_what_is_done_is_forgotten_while_the_journal_is_open(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relayer runs for months, at hundreds of packets a second."""
    monkeypatch.setattr(journal_module, "KEPT_DONE", 3)
    monkeypatch.setattr(journal_module, "PRUNE_EVERY", 5)
    with Journal(path) as journal:
        for turn in range(1, 31):
            journal.apply([PutPacket(replace(make_packet_record(turn, 0), step=Step.DONE))])
        journal.apply([PutPacket(make_packet_record(40, 0))])
        reader = JournalReader(path)
        sequences = [packet.key.sequence for packet in reader.packets()]
        reader.close()
    assert sequences[-4:] == [84, 87, 90, 120]
    assert len(sequences) < 10


def test_what_is_forgotten_stays_counted(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "KEPT_DONE", 2)
    for first in (1, 11):
        with Journal(path) as journal:
            for turn in range(first, first + 10):
                *_, signed = make_turn(turn)
                assert isinstance(signed, PutTx)
                state = TxState.FAILED if turn % 5 == 0 else TxState.INCLUDED
                journal.apply([PutTx(replace(signed.record, state=state))])
                journal.apply([PutPacket(replace(make_packet_record(turn, 0), step=Step.DONE))])
    with Journal(path) as journal:
        journal.apply([PutPacket(make_packet_record(30, 0))])
    reader = JournalReader(path)
    kept = len(reader.packets()), len(reader.txs())
    counts = reader.count_packets(), reader.count_txs()
    reader.close()
    assert kept == (4, 3)
    assert counts == (
        {("hub-1", "receive", "done"): 20, ("hub-1", "receive", "submitted"): 1},
        {("hub-1", TxState.INCLUDED): 16, ("hub-1", TxState.FAILED): 4},
    )


def test_a_journal_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    record = make_packet_record(1, 0)
    connection = sqlite3.connect(path)
    connection.executescript(MIGRATIONS[0])
    connection.execute("PRAGMA user_version = 1")
    connection.execute(PUT_PACKET, packet_row(record))
    connection.commit()
    connection.close()
    with pytest.raises(JournalTooOld, match="in version 2, got 1"):
        JournalReader(path)
    with Journal(path) as journal:
        assert journal.restore().packets == (record,)
    reader = JournalReader(path)
    assert reader.count_packets() == {("hub-1", "receive", "submitted"): 1}
    reader.close()


def test_a_turn_is_written_as_a_whole_or_not_at_all(path: Path) -> None:
    too_large = PutPacket(replace(make_packet_record(1, 0), timeout_s=1 << 70))
    with Journal(path) as journal:
        with pytest.raises(JournalUnusable):
            journal.apply([PutCursor(HUB.chain, Height(9)), too_large])
        assert journal.restore() == Restored()


def test_only_one_process_may_have_a_journal(path: Path) -> None:
    with Journal(path), pytest.raises(JournalInUse, match=f"got a running relayer, process {os.getpid()} "):
        Journal(path)


def test_a_closed_journal_may_be_opened_by_the_next(path: Path) -> None:
    with Journal(path) as journal:
        journal.apply(make_turn(1))
    with Journal(path) as journal:
        assert journal.restore().cursors == {HUB.chain: 1}


def test_a_journal_of_a_newer_version_is_left_alone(path: Path) -> None:
    with Journal(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    with pytest.raises(JournalTooNew):
        Journal(path)
    with pytest.raises(JournalTooNew):
        JournalReader(path)


def test_a_damaged_journal_is_reported(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(JournalUnusable):
        Journal(path)


def test_a_journal_that_is_not_there_can_only_be_missed(path: Path) -> None:
    with pytest.raises(JournalMissing):
        JournalReader(path)


def test_a_reader_sees_what_a_running_relayer_has_written(path: Path) -> None:
    with Journal(path) as journal:
        journal.apply(make_turn(1))
        reader = JournalReader(path)
        journal.apply(make_turn(2))
        assert reader.unfinished().cursors == {HUB.chain: 2}
        assert reader.count_packets() == {("hub-1", "receive", "submitted"): 2 * PACKETS_A_TURN}
        assert reader.count_txs() == {("hub-1", TxState.PENDING): 2}
        assert [tx.made_ns for tx in reader.txs()] == [1, 2]
        reader.close()


def test_only_what_will_be_paid_for_is_synced_at_once(path: Path) -> None:
    cursor, *_, signed = make_turn(1)
    assert isinstance(signed, PutTx)
    executed = PutTx(replace(signed.record, state=TxState.INCLUDED))
    with Journal(path) as journal:
        connection = journal._connection
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        for writes, level in (([cursor], 1), ([cursor, signed], 2), ([executed], 1), ([signed], 2)):
            journal.apply(writes)
            assert connection.execute("PRAGMA synchronous").fetchone()[0] == level


@pytest.mark.parametrize("turns_before_death", [1, 7, 20])
def test_a_killed_process_has_written_whole_turns_and_all_that_it_reported(
    path: Path, turns_before_death: int
) -> None:
    command = [sys.executable, "-m", "tests.support.relayer_journal_writer", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(turns_before_death)]
        process.kill()
        reported += [int(line) for line in process.stdout if line.endswith("\n")]
    with Journal(path) as journal:
        restored = journal.restore()
    last = restored.cursors[HUB.chain]
    assert last >= reported[-1]
    expected = {
        make_packet_record(turn, index) for turn in range(1, last + 1) for index in range(PACKETS_A_TURN)
    }
    assert set(restored.packets) == expected
    assert len(restored.txs) == last


def test_a_journal_that_is_just_being_made_is_none_yet(tmp_path: Path) -> None:
    (tmp_path / "relayer.db").touch()
    with pytest.raises(JournalMissing):
        JournalReader(tmp_path / "relayer.db")


def test_a_write_is_committed_although_who_waits_for_it_is_cancelled(tmp_path: Path) -> None:
    driver = Driver.__new__(Driver)
    is_free = threading.Event()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        loop.run_in_executor(None, is_free.wait)
        task = asyncio.create_task(driver._write_journal(make_turn(1)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        is_free.set()
        driver.journal.apply(make_turn(2))

    with Journal(tmp_path / "relayer.db") as driver.journal:
        asyncio.run(run())
        assert driver.journal.restore().cursors
