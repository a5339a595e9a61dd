"""Federated averaging in floats, in one process: what the demo compares the chain's model with.

The same data, first weights, local steps and seeds; nothing is quantised, committed or sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from participant.digits import build_network, to_tensors
from participant.tensors import load_vector, to_vector
from participant.training import accuracy, options_of, train_classifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from participant.data import Federation
    from wire.gradchain.fl.v1 import task_pb2


@dataclass(frozen=True, slots=True)
class Baseline:
    """Accuracy in percent after each round."""

    name: str
    accuracy: tuple[float, ...]


def run_baseline(
    federation: Federation, hints: task_pb2.LocalTraining, *, seed: int, rounds: int, by_examples: bool
) -> Baseline:
    """Run federated averaging (McMahan et al., arXiv 1602.05629).

    With `by_examples`, participants weigh as their numbers of examples; otherwise all weigh the same.
    """
    parts = [to_tensors(part) for part in federation.parts]
    test_images, test_labels = to_tensors(federation.test)
    sizes = np.array([len(labels) for _, labels in parts], np.float64)
    weights = sizes / sizes.sum() if by_examples else np.full(len(parts), 1.0 / len(parts))
    module = build_network(seed)
    base: NDArray[np.float64] = to_vector(module).astype(np.float64)
    scores = []
    for round_number in range(1, rounds + 1):
        step = np.zeros_like(base)
        for index, (images, labels) in enumerate(parts):
            load_vector(module, base.astype(np.float32))
            options = options_of(hints, participant_index=index, round_number=round_number)
            train_classifier(module, images, labels, options)
            step += weights[index] * (to_vector(module).astype(np.float64) - base)
        base += step
        load_vector(module, base.astype(np.float32))
        scores.append(accuracy(module, test_images, test_labels))
    return Baseline("example-weighted" if by_examples else "equal-weight", tuple(scores))
