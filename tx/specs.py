"""Task specs: their digest, and every rule that needs no state.

All rules are about what the hub must be able to rely on later: sizes that fit the formats, products that do not
overflow, a deadline that an IBC packet can carry.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from tx.codec import encode
from tx.domains import SPEC_DIGEST
from tx.failures import InvalidSpec
from tx.limits import MAX_PARAMETERS, MAX_SCALE

if TYPE_CHECKING:
    from wire.gradchain.fl.v1 import task_pb2

MAX_TENSORS: Final = 1_024
MAX_RANK: Final = 8
MAX_NAME_BYTES: Final = 256
"""Longest name of a task, tensor, licence or optimiser, in UTF-8."""

MAX_DESCRIPTION_BYTES: Final = 4_096
MAX_ROUNDS: Final = 1_000_000
MAX_ROUND_DURATION_NS: Final = 24 * 60 * 60 * 1_000_000_000
"""IBC v2 carries no timeout further ahead than a day (ibc-go, MaxTimeoutDelta)."""

MAX_PARTICIPANTS: Final = 65_535
"""Participants of a round: each needs at least one unit of the largest total weight."""

MAX_BUDGET: Final = 2**63 - 1
MAX_STALENESS: Final = 1_000
MAX_ATTEMPTS: Final = 1_000
MAX_LEARNING_RATE_CHARACTERS: Final = 32

_DECIMAL: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


def spec_digest(spec: task_pb2.TaskSpec) -> bytes:
    """Return the 32-byte digest that binds statements to a spec."""
    return sha256(SPEC_DIGEST + encode(spec)).digest()


def check_spec(spec: task_pb2.TaskSpec) -> None:
    """Check everything about a spec that needs no state.

    Raises:
      InvalidSpec: names the field, what was expected and what was found.

    """
    _check_text("name", spec.name, 1, MAX_NAME_BYTES)
    _check_text("description", spec.description, 0, MAX_DESCRIPTION_BYTES)
    _check_text("licence", spec.licence, 0, MAX_NAME_BYTES)
    _check_tensors(spec)
    if spec.rule.WhichOneof("kind") is None:
        raise InvalidSpec("expected a rule, got none")
    _check_range("rounds", spec.rounds, 1, MAX_ROUNDS)
    _check_range("round_duration_ns", spec.round_duration_ns, 1, MAX_ROUND_DURATION_NS)
    _check_range("min_participants", spec.min_participants, 1, MAX_PARTICIPANTS)
    _check_range("min_shards", spec.min_shards, 1, spec.min_participants)
    _check_range("participants_per_round", spec.participants_per_round, 0, MAX_PARTICIPANTS)
    # Each round must have something to pay out.
    _check_range("budget", spec.budget, spec.rounds, MAX_BUDGET)
    _check_range("start_scale", spec.start_scale, 0, MAX_SCALE)
    _check_range("max_staleness", spec.max_staleness, 0, MAX_STALENESS)
    _check_range("max_attempts", spec.max_attempts, 1, MAX_ATTEMPTS)
    if spec.HasField("training"):
        _check_training(spec.training)


def _check_tensors(spec: task_pb2.TaskSpec) -> None:
    """Check that the tensors have distinct names and exactly the spec's number of parameters."""
    _check_range("parameters", spec.parameters, 1, MAX_PARAMETERS)
    _check_range("number of tensors", len(spec.tensors), 1, MAX_TENSORS)
    names = {tensor.name for tensor in spec.tensors}
    if len(names) != len(spec.tensors):
        raise InvalidSpec(f"expected distinct names of tensors, got {len(names)} for {len(spec.tensors)}")
    total = 0
    for tensor in spec.tensors:
        _check_text("name of a tensor", tensor.name, 1, MAX_NAME_BYTES)
        _check_range(f"rank of {tensor.name}", len(tensor.shape), 0, MAX_RANK)
        size = 1
        for length in tensor.shape:
            _check_range(f"shape of {tensor.name}", length, 1, MAX_PARAMETERS)
            size *= length
        total += size
    if total != spec.parameters:
        raise InvalidSpec(f"expected tensors with {spec.parameters} parameters, got {total}")


def _check_training(training: task_pb2.LocalTraining) -> None:
    """Check the form of the hints; whether anybody follows them cannot be checked."""
    _check_text("optimiser", training.optimiser, 1, MAX_NAME_BYTES)
    rate = training.learning_rate
    if len(rate) > MAX_LEARNING_RATE_CHARACTERS or _DECIMAL.fullmatch(rate) is None:
        raise InvalidSpec(f"expected a decimal number as learning_rate, got {rate[:64]!r}")
    _check_range("epochs", training.epochs, 1, 2**31)
    _check_range("batch_size", training.batch_size, 1, 2**31)


def _check_range(field: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise InvalidSpec(f"expected {low} to {high} as {field}, got {value}")


def _check_text(field: str, value: str, low: int, high: int) -> None:
    size = len(value.encode())
    if not low <= size <= high:
        raise InvalidSpec(f"expected {low} to {high} bytes in {field}, got {size}")
