"""From a module to the flat vector that the chain knows, and back.

The model is every floating-point tensor of the module's `state_dict`, in its order, flattened and joined.  Other
buffers (counters, masks) stay local: averaging them has no meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from participant.errors import ModelMismatch
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from numpy.typing import NDArray
    from torch import nn


def float_tensors(state: Mapping[str, torch.Tensor]) -> list[tuple[str, torch.Tensor]]:
    """Return (name, tensor) of the tensors that belong to the model, in order."""
    return [(name, tensor) for name, tensor in state.items() if tensor.is_floating_point()]


def describe_tensors(module: nn.Module) -> list[task_pb2.TensorSpec]:
    """Return the names and shapes that go into a task's spec."""
    return [
        task_pb2.TensorSpec(name=name, shape=list(tensor.shape) or [1])
        for name, tensor in float_tensors(module.state_dict())
    ]


def check_tensors(module: nn.Module, expected: Sequence[task_pb2.TensorSpec]) -> None:
    """Check that a module is the one of a task.

    Raises:
      ModelMismatch: a name, a shape or the order differs.

    """
    own = [(spec.name, tuple(spec.shape)) for spec in describe_tensors(module)]
    wanted = [(spec.name, tuple(spec.shape)) for spec in expected]
    if own != wanted:
        raise ModelMismatch(f"expected tensors {wanted}, the module has {own}")


def to_vector(module: nn.Module) -> NDArray[np.float32]:
    """Return the module's float tensors as one float32 vector of shape (d,)."""
    import torch  # noqa: PLC0415 - arrays by name are joined without it

    parts = [
        tensor.detach().to(torch.float32).reshape(-1).cpu().numpy()
        for _, tensor in float_tensors(module.state_dict())
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def load_vector(module: nn.Module, vector: NDArray[np.float32]) -> None:
    """Copy a vector of shape (d,) into the module's float tensors.

    Raises:
      ModelMismatch: the vector has not the size of the module.

    """
    import torch  # noqa: PLC0415 - as above

    tensors = float_tensors(module.state_dict())
    size = sum(tensor.numel() for _, tensor in tensors)
    if vector.shape != (size,):
        raise ModelMismatch(f"expected a vector of {size} parameters, got shape {vector.shape}")
    start = 0
    with torch.no_grad():
        for _, tensor in tensors:
            part = vector[start : start + tensor.numel()]
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(part)).reshape(tensor.shape))
            start += tensor.numel()


def state_to_vector(
    state: Mapping[str, NDArray[np.floating]], expected: Sequence[task_pb2.TensorSpec]
) -> NDArray[np.float32]:
    """Join arrays by name in the order of a task's spec.

    Raises:
      ModelMismatch: a tensor is missing, left over, or of another shape.

    """
    names = [spec.name for spec in expected]
    if sorted(names) != sorted(state):
        raise ModelMismatch(f"expected tensors {sorted(names)}, got {sorted(state)}")
    parts = []
    for spec in expected:
        array = state[spec.name]
        if (tuple(array.shape) or (1,)) != tuple(spec.shape):
            raise ModelMismatch(
                f"expected {spec.name} of shape {tuple(spec.shape)}, got {tuple(array.shape)}"
            )
        parts.append(np.asarray(array, np.float32).reshape(-1))
    return np.concatenate(parts)


def vector_to_state(
    vector: NDArray[np.float32], expected: Sequence[task_pb2.TensorSpec]
) -> dict[str, torch.Tensor]:
    """Cut a vector of shape (d,) into named tensors, as a `state_dict` has them."""
    import torch  # noqa: PLC0415 - as above

    state: dict[str, torch.Tensor] = {}
    start = 0
    for spec in expected:
        size = int(np.prod(list(spec.shape), dtype=np.int64))
        part = np.array(vector[start : start + size], np.float32)
        state[spec.name] = torch.from_numpy(part).reshape(tuple(spec.shape))
        start += size
    return state
