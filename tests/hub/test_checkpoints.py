"""The headers of checkpoints, as packets on the hub's port."""

from __future__ import annotations

import pytest

from hub.rounds.header import bound_body_bytes
from hub.rounds.query import read_checkpoint
from hub.rounds.state import get_shard_round
from hub.rounds.types import ShardStatus
from ibc.packet import ERROR_ACK
from ibc.ports import SUCCESS_ACK
from tests.support.federation import make_checkpoint, make_updates
from tests.support.hub import HubChain, start_training
from wire.gradchain.fl.v1 import packet_pb2
from wire.gradchain.hub.v1 import query_pb2


@pytest.fixture
def training() -> tuple[HubChain, int]:
    return start_training(2, 4)


def status_of(chain: HubChain, task: int, shard: str) -> ShardStatus:
    record = get_shard_round(chain.state, chain.newest(task), shard)
    assert record is not None
    return record.status


def test_a_header_announces_a_body(training: tuple[HubChain, int]) -> None:
    chain, task = training
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    assert chain.deliver("shard-1", made.packet()) == SUCCESS_ACK
    assert "checkpoint_received" in chain.event_kinds()
    answer = read_checkpoint(chain.state, task, 1, 0, "shard-1")
    assert answer.state.status == query_pb2.SHARD_ROUND_STATUS_CHECKPOINTED
    assert (answer.state.updates, answer.state.total_weight) == (2, 2 * part.info.unit_weight)
    assert (answer.state.body_bytes, answer.state.parts) == (made.header.body_bytes, 1)
    assert list(answer.missing) == [0]


def test_a_checkpoint_without_updates_is_complete_at_once(training: tuple[HubChain, int]) -> None:
    chain, task = training
    made = make_checkpoint(chain.parts(task)[0], [])
    assert chain.deliver("shard-1", made.packet()) == SUCCESS_ACK
    assert status_of(chain, task, "shard-1") is ShardStatus.COMPLETE


def test_a_shard_sends_one_checkpoint_a_round(training: tuple[HubChain, int]) -> None:
    chain, task = training
    made = make_checkpoint(chain.parts(task)[0])
    chain.deliver("shard-1", made.packet())
    assert chain.deliver("shard-1", made.packet()) == b"AlreadyCheckpointed"


def test_a_checkpoint_counts_for_the_shard_of_its_client(training: tuple[HubChain, int]) -> None:
    """Another shard's checkpoint over one's own client is checked, and counts, as one's own."""
    chain, task = training
    made = make_checkpoint(chain.parts(task)[0])
    assert chain.deliver("shard-2", made.packet()) == SUCCESS_ACK
    assert status_of(chain, task, "shard-1") is ShardStatus.WAITING
    assert status_of(chain, task, "shard-2") is ShardStatus.CHECKPOINTED


def test_a_client_of_no_shard_is_not_listened_to(training: tuple[HubChain, int]) -> None:
    chain, task = training
    chain.create_client("shard-3")
    made = make_checkpoint(chain.parts(task)[0])
    assert chain.deliver("shard-3", made.packet()) == b"ForeignClient"


def test_an_earlier_client_of_a_shard_is_not_listened_to(training: tuple[HubChain, int]) -> None:
    chain, task = training
    chain.create_client("shard-1")  # a second client of the chain, which is not registered
    made = make_checkpoint(chain.parts(task)[0])
    assert chain.deliver("shard-1", made.packet()) == b"ForeignClient"


def test_a_shard_without_a_part_in_the_round_is_refused() -> None:
    chain, task = start_training(2, 2, participants_per_round=1)
    made = make_checkpoint(chain.parts(task)[0])
    assert chain.deliver("shard-2", made.packet()) == b"RoundNotFound"


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("task", 2, b"TaskNotFound"),
        ("task", 0, b"TaskNotFound"),
        ("task", 2**64 - 1, b"TaskNotFound"),
        ("round", 2, b"RoundNotFound"),
        ("round", 0, b"RoundNotFound"),
        ("round", 2**64 - 1, b"RoundNotFound"),
        ("attempt", 1, b"RoundNotFound"),
        ("attempt", 2**32 - 1, b"RoundNotFound"),
        ("scale", 9, b"InvalidCheckpoint"),
        ("updates", 3, b"InvalidCheckpoint"),
        ("updates", 0, b"InvalidCheckpoint"),
        ("total_weight", 2 * 32_767 + 1, b"InvalidCheckpoint"),
        ("body_bytes", 0, b"InvalidCheckpoint"),
        ("body_bytes", 149, b"InvalidCheckpoint"),
        ("body_bytes", 10**6, b"InvalidCheckpoint"),
        ("body_bytes", 2**64 - 1, b"InvalidCheckpoint"),
        ("body_root", b"", b"InvalidField"),
        ("certificates_root", b"\x01" * 31, b"InvalidField"),
        ("commitments_root", b"\x01" * 33, b"InvalidField"),
        ("grams_root", b"", b"InvalidField"),
    ],
)
def test_a_header_that_contradicts_its_round_is_refused(
    training: tuple[HubChain, int], field: str, value: int | bytes, error: bytes
) -> None:
    chain, task = training
    made = make_checkpoint(chain.parts(task)[0])
    setattr(made.header, field, value)
    before = chain.state.digest()
    overlay_before = status_of(chain, task, "shard-1")
    assert chain.deliver("shard-1", made.packet()) == error
    assert status_of(chain, task, "shard-1") is overlay_before
    assert chain.state.digest() == before


