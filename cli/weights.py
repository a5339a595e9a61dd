"""Files of weights: `.npz` by name, or a `state_dict` in `.pt`, read such that nothing in them is executed."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from typing import TYPE_CHECKING, Final

import click
import numpy as np

from aggregation.errors import NotFiniteError
from cli.files import write_new
from participant.errors import WeightsUnreadable
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

TORCH_SUFFIXES: Final = (".pt", ".pth")
NUMPY_SUFFIX: Final = ".npz"

NamedArrays = dict[str, "NDArray[np.float32]"]
"""Float tensors by name, in the order of the file."""


def read_weights(path: Path) -> NamedArrays:
    """Read the float tensors of a file; others (counters, masks) are left out, as they are no part of a model.

    Raises:
      WeightsUnreadable: the file holds anything but plain tensors, or is damaged.
      NotFiniteError: a value is not a number, or infinite.
      BadParameter: its name has another ending.
      OSError: it cannot be opened.

    """
    check_suffix(path)
    arrays = _read_torch(path) if path.suffix in TORCH_SUFFIXES else _read_numpy(path)
    if not arrays:
        raise WeightsUnreadable(f"expected float tensors in {path}, got none")
    for name, array in arrays.items():
        unusable = int(np.count_nonzero(~np.isfinite(array)))
        if unusable:
            raise NotFiniteError(
                f"expected finite values in {path}, got {unusable} of {array.size} in {name} that are not"
            )
    return arrays


def check_suffix(path: Path) -> None:
    """Check that a file's name says that it holds weights.

    Raises:
      BadParameter: it does not.

    """
    if path.suffix not in (*TORCH_SUFFIXES, NUMPY_SUFFIX):
        raise click.BadParameter(f"expected a file {NUMPY_SUFFIX} or {TORCH_SUFFIXES[0]}, got {path.name!r}")


def _read_numpy(path: Path) -> NamedArrays:
    with path.open("rb") as file:
        try:
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.lib.npyio.NpzFile):
                arrays = {name: stored[name] for name in stored.files}
                return {name: to_float32(array) for name, array in arrays.items() if array.dtype.kind == "f"}
        except Exception as error:  # noqa: BLE001 - a foreign parser on a foreign file raises what it likes
            raise _unreadable(path, "plain arrays by name", error) from None
    raise WeightsUnreadable(f"expected arrays by name in {path}, got a single one")


def to_float32(array: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return an array as float32; what is too large for it becomes infinite."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def _read_torch(path: Path) -> NamedArrays:
    import torch  # noqa: PLC0415 - half a gigabyte, and only this format needs it

    with path.open("rb") as file:
        try:
            # Only tensors and plain containers; anything that would run code is refused.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                state = torch.load(file, map_location="cpu", weights_only=True)
            if isinstance(state, dict) and all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
                return {
                    str(name): tensor.detach().to(torch.float32).cpu().numpy()
                    for name, tensor in state.items()
                    if tensor.is_floating_point()
                }
        except Exception as error:  # noqa: BLE001 - as above
            raise _unreadable(path, "a state_dict", error) from None
    raise WeightsUnreadable(f"expected a state_dict in {path}, got other content")


def _unreadable(path: Path, expected: str, error: Exception) -> WeightsUnreadable:
    """Return our own words: those of the libraries advise to load the file in a way that runs what is in it."""
    return WeightsUnreadable(f"expected {expected} in {path}, got other content ({type(error).__name__})")


def describe_weights(arrays: Mapping[str, NDArray[np.float32]]) -> list[task_pb2.TensorSpec]:
    """Return the names and shapes that go into a task's spec; a scalar has one value."""
    return [task_pb2.TensorSpec(name=name, shape=array.shape or (1,)) for name, array in arrays.items()]


def draw_weights(tensors: Sequence[task_pb2.TensorSpec], seed: int) -> NDArray[np.float32]:
    """Draw initial weights of shape (d,) from a seed.

    Matrices and kernels are uniform within one over the root of their inputs, as for linear layers and convolutions
    in common libraries; everything with one axis starts at zero.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for tensor in tensors:
        size = math.prod(tensor.shape)
        if len(tensor.shape) > 1:
            bound = 1.0 / math.sqrt(max(1, math.prod(tensor.shape[1:])))
            parts.append(rng.uniform(-bound, bound, size).astype(np.float32))
        else:
            parts.append(np.zeros(size, np.float32))
    return np.concatenate(parts)


def write_weights(path: Path, vector: NDArray[np.float32], tensors: Sequence[task_pb2.TensorSpec]) -> None:
    """Write a vector of shape (d,) as named tensors, complete or not at all.

    Raises:
      OutputExists: there is a file.
      BadParameter: its name has another ending.
      OSError: it cannot be written.

    """
    check_suffix(path)
    arrays: NamedArrays = {}
    start = 0
    for tensor in tensors:
        size = math.prod(tensor.shape)
        arrays[tensor.name] = vector[start : start + size].reshape(tuple(tensor.shape))
        start += size
    buffer = io.BytesIO()
    if path.suffix == NUMPY_SUFFIX:
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, array in arrays.items():
                # numpy.savez takes names as keywords, among which `file` and `allow_pickle` mean something else.
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
    else:
        import torch  # noqa: PLC0415 - as above

        torch.save({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, buffer)
    write_new(path, buffer.getvalue())
