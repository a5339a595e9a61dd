from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.txs import build_spec
from tx.codec import encode
from tx.domains import SPEC_DIGEST
from tx.failures import InvalidSpec
from tx.paths import model_root_key, round_info_key, round_result_key, settlement_root_key
from tx.statements import check_spec, spec_digest
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

TensorSpec = task_pb2.TensorSpec


def test_a_sound_spec_passes() -> None:
    check_spec(build_spec())


def test_a_spec_without_training_hints_passes() -> None:
    spec = build_spec()
    spec.ClearField("training")
    check_spec(spec)


def test_a_scalar_tensor_has_one_parameter() -> None:
    spec = build_spec()
    spec.tensors.add(name="temperature")
    spec.parameters += 1
    check_spec(spec)


def test_the_largest_model_passes() -> None:
    spec = build_spec()
    del spec.tensors[:]
    spec.tensors.add(name="all", shape=[32, 40_960])
    spec.parameters = 32 * 40_960
    check_spec(spec)


def test_the_digest_covers_the_domain_and_the_canonical_bytes() -> None:
    assert spec_digest(build_spec()) == sha256(SPEC_DIGEST + encode(build_spec())).digest()


def set_field(name: str, value: object) -> Callable[[task_pb2.TaskSpec], None]:
    return lambda spec: setattr(spec, name, value)


def set_training(name: str, value: object) -> Callable[[task_pb2.TaskSpec], None]:
    return lambda spec: setattr(spec.training, name, value)


def set_tensors(parameters: int, *tensors: task_pb2.TensorSpec) -> Callable[[task_pb2.TaskSpec], None]:
    def change(spec: task_pb2.TaskSpec) -> None:
        del spec.tensors[:]
        spec.tensors.extend(tensors)
        spec.parameters = parameters

    return change


BROKEN: list[Callable[[task_pb2.TaskSpec], None]] = [
    set_field("name", ""),
    set_field("name", "x" * 257),
    set_field("description", "x" * 4_097),
    set_field("licence", "x" * 257),
    set_field("parameters", 651),
    set_field("parameters", 0),
    set_field("rounds", 0),
    set_field("rounds", 2**64 - 1),
    set_field("round_duration_ns", 0),
    set_field("round_duration_ns", -1),
    set_field("round_duration_ns", 24 * 3600 * 10**9 + 1),
    set_field("min_shards", 0),
    set_field("min_shards", 5),
    set_field("min_participants", 0),
    set_field("min_participants", 65_536),
    set_field("participants_per_round", 65_536),
    set_field("budget", 4),
    set_field("budget", 2**63),
    set_field("start_scale", 21),
    set_field("max_staleness", 1_001),
    set_field("max_attempts", 0),
    set_training("optimiser", ""),
    set_training("learning_rate", ""),
    set_training("learning_rate", "-0.1"),
    set_training("learning_rate", "1e-3"),
    set_training("learning_rate", "0.1\n"),
    set_training("learning_rate", "\u0661"),
    set_training("learning_rate", "0" * 33),
    set_training("epochs", 0),
    set_training("batch_size", 0),
    set_tensors(1),
    set_tensors(2, TensorSpec(name="a", shape=[1]), TensorSpec(name="a", shape=[1])),
    set_tensors(1, TensorSpec(name="", shape=[1])),
    set_tensors(1, TensorSpec(name="a", shape=[1] * 9)),
    set_tensors(1, TensorSpec(name="a", shape=[1]), TensorSpec(name="b", shape=[0])),
    set_tensors(1, TensorSpec(name="a", shape=[2**63, 2])),
    set_tensors(32 * 40_960 + 1, TensorSpec(name="a", shape=[32 * 40_960]), TensorSpec(name="b")),
    set_tensors(1_025, *(TensorSpec(name=str(number)) for number in range(1_025))),
    lambda spec: spec.ClearField("rule"),
    lambda spec: spec.rule.ClearField("norm_clip"),
]


@pytest.mark.parametrize("change", BROKEN, ids=map(str, range(len(BROKEN))))
def test_a_spec_that_breaks_a_rule_is_refused(change: Callable[[task_pb2.TaskSpec], None]) -> None:
    spec = build_spec()
    change(spec)
    with pytest.raises(InvalidSpec):
        check_spec(spec)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_paths_have_fixed_lengths_and_big_endian_numbers(task: int, round_number: int, attempt: int) -> None:
    numbers = task.to_bytes(8, "big") + round_number.to_bytes(8, "big")
    assert model_root_key(task) == b"model/" + numbers[:8]
    assert round_info_key(task, round_number, attempt) == b"round/" + numbers + attempt.to_bytes(4, "big")
    assert round_result_key(task, round_number) == b"result/" + numbers
    assert settlement_root_key(task, round_number) == b"settlement/" + numbers
