"""The demo's data and its split."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from participant.baseline import run_baseline
from participant.data import (
    CLASSES,
    DIGITS,
    MIN_EXAMPLES,
    PIXELS,
    TEST_DIGITS,
    Digits,
    load_digits,
    split_digits,
)
from participant.digits import build_network
from participant.tensors import to_vector
from participant.training import TrainingOptions, options_of, train_classifier
from wire.gradchain.fl.v1 import task_pb2


@pytest.fixture(scope="module")
def digits() -> Digits:
    return load_digits()


def test_there_are_five_thousand_digits_of_ten_classes(digits: Digits) -> None:
    assert digits.images.shape == (DIGITS, PIXELS)
    assert (digits.images.min(), digits.images.max()) == (0.0, 1.0)
    assert set(digits.labels.tolist()) == set(range(CLASSES))


@pytest.mark.parametrize("participants", [1, 8, 20])
def test_every_digit_goes_to_one_participant_or_to_the_test_set(digits: Digits, participants: int) -> None:
    federation = split_digits(digits, participants, seed=3)
    assert len(federation.test.labels) == TEST_DIGITS
    rows = np.concatenate([part.images for part in federation.parts] + [federation.test.images])
    assert sorted(rows.sum(axis=1).tolist()) == sorted(digits.images.sum(axis=1).tolist())
    assert min(len(part.labels) for part in federation.parts) >= MIN_EXAMPLES


def test_the_split_follows_from_the_seed(digits: Digits) -> None:
    first, again, other = (split_digits(digits, 4, seed=seed) for seed in (5, 5, 6))
    assert all(
        np.array_equal(one.images, two.images) for one, two in zip(first.parts, again.parts, strict=True)
    )
    assert [len(part.labels) for part in first.parts] != [len(part.labels) for part in other.parts]


def test_training_is_the_same_bits_from_the_same_seed(digits: Digits) -> None:
    images, labels = torch.from_numpy(digits.images[:64]), torch.from_numpy(digits.labels[:64])
    torch.set_num_threads(1)  # more threads may add up in another order
    vectors = []
    for seed in (1, 1, 2):
        module = build_network(7)
        train_classifier(module, images, labels, TrainingOptions(0.1, 1, 16, seed))
        vectors.append(to_vector(module))
    assert np.array_equal(vectors[0], vectors[1])
    assert not np.array_equal(vectors[0], vectors[2])


def test_participants_and_rounds_have_their_own_order_of_examples() -> None:
    hints = task_pb2.LocalTraining(learning_rate="0.2", epochs=3, batch_size=32, seed=9)
    seeds = {
        options_of(hints, participant_index=index, round_number=number).seed
        for index in range(8)
        for number in range(1, 13)
    }
    assert len(seeds) == 96


def test_float_averaging_learns(digits: Digits) -> None:
    federation = split_digits(digits, 4, seed=1)
    hints = task_pb2.LocalTraining(learning_rate="0.2", epochs=1, batch_size=32, seed=1)
    result = run_baseline(federation, hints, seed=1, rounds=3, by_examples=True)
    assert result.name == "example-weighted"
    assert result.accuracy[-1] > 60.0
