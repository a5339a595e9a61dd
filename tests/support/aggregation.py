"""What tests of the arithmetic share: the loaded set-up, a second KZG library, plain big-integer formulas."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import ckzg
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from aggregation.kzg import Setup, load_setup, setup_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

INFINITY: Final = b"\xc0" + bytes(47)
FIELD_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
OUTSIDE_SUBGROUP: Final = bytes.fromhex("80" + "00" * 46 + "04")
"""A point of the curve (x = 4) that is not in the subgroup of prime order."""

THOROUGH: Final = settings(deadline=None, max_examples=100)
CURVE: Final = settings(deadline=None, max_examples=12)
"""For properties of which each example computes commitments."""


@lru_cache(maxsize=1)
def shared_setup() -> Setup:
    return load_setup(setup_path().read_bytes())


@lru_cache(maxsize=1)
def _reference_setup() -> object:
    return ckzg.load_trusted_setup(str(setup_path()), 0)


def pack_integers(lanes: Sequence[int]) -> list[int]:
    """Pack lanes by the definition: ten of 24 bits in an integer, the first in the lowest bits."""
    return [
        sum(lane << (24 * place) for place, lane in enumerate(lanes[start : start + 10]))
        for start in range(0, len(lanes), 10)
    ]


def reference_commitment(elements: Sequence[int]) -> bytes:
    """Commit to the elements of one blob with c-kzg."""
    blob = b"".join((element % FIELD_ORDER).to_bytes(32, "big") for element in elements)
    commitment: bytes = ckzg.blob_to_kzg_commitment(blob.ljust(4096 * 32, b"\x00"), _reference_setup())
    return commitment


def reference_commitments(lanes: Sequence[int]) -> tuple[bytes, ...]:
    """Commit to lanes with c-kzg, one commitment for each 40,960 of them."""
    return tuple(
        reference_commitment(pack_integers(lanes[start : start + 40_960]))
        for start in range(0, len(lanes), 40_960)
    )


def draw_updates(seed: int, count: int, dimension: int) -> NDArray[np.int8]:
    """Draw `count` updates: bell-shaped, with both extremes among them."""
    random = np.random.default_rng(seed)
    drawn = random.normal(0, 40, (count, dimension)).round().clip(-127, 127)
    return drawn.astype(np.int8)


seeds = st.integers(min_value=0, max_value=2**32 - 1)
coordinates = st.integers(min_value=-127, max_value=127) | st.sampled_from([-127, 127])


@st.composite
def updates(draw: st.DrawFn, max_dimension: int = 40) -> NDArray[np.int8]:
    """Draw one update of at least one coordinate."""
    return np.array(draw(st.lists(coordinates, min_size=1, max_size=max_dimension)), np.int8)


@st.composite
def update_matrices(draw: st.DrawFn, max_count: int = 6, max_dimension: int = 12) -> NDArray[np.int8]:
    """Draw updates of one dimension, shape (n, d) with n and d at least one."""
    dimension = draw(st.integers(min_value=1, max_value=max_dimension))
    row = st.lists(coordinates, min_size=dimension, max_size=dimension)
    return np.array(draw(st.lists(row, min_size=1, max_size=max_count)), np.int8)
