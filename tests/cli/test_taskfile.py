from __future__ import annotations

import contextlib
import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.errors import SpecFileInvalid
from cli.taskfile import read_spec
from tools.check import ROOT
from tx.failures import InvalidSpec
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tx.errors import AppError

EXAMPLE = ROOT / "docs/examples/task.toml"

MINIMAL = """\
name = "tiny"
rounds = 2
round_seconds = 30
budget = 100
[[tensors]]
name = "w"
shape = [3, 2]
"""


def parse(text: str, folder: Path, tensors: Sequence[task_pb2.TensorSpec] = ()) -> task_pb2.TaskSpec:
    path = folder / "task.toml"
    path.write_text(text)
    return read_spec(path, tensors)


def test_the_example_is_a_valid_task() -> None:
    spec = read_spec(EXAMPLE)
    assert spec.parameters == 784 * 64 + 64 + 64 * 10 + 10
    assert spec.round_duration_ns == 600_000_000_000
    assert spec.rule.WhichOneof("kind") == "mean"
    assert spec.training.learning_rate == "0.1"
    assert [list(tensor.shape) for tensor in spec.tensors] == [[64, 784], [64], [10, 64], [10]]


def test_the_example_explains_every_key() -> None:
    keys = set(tomllib.loads(EXAMPLE.read_text())) | {"clip_norm"}
    assert keys == {
        "name",
        "description",
        "licence",
        "rule",
        "clip_norm",
        "rounds",
        "round_seconds",
        "min_shards",
        "min_participants",
        "participants_per_round",
        "budget",
        "start_scale",
        "max_staleness",
        "max_attempts",
        "training",
        "tensors",
    }


def test_most_keys_have_a_default(tmp_path: Path) -> None:
    spec = parse(MINIMAL, tmp_path)
    assert (spec.parameters, spec.min_shards, spec.min_participants, spec.start_scale) == (6, 1, 1, 10)
    assert not spec.HasField("training")


def test_norms_can_be_clipped(tmp_path: Path) -> None:
    spec = parse('rule = "norm_clip"\nclip_norm = 500\n' + MINIMAL, tmp_path)
    assert spec.rule.norm_clip.tau == 500
    assert parse('rule = "norm_clip"\n' + MINIMAL, tmp_path).rule.norm_clip.tau == 0


def test_tensors_of_the_model_stand_in_for_those_of_the_file(tmp_path: Path) -> None:
    tensors = [task_pb2.TensorSpec(name="w", shape=[3, 2])]
    without = MINIMAL.partition("[[tensors]]")[0]
    assert parse(without, tmp_path, tensors) == parse(MINIMAL, tmp_path) == parse(MINIMAL, tmp_path, tensors)


def test_tensors_of_the_model_must_be_those_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(SpecFileInvalid, match=r"w \[2, 3\], got w \[3, 2\]"):
        parse(MINIMAL, tmp_path, [task_pb2.TensorSpec(name="w", shape=[2, 3])])


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ("color = 1\n", SpecFileInvalid, "expected no other keys"),
        ("rounds = [\n", SpecFileInvalid, "expected TOML"),
        ('rule = "median"\n', SpecFileInvalid, "median"),
        ("clip_norm = 5\n", SpecFileInvalid, "clip_norm"),
        ('min_shards = "2"\n', SpecFileInvalid, "min_shards of type int"),
        ("min_shards = true\n", SpecFileInvalid, "min_shards of type int"),
        ("min_shards = 1.5\n", SpecFileInvalid, "min_shards of type int"),
        ("min_shards = -1\n", SpecFileInvalid, "min_shards in 0"),
        ("min_shards = 4294967296\n", SpecFileInvalid, "min_shards in 0"),
        ("min_shards = 5\n", InvalidSpec, "min_shards"),
        ("start_scale = 21\n", InvalidSpec, "start_scale"),
        ("licence = 5\n", SpecFileInvalid, "licence of type str"),
        ("training = 5\n", SpecFileInvalid, "training of type dict"),
        ('training = {optimiser = "sgd", momentum = 1}\n', SpecFileInvalid, "momentum"),
        ("training = {learning_rate = 0.1}\n", SpecFileInvalid, "learning_rate of type str"),
        ('training = {learning_rate = "fast"}\n', InvalidSpec, "learning_rate"),
    ],
    ids=lambda value: value.strip() if isinstance(value, str) else "",
)
def test_a_wrong_value_is_named(tmp_path: Path, change: str, error: type[AppError], text: str) -> None:
    with pytest.raises(error, match=text.replace("[", r"\[")):
        parse(change + MINIMAL, tmp_path)


@pytest.mark.parametrize("key", ["name", "rounds", "round_seconds", "budget", "tensors"])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    lines = [line for line in MINIMAL.splitlines() if not line.startswith(key + " ")]
    text = "\n".join(lines) if key != "tensors" else MINIMAL.partition("[[tensors]]")[0]
    if key == "name":
        text = text.replace("[[tensors]]", "[[tensors]]\nname = 'w'")
    with pytest.raises(SpecFileInvalid, match=key):
        parse(text, tmp_path)


@pytest.mark.parametrize(
    "tensors",
    [
        "tensors = 5",
        "tensors = [5]",
        'tensors = [{name = "w"}]',
        "tensors = [{shape = [1]}]",
        'tensors = [{name = "w", shape = ["x"]}]',
        'tensors = [{name = "w", shape = [true]}]',
        'tensors = [{name = "w", shape = [-1]}]',
        'tensors = [{name = "w", shape = [1], dtype = "int8"}]',
        f'tensors = [{{name = "w", shape = [{2**64 - 1}, 2]}}]',
    ],
)
def test_malformed_tensors_are_refused(tmp_path: Path, tensors: str) -> None:
    with pytest.raises(SpecFileInvalid):
        parse(tensors + "\n" + MINIMAL.partition("[[tensors]]")[0], tmp_path)


@pytest.mark.parametrize("shape", ["[0]", "[1, 1, 1, 1, 1, 1, 1, 1, 1]", "[2000000]"])
def test_tensors_that_no_task_can_have_are_refused(tmp_path: Path, shape: str) -> None:
    with pytest.raises(InvalidSpec):
        parse(MINIMAL.replace("[3, 2]", shape), tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "task.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecFileInvalid):
        read_spec(path)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(key=st.sampled_from(["rounds", "budget", "tensors", "rule", "name", "min_shards"]), value=_VALUES)
def test_no_value_raises_anything_but_its_own_errors(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: object
) -> None:
    lines = [line for line in MINIMAL.partition("[[tensors]]")[0].splitlines() if not line.startswith(key)]
    text = "\n".join([f"{key} = {format_toml_value(value)}", *lines])
    with contextlib.suppress(SpecFileInvalid, InvalidSpec):
        parse(text, tmp_path_factory.mktemp("task"))


def format_toml_value(value: object) -> str:
    if value is None:
        return "1.5"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return (
            '"'
            + "".join(f"\\U{ord(letter):08X}" for letter in value if not 0xD800 <= ord(letter) < 0xE000)
            + '"'
        )
    if isinstance(value, list):
        return "[" + ", ".join(format_toml_value(item) for item in value) + "]"
    return str(value)
