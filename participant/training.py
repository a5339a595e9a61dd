"""Local training as the task's hints say: plain SGD on a classifier, reproducible from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import nn

    from wire.gradchain.fl.v1 import task_pb2


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a participant trains in one round."""

    learning_rate: float
    epochs: int
    batch_size: int
    seed: int
    """Start of the generator that orders the examples."""


def options_of(
    hints: task_pb2.LocalTraining, *, participant_index: int, round_number: int
) -> TrainingOptions:
    """Derive one participant's options of a round from the hints of the task."""
    seed = (hints.seed * 1_000_003 + round_number * 1_009 + participant_index) % (1 << 62)
    return TrainingOptions(
        learning_rate=float(hints.learning_rate or "0.1"),
        epochs=max(1, hints.epochs),
        batch_size=max(1, hints.batch_size),
        seed=seed,
    )


def train_classifier(
    module: nn.Module, examples: torch.Tensor, labels: torch.Tensor, options: TrainingOptions
) -> float:
    """Train in place by SGD on the cross entropy; return the mean loss of the last epoch.

    `examples` is float32 of shape (n, ...), `labels` int64 of shape (n,).
    """
    generator = torch.Generator().manual_seed(options.seed)
    optimiser = torch.optim.SGD(module.parameters(), lr=options.learning_rate)
    module.train()
    loss_sum = 0.0
    for _ in range(options.epochs):
        loss_sum = 0.0
        order = torch.randperm(len(examples), generator=generator)
        for batch in torch.split(order, options.batch_size):
            optimiser.zero_grad(set_to_none=True)
            loss = functional.cross_entropy(module(examples[batch]), labels[batch])
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            loss_sum += float(loss.detach()) * len(batch)
    return loss_sum / max(1, len(examples))


def accuracy(module: nn.Module, examples: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of examples, in percent, whose label the module finds."""
    module.eval()
    with torch.no_grad():
        hits = int((module(examples).argmax(dim=1) == labels).sum())
    return 100.0 * hits / max(1, len(labels))


def warm_up() -> None:
    """Take one step on a network of one weight, so that torch loads now what it otherwise loads in the first round."""
    module = torch.nn.Linear(1, 1)
    options = TrainingOptions(learning_rate=0.1, epochs=1, batch_size=1, seed=0)
    train_classifier(module, torch.zeros(1, 1), torch.zeros(1, dtype=torch.int64), options)
