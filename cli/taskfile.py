"""Task files: TOML in, a task spec out.  `docs/examples/task.toml` explains every key."""

from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING, Final

from abci_app.toml_text import TableReader
from cli.errors import SpecFileInvalid
from tx.specs import check_spec
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SECOND_NS: Final = 1_000_000_000

_MAX_UINT64: Final = 2**64 - 1
_MAX_UINT32: Final = 2**32 - 1


def read_spec(path: Path, tensors: Sequence[task_pb2.TensorSpec] = ()) -> task_pb2.TaskSpec:
    """Read a task file and check the spec.

    `tensors` are those of the initial model; what the file says of them may be left out, and must agree otherwise.

    Raises:
      SpecFileInvalid: it is no TOML, a key is unknown or missing, or a value is of another type.
      InvalidSpec: a value is out of range, or contradicts another.
      OSError: the file cannot be read.

    """
    try:
        values: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecFileInvalid(f"expected TOML in {path}, got: {error}") from None
    spec = _parse_spec(values, str(path), tensors)
    check_spec(spec)
    return spec


def _parse_spec(
    values: Mapping[str, object], where: str, tensors: Sequence[task_pb2.TensorSpec]
) -> task_pb2.TaskSpec:
    reader = TableReader(values, where, SpecFileInvalid)
    chosen = _choose_tensors(_parse_tensors(reader.take("tensors", list, []), where), tensors, where)
    training = reader.take("training", dict, {})
    spec = task_pb2.TaskSpec(
        name=reader.take("name", str),
        description=reader.take("description", str, ""),
        licence=reader.take("licence", str, ""),
        tensors=chosen,
        parameters=_check_number(
            "number of parameters", sum(math.prod(tensor.shape) for tensor in chosen), _MAX_UINT64, where
        ),
        rule=_parse_rule(reader, where),
        rounds=_take_number(reader, "rounds", None, where),
        round_duration_ns=_take_number(reader, "round_seconds", None, where, cap=86_400) * SECOND_NS,
        min_shards=_take_number(reader, "min_shards", 1, where, cap=_MAX_UINT32),
        min_participants=_take_number(reader, "min_participants", 1, where, cap=_MAX_UINT32),
        participants_per_round=_take_number(reader, "participants_per_round", 0, where, cap=_MAX_UINT32),
        budget=_take_number(reader, "budget", None, where),
        start_scale=_take_number(reader, "start_scale", 10, where, cap=_MAX_UINT32),
        max_staleness=_take_number(reader, "max_staleness", 2, where, cap=_MAX_UINT32),
        max_attempts=_take_number(reader, "max_attempts", 3, where, cap=_MAX_UINT32),
        training=_parse_training(training, f"[training] of {where}") if training else None,
    )
    reader.finish()
    return spec


def _parse_rule(reader: TableReader, where: str) -> task_pb2.Rule:
    name = reader.take("rule", str, "mean")
    if name == "mean":
        return task_pb2.Rule(mean=task_pb2.RuleMean())
    if name == "norm_clip":
        tau = _take_number(reader, "clip_norm", 0, where)
        return task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=tau))
    raise SpecFileInvalid(f'expected rule = "mean" or "norm_clip" in {where}, got {name!r}')


def _parse_training(values: Mapping[str, object], where: str) -> task_pb2.LocalTraining:
    reader = TableReader(values, where, SpecFileInvalid)
    training = task_pb2.LocalTraining(
        optimiser=reader.take("optimiser", str, "sgd"),
        learning_rate=reader.take("learning_rate", str, "0.1"),
        epochs=_take_number(reader, "epochs", 1, where, cap=_MAX_UINT32),
        batch_size=_take_number(reader, "batch_size", 32, where, cap=_MAX_UINT32),
        seed=_take_number(reader, "seed", 0, where),
    )
    reader.finish()
    return training


def _parse_tensors(items: list[object], where: str) -> list[task_pb2.TensorSpec]:
    tensors = []
    for index, item in enumerate(items):
        place = f"[[tensors]] {index} of {where}"
        if not isinstance(item, dict):
            raise SpecFileInvalid(f"expected a table at {place}, got {item!r}")
        reader = TableReader(item, place, SpecFileInvalid)
        name, shape = reader.take("name", str), reader.take("shape", list)
        reader.finish()
        if not all(type(length) is int and 0 <= length <= _MAX_UINT64 for length in shape):
            raise SpecFileInvalid(f"expected a shape of whole numbers at {place}, got {shape!r}")
        tensors.append(task_pb2.TensorSpec(name=name, shape=shape))
    return tensors


def _choose_tensors(
    written: list[task_pb2.TensorSpec], given: Sequence[task_pb2.TensorSpec], where: str
) -> Sequence[task_pb2.TensorSpec]:
    if not written and not given:
        raise SpecFileInvalid(
            f"expected [[tensors]] in {where}, or a model from which to take them, got neither"
        )
    if written and given and list(written) != list(given):
        raise SpecFileInvalid(
            f"expected the tensors of the model in {where}: {describe(given)}, got {describe(written)}"
        )
    return given or written


def describe(tensors: Sequence[task_pb2.TensorSpec]) -> str:
    """Return names and shapes of tensors as text."""
    return ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in tensors)


def _take_number(
    reader: TableReader, name: str, default: int | None, where: str, *, cap: int = _MAX_UINT64
) -> int:
    return _check_number(name, reader.take(name, int, default), cap, where)


def _check_number(name: str, value: int, cap: int, where: str) -> int:
    """Check that a number fits its field of the message; `check_spec` knows the real limits."""
    if not 0 <= value <= cap:
        raise SpecFileInvalid(f"expected {name} in 0..{cap} in {where}, got {value}")
    return value