def test_a_checkpoint_without_updates_has_no_body(training: tuple[HubChain, int]) -> None:
    chain, task = training
    made = make_checkpoint(chain.parts(task)[0], [])
    made.header.body_bytes = 1
    assert chain.deliver("shard-1", made.packet()) == b"InvalidCheckpoint"


def test_a_packet_of_another_kind_is_refused(training: tuple[HubChain, int]) -> None:
    chain, task = training
    assert chain.deliver("shard-1", packet_pb2.ShardPacket()) == b"UnknownPacket"
    made = make_checkpoint(chain.parts(task)[0])
    assert chain.deliver("shard-1", made.packet(), version="gradchain-2") == b"UnknownPacket"
    assert chain.deliver("shard-1", made.packet(), encoding="application/json") == b"UnknownPacket"


def test_a_packet_with_an_unknown_field_is_refused(training: tuple[HubChain, int]) -> None:
    chain, task = training
    made = make_checkpoint(chain.parts(task)[0])
    odd = packet_pb2.ShardPacket.FromString(made.packet().SerializeToString() + b"\xf8\x01\x01")
    assert chain.deliver("shard-1", odd) == b"UnknownField"


def test_true_bodies_are_within_the_bounds(training: tuple[HubChain, int]) -> None:
    chain, task = training
    for part in chain.parts(task):
        updates = make_updates(part)
        for count in range(1, len(updates) + 1):
            made = make_checkpoint(part, updates[:count])
            low, high = bound_body_bytes(50, count)
            assert low <= made.header.body_bytes <= high


def test_the_bounds_of_a_large_body_hold_the_largest_messages() -> None:
    """Sizes of the parts as protobuf writes them at the limits of every field, for 1,024 updates of 32 blobs."""
    statement = 52 + 11 + 11 + 6 + 52 + 34 + 34 + 34 + 2 + 32 * 50 + 34 + 11 + 11 + 11
    certificate = 4 + 25 + 4 + statement + 66 + 6 + 4 + 12 + 17 * 34
    gram = 4 + 32 + 6 + 3 + 5 + 128 * 129 // 2 * 8
    column = 2 + 40 + 2 + 50
    aggregate = 5 + 3 * 32 * 40_960
    largest = 1_024 * certificate + 8 * gram + 32 * column + aggregate
    assert largest <= bound_body_bytes(32 * 40_960, 1_024)[1]


# --- what becomes of the hub's own packets ---------------------------------------------------------------------------


def test_a_shard_that_was_not_told_in_time_is_missing(training: tuple[HubChain, int]) -> None:
    chain, task = training
    packet, _ = chain.sent()[1]
    chain.answer(packet, None)
    chain.block()
    assert chain.event_kinds() == ["shard_missing"]
    assert status_of(chain, task, "shard-2") is ShardStatus.MISSING


def test_a_shard_that_refuses_a_round_is_missing(training: tuple[HubChain, int]) -> None:
    chain, task = training
    packet, _ = chain.sent()[0]
    chain.answer(packet, ERROR_ACK)
    chain.block()
    assert status_of(chain, task, "shard-1") is ShardStatus.MISSING


def test_a_shard_that_takes_a_round_is_waited_for(training: tuple[HubChain, int]) -> None:
    chain, task = training
    packet, _ = chain.sent()[0]
    chain.answer(packet, SUCCESS_ACK)
    chain.block()
    assert status_of(chain, task, "shard-1") is ShardStatus.WAITING


def test_a_timeout_after_the_checkpoint_changes_nothing(training: tuple[HubChain, int]) -> None:
    chain, task = training
    packet, _ = chain.sent()[0]
    chain.deliver("shard-1", make_checkpoint(chain.parts(task)[0]).packet())
    chain.answer(packet, None)
    chain.block()
    assert status_of(chain, task, "shard-1") is ShardStatus.CHECKPOINTED


def test_a_settlement_that_was_not_heard_changes_nothing() -> None:
    chain, task = start_training(1, 2, rounds=1)
    chain.run_round(task)
    ((packet, content),) = chain.sent()
    assert content.WhichOneof("kind") == "round_settled"
    before = chain.state.digest()
    chain.answer(packet, None)
    chain.block(after_s=0.5)
    assert chain.event_kinds() == []
    assert chain.state.digest() == before


def test_a_timeout_over_a_client_that_serves_no_shard_any_more_is_passed_over(
    training: tuple[HubChain, int],
) -> None:
    chain, _ = training
    packet, _content = chain.sent()[0]
    packet.source_client = "07-tendermint-9"
    chain.answer(packet, None)
    chain.block()
    assert chain.event_kinds() == []
