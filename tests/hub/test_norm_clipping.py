"""Weights that follow from norms, checked by the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from aggregation.assignment import assignment_root
from aggregation.weights import unit_weight
from hub.rounds.body import BodyRules, read_tally, verify_body
from hub.rounds.state import get_shard_round
from tests.support.aggregation import shared_setup
from tests.support.federation import ShardRound, make_body, make_checkpoint, make_update, make_updates, seal
from tests.support.hub import RELAYER, body_message, make_spec, start_training
from tests.support.hub_lies import CLIP, DIMENSION, a_huge_norm
from tests.support.txs import build_key
from tx.codec import encode
from wire.gradchain.fl.v1 import round_pb2, task_pb2, update_pb2

if TYPE_CHECKING:
    from numpy.typing import NDArray


def test_clipped_weights_follow_from_the_norms() -> None:
    """Norms in proportion 1, 2 and 8: the lower median is 2, so the longest weighs a quarter of the unit."""
    chain, task = start_training(1, 3, parameters=DIMENSION, rule=CLIP)
    part = chain.parts(task)[0]
    values: dict[bytes, NDArray[np.int8]] = {
        key.public_key: np.full(DIMENSION, length, np.int8)
        for key, length in zip(part.keys, (10, 20, 80), strict=True)
    }
    made = make_checkpoint(part, make_updates(part, values))
    weights: dict[bytes, int] = {
        update_pb2.UpdateStatement.FromString(certificate.statement).participant: certificate.weight
        for certificate in made.body.certificates
    }
    unit = part.info.unit_weight
    assert [weights[key.public_key] for key in part.keys] == [unit, unit, unit // 4]
    chain.complete(part, made)
    assert chain.newest(task).round == 2


def test_unclipped_weights_are_rejected_where_the_rule_clips() -> None:
    chain, task = start_training(1, 3, parameters=DIMENSION, rule=CLIP)
    part = chain.parts(task)[0]
    lenient = ShardRound(
        part.hub_chain_id,
        task_pb2.TaskSpec.FromString(part.spec.SerializeToString()),
        part.info,
        part.shard,
        part.keys,
    )
    lenient.spec.rule.mean.SetInParent()
    made = make_checkpoint(lenient, make_updates(part))
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", 90)


def test_a_norm_at_the_end_of_its_range_is_arithmetic_and_not_a_crash() -> None:
    chain, task = start_training(1, 3, parameters=DIMENSION, rule=CLIP)
    part = chain.parts(task)[0]
    body = make_body(part, make_updates(part))
    a_huge_norm(part, body)
    made = seal(part, body)
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", 90)


def test_updates_of_several_batches_are_weighed_batch_by_batch() -> None:
    """More updates than a batch holds: built without a chain, checked by the function that the chain calls."""
    keys = tuple(build_key(5_000 + number) for number in range(130))
    spec = make_spec(20, CLIP)
    participants = [key.public_key for key in keys]
    assignment = round_pb2.ShardAssignment(
        shard="shard-1", assigned=130, assignment_root=assignment_root(1, 1, 0, "shard-1", participants)
    )
    info = round_pb2.RoundInfo(
        task=1,
        round=1,
        spec_digest=b"\x01" * 32,
        base_root=b"\x02" * 32,
        scale=10,
        unit_weight=unit_weight(130),
        seed=b"\x03" * 32,
        shards=[assignment],
    )
    part = ShardRound("hub-1", spec, info, "shard-1", keys)
    made = make_checkpoint(part, [make_update(part, index) for index in range(130)])
    assert [leaf.updates for leaf in made.body.grams] == [128, 2]
    rules = BodyRules("hub-1", spec, info, assignment, made.header)
    body = verify_body(shared_setup(), rules, encode(made.body))
    assert sum(entry.weight for entry in read_tally(body).entries) == made.header.total_weight
