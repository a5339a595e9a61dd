"""The demo's model: a small network that reads digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn

from participant.data import CLASSES, PIXELS

if TYPE_CHECKING:
    from participant.data import Digits

HIDDEN: Final = 64


def build_network(seed: int) -> nn.Sequential:
    """Return the network with weights drawn from a seed; 50,890 parameters."""
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    torch.random.set_rng_state(state)
    return network


def to_tensors(digits: Digits) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images and labels as tensors."""
    return torch.from_numpy(digits.images), torch.from_numpy(digits.labels)
