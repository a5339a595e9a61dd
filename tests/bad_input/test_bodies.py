"""Bodies of checkpoints that contradict their headers, and arithmetic at its ends, on the real hub app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.state import BULK
from hub.accounts.keys import earned_key
from hub.accounts.state import MAX_EARNED, get_balance, get_earned
from hub.errors import BodyMismatch, WrongPart
from hub.rounds.state import get_shard_round
from hub.rounds.types import RoundId, ShardStatus
from hub.settlement.payout import divide_budget
from hub.settlement.types import Claim
from tests.support.federation import make_body, make_checkpoint, make_parts, make_updates, seal
from tests.support.hub import RELAYER, HubChain, body_message, make_spec, start_training
from tx.codec import encode
from tx.failures import InvalidSpec
from tx.specs import check_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.federation import ShardRound
    from wire.gradchain.fl.v1 import packet_pb2


@pytest.fixture
def training() -> tuple[HubChain, int]:
    """A hub with two shards of three participants each."""
    return start_training(2, 6)


def drop_a_certificate(body: packet_pb2.CheckpointBody) -> None:
    del body.certificates[-1]


def add_a_certificate(body: packet_pb2.CheckpointBody) -> None:
    body.certificates.append(body.certificates[0])


def add_a_column(body: packet_pb2.CheckpointBody) -> None:
    body.commitments.append(body.commitments[0])
    body.commitments[-1].column = 1


def drop_the_columns(body: packet_pb2.CheckpointBody) -> None:
    del body.commitments[:]


def drop_the_gram_matrix(body: packet_pb2.CheckpointBody) -> None:
    del body.grams[:]


def add_a_gram_matrix(body: packet_pb2.CheckpointBody) -> None:
    body.grams.append(body.grams[0])
    body.grams[-1].batch = 1


def status_of(chain: HubChain, part: ShardRound) -> tuple[ShardStatus, str, int]:
    record = get_shard_round(chain.state, RoundId(part.info.task, 1, 0), part.shard)
    assert record is not None
    return record.status, record.reject_codespace, record.reject_code


@pytest.mark.parametrize(
    "change",
    [
        drop_a_certificate,
        add_a_certificate,
        add_a_column,
        drop_the_columns,
        drop_the_gram_matrix,
        add_a_gram_matrix,
    ],
)
def test_a_body_with_lists_of_other_lengths_than_the_header_says_is_rejected(
    training: tuple[HubChain, int], change: Callable[[packet_pb2.CheckpointBody], None]
) -> None:
    """Its roots are those of the false lists; the number of updates is that of the round."""
    chain, task = training
    part = chain.parts(task)[0]
    body = make_body(part, make_updates(part))
    change(body)
    made = seal(part, body)
    made.header.updates = 3
    made.header.total_weight = 3 * part.info.unit_weight
    assert chain.deliver(part.shard, made.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, made.parts))
    assert status_of(chain, part) == (ShardStatus.REJECTED, BodyMismatch.CODESPACE, BodyMismatch.CODE)
    chain.complete(chain.parts(task)[1])
    assert chain.newest(task) == RoundId(task, 2, 0)


def test_a_part_past_the_last_one_is_refused(training: tuple[HubChain, int]) -> None:
    chain, task = training
    part = chain.parts(task)[0]
    made = make_checkpoint(part)
    chain.deliver(part.shard, made.packet())
    (only,) = make_parts(encode(made.body))
    only.index = 1
    assert chain.send(RELAYER, body_message(part, [only])) == (WrongPart.CODESPACE, WrongPart.CODE)
    assert chain.last is not None
    assert chain.last.results[0].log == "expected an index below 1, got 1"
    assert status_of(chain, part)[0] is ShardStatus.CHECKPOINTED


def test_a_task_without_participants_is_refused() -> None:
    spec = make_spec(min_participants=0)
    with pytest.raises(InvalidSpec, match="as min_participants, got 0"):
        check_spec(spec)


def test_a_task_without_shards_is_refused() -> None:
    spec = make_spec(min_shards=0)
    with pytest.raises(InvalidSpec, match="as min_shards, got 0"):
        check_spec(spec)


def test_claims_without_weight_are_paid_nothing() -> None:
    """Clipping can take the weight of every update of a round."""
    claims = [Claim(bytes([number]) * 32, 0) for number in range(2)]
    assert [payment.amount for payment in divide_budget(500, claims)] == [0, 0]


def test_earnings_beyond_what_is_counted_stop_no_block(training: tuple[HubChain, int]) -> None:
    """The same tokens can be earned again and again, so no supply bounds what an account has earned in all."""
    chain, task = training
    participant = chain.parts(task)[0].participants[0]
    chain.state.stores[BULK][earned_key(participant)] = (MAX_EARNED - 1).to_bytes(8, "big")
    chain.run_round(task)
    assert get_earned(chain.state, participant) == MAX_EARNED
    assert get_balance(chain.state, participant) > 1
