"""Keys and records of the shard's state."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.checkpoints.types import Delivery, DeliveryStatus
from shards.rounds.keys import (
    live_key,
    newest_key,
    newest_prefix,
    parse_live_key,
    parse_newest_key,
    parse_retire_key,
    retire_key,
)
from shards.rounds.types import Progress, RoundId, RoundStatus
from shards.updates.keys import parse_record_key, record_key
from shards.updates.types import SlotUse, UpdateRecord

u64 = st.integers(0, 2**64 - 1) | st.integers(0, 300)
u32 = st.integers(0, 2**32 - 1)
round_ids = st.builds(RoundId, u64, u64, u32)
digests = st.binary(min_size=32, max_size=32)


@given(round_ids, round_ids)
def test_round_ids_sort_as_their_bytes_do(one: RoundId, other: RoundId) -> None:
    assert (one < other) == (one.encode() < other.encode())
    assert RoundId.decode(one.encode()) == one


@given(round_ids, round_ids)
def test_newer_rounds_of_a_task_sort_first(one: RoundId, other: RoundId) -> None:
    sibling = RoundId(one.task, other.number, other.attempt)
    assert (one > sibling) == (newest_key(one) < newest_key(sibling))
    assert newest_key(one).startswith(newest_prefix(one.task))
    assert parse_newest_key(newest_key(one)) == one


@given(u64, u64, round_ids)
def test_rounds_retire_in_the_order_of_time(time_ns: int, later_ns: int, round_id: RoundId) -> None:
    assert parse_retire_key(retire_key(time_ns, round_id)) == (time_ns, round_id)
    assert parse_live_key(live_key(round_id)) == round_id
    if time_ns < later_ns:
        assert retire_key(time_ns, round_id) < retire_key(later_ns, round_id)


@given(round_ids, digests)
def test_a_record_key_tells_its_participant(round_id: RoundId, participant: bytes) -> None:
    assert parse_record_key(record_key(round_id, participant)) == participant


@given(st.builds(UpdateRecord, st.sampled_from(SlotUse), u64, u64, digests, digests))
def test_update_records_survive_their_encoding(record: UpdateRecord) -> None:
    assert UpdateRecord.decode(record.encode()) == record


@given(st.builds(Progress, st.sampled_from(RoundStatus), u32, u32))
def test_progress_survives_its_encoding(progress: Progress) -> None:
    assert Progress.decode(progress.encode()) == progress


@given(st.builds(Delivery, st.sampled_from(DeliveryStatus), u64, u64))
def test_deliveries_survive_their_encoding(delivery: Delivery) -> None:
    assert Delivery.decode(delivery.encode()) == delivery


def test_a_damaged_record_is_not_taken() -> None:
    with pytest.raises(struct.error):
        Progress.decode(b"\x01")
