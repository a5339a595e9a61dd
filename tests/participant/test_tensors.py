"""Between modules and the vectors that the chain knows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from participant.errors import ModelMismatch
from participant.tensors import (
    check_tensors,
    describe_tensors,
    load_vector,
    state_to_vector,
    to_vector,
    vector_to_state,
)


def make_module() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def test_a_vector_survives_the_way_through_a_module() -> None:
    module = make_module()
    vector = np.random.default_rng(1).normal(size=to_vector(module).shape).astype(np.float32)
    load_vector(module, vector)
    assert np.array_equal(to_vector(module), vector)


def test_buffers_that_are_no_floats_stay_local() -> None:
    module = make_module()
    names = [spec.name for spec in describe_tensors(module)]
    assert "1.running_mean" in names
    assert "1.num_batches_tracked" not in names
    assert len(to_vector(module)) == sum(int(np.prod(list(spec.shape))) for spec in describe_tensors(module))


def test_the_order_is_that_of_the_state_dict() -> None:
    module = make_module()
    state = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    joined = torch.cat([tensor.reshape(-1) for tensor in state.values()])
    assert np.array_equal(to_vector(module), joined.numpy())


def test_a_vector_of_another_size_is_refused() -> None:
    with pytest.raises(ModelMismatch):
        load_vector(make_module(), np.zeros(3, np.float32))


def test_another_module_is_refused() -> None:
    expected = describe_tensors(make_module())
    check_tensors(make_module(), expected)
    for other in (nn.Linear(3, 4), nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 2))):
        with pytest.raises(ModelMismatch):
            check_tensors(other, expected)


def test_named_arrays_and_vectors_are_the_same_thing() -> None:
    module = make_module()
    expected = describe_tensors(module)
    vector = to_vector(module)
    named = {name: tensor.numpy() for name, tensor in vector_to_state(vector, expected).items()}
    assert np.array_equal(state_to_vector(named, expected), vector)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_named_arrays_that_do_not_fit_are_refused(change: str) -> None:
    module = make_module()
    expected = describe_tensors(module)
    named = {name: tensor.numpy() for name, tensor in vector_to_state(to_vector(module), expected).items()}
    if change == "missing":
        del named["0.bias"]
    elif change == "extra":
        named["9.bias"] = np.zeros(1, np.float32)
    else:
        named["0.bias"] = np.zeros(5, np.float32)
    with pytest.raises(ModelMismatch):
        state_to_vector(named, expected)
