"""Records of models."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A model that at least one task refers to."""

    references: int
    """How many entries of tasks' histories name the model."""

    chunks: int
    """How many of its chunks are there."""
