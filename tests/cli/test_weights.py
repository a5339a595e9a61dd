from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from typing import TYPE_CHECKING

import click
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregation.errors import NotFiniteError
from cli.errors import OutputExists
from cli.files import write_new
from cli.weights import describe_weights, draw_weights, read_weights, write_weights
from participant.errors import WeightsUnreadable
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = (
    task_pb2.TensorSpec(name="layer.weight", shape=[3, 4]),
    task_pb2.TensorSpec(name="file", shape=[2]),
    task_pb2.TensorSpec(name="scalar", shape=[1]),
)


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._path),)


@pytest.mark.parametrize("suffix", [".npz", ".pt", ".pth"])
def test_weights_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    vector = (np.arange(15) / 7).astype(np.float32)
    path = tmp_path / f"weights{suffix}"
    write_weights(path, vector, TENSORS)
    arrays = read_weights(path)
    assert [(name, array.shape) for name, array in arrays.items()] == [
        ("layer.weight", (3, 4)),
        ("file", (2,)),
        ("scalar", (1,)),
    ]
    assert np.array_equal(np.concatenate([array.reshape(-1) for array in arrays.values()]), vector)


def test_a_state_dict_of_a_module_is_read_in_its_order(tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    torch.save(module.state_dict(), tmp_path / "module.pt")
    names = list(read_weights(tmp_path / "module.pt"))
    # The batch counter is an integer, and no part of the model.
    assert names == ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"]


def test_half_precision_is_widened(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(3, dtype=torch.bfloat16)}, tmp_path / "half.pt")
    assert read_weights(tmp_path / "half.pt")["w"].dtype == np.float32


def test_a_scalar_counts_as_a_tensor_with_one_value(tmp_path: Path) -> None:
    np.savez(tmp_path / "scalar.npz", w=np.float64(1.5))
    specs = describe_weights(read_weights(tmp_path / "scalar.npz"))
    assert [list(spec.shape) for spec in specs] == [[1]]


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "exploded")
    torch.save({"w": bomb}, tmp_path / "new.pt")
    (tmp_path / "old.pt").write_bytes(pickle.dumps({"w": bomb}))
    np.savez(tmp_path / "arrays.npz", w=np.array([bomb], dtype=object), allow_pickle=True)
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(bomb))
    for name in ("new.pt", "old.pt", "arrays.npz", "bare.npz"):
        with pytest.raises(WeightsUnreadable):
            read_weights(tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_the_error_never_advises_to_load_the_file_unsafely(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(WeightsUnreadable) as caught:
        read_weights(tmp_path / "module.pt")
    assert "weights_only" not in caught.value.message
    assert "unsafe" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\x93NUMPY", b"\x80\x02}."])
@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_other_content_is_refused(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(WeightsUnreadable):
        read_weights(path)


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_but_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("weights") / f"weights{suffix}"
    write_weights(path, np.ones(15, np.float32), TENSORS)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(WeightsUnreadable, NotFiniteError):
        read_weights(path)


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    (tmp_path / "single.npz").write_bytes(buffer.getvalue())
    with pytest.raises(WeightsUnreadable, match="a single one"):
        read_weights(tmp_path / "single.npz")


def test_a_checkpoint_with_more_than_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": {"w": torch.zeros(2)}}, tmp_path / "checkpoint.pt")
    with pytest.raises(WeightsUnreadable, match="expected a state_dict"):
        read_weights(tmp_path / "checkpoint.pt")


def test_a_file_without_floats_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "integers.npz", w=np.zeros(3, np.int64))
    torch.save({"w": torch.zeros(3, dtype=torch.int64)}, tmp_path / "integers.pt")
    for name in ("integers.npz", "integers.pt"):
        with pytest.raises(WeightsUnreadable, match="expected float tensors"):
            read_weights(tmp_path / name)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    np.savez(tmp_path / "weights.npz", first=np.zeros(3), second=np.array([1.0, value]))
    with pytest.raises(NotFiniteError, match="1 of 2 in second"):
        read_weights(tmp_path / "weights.npz")


@pytest.mark.parametrize("name", ["weights", "weights.bin", "weights.npy", "weights.PT"])
def test_a_file_of_another_kind_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(click.BadParameter):
        read_weights(tmp_path / name)
    with pytest.raises(click.BadParameter):
        write_weights(tmp_path / name, np.zeros(15, np.float32), TENSORS)


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", w=np.zeros(3))
    content = bytearray((tmp_path / "weights.npz").read_bytes())
    directory = content.rfind(b"PK\x01\x02")
    content[directory + 8] |= 1
    content[6] |= 1
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(WeightsUnreadable):
        read_weights(tmp_path / "weights.npz")


def test_drawn_weights_follow_from_the_seed_and_are_bounded() -> None:
    first, again, other = draw_weights(TENSORS, 1), draw_weights(TENSORS, 1), draw_weights(TENSORS, 2)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (15,)
    assert float(np.abs(first[:12]).max()) <= 0.5
    assert not first[12:].any()


def test_a_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "out.npz"
    path.write_bytes(b"mine")
    with pytest.raises(OutputExists):
        write_weights(path, np.zeros(15, np.float32), TENSORS)
    assert path.read_bytes() == b"mine"


def test_nothing_is_left_of_a_file_that_could_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_new(tmp_path / "out.bin", b"data")
    assert list(tmp_path.iterdir()) == []


def test_the_archive_is_one_that_numpy_reads(tmp_path: Path) -> None:
    write_weights(tmp_path / "out.npz", np.zeros(15, np.float32), TENSORS)
    assert zipfile.ZipFile(tmp_path / "out.npz").testzip() is None
    with np.load(tmp_path / "out.npz") as stored:
        assert stored["file"].shape == (2,)
