"""The commitment of the bulk store: a sum of hashes that does not care for order.

LtHash16 adds up, modulo 2^16 in each of 1,024 lanes, a long hash of every (key, value) pair.  Adding and removing a
pair costs one hash whatever the size of the store, and the sum of a set is the same by whichever way the set came
about.  It cannot prove that a key is present; it shows that two nodes hold the same content, and that a snapshot
holds the content of an app hash.

The sum is collision resistant for *sets*.  A pair added 2^16 times would vanish, so a pair may be in the sum only
once: whoever changes a key removes the pair that is really stored and adds the new one, once a block.

Sources: Bellare and Micciancio, "A new paradigm for collision-free hashing"; Lewi et al., "Securing update
propagation with homomorphic hashing" (LtHash); Solana SIMD-0215.
"""

from __future__ import annotations

from hashlib import sha256, shake_128
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LANES: Final = 1024
"""Number of lanes of a sum."""

SUM_BYTES: Final = 2 * LANES
"""Length of an element and of a stored sum: lanes are little-endian and 16 bits wide."""

_TAG: Final = b"lthash/1"
_SLICE: Final = 512
"""Elements that are added in one numpy call, so that a large block needs little memory."""


def hash_element(store: str, key: bytes, value: bytes) -> bytes:
    """Return the element of a pair, 2,048 bytes.

    A fixed tag and the lengths of store and key stand before the parts of variable length, so that different
    triples never give the same input.
    """
    name = store.encode()
    head = _TAG + bytes((len(name),)) + name + len(key).to_bytes(4, "little")
    return shake_128(head + key + value).digest(SUM_BYTES)


def _add_up(elements: Sequence[bytes]) -> NDArray[np.uint16]:
    """Return the sum of elements in each lane, modulo 2^16."""
    total = np.zeros(LANES, dtype="<u2")
    for start in range(0, len(elements), _SLICE):
        matrix = np.frombuffer(b"".join(elements[start : start + _SLICE]), dtype="<u2").reshape(-1, LANES)
        total += np.add.reduce(matrix, axis=0, dtype=np.uint16)
    return total


class LtHash:
    """A sum over a set of pairs; immutable."""

    __slots__ = ("_lanes",)

    EMPTY: ClassVar[LtHash]
    """The sum over no pairs."""

    def __init__(self, stored: bytes = bytes(SUM_BYTES)) -> None:
        """Take a sum as `to_bytes` returned it.

        Raises:
          ValueError: the sum has the wrong length.

        """
        if len(stored) != SUM_BYTES:
            raise ValueError(f"expected a sum of {SUM_BYTES} bytes, got {len(stored)}")
        self._lanes: NDArray[np.uint16] = np.frombuffer(stored, dtype="<u2")

    def update(self, added: Sequence[bytes] = (), removed: Sequence[bytes] = ()) -> LtHash:
        """Return the sum with elements added and others removed, each as `hash_element` returns it."""
        lanes = self._lanes + _add_up(added) - _add_up(removed)
        return LtHash(lanes.astype("<u2").tobytes())

    def to_bytes(self) -> bytes:
        """Return the sum, 2,048 bytes."""
        return self._lanes.astype("<u2").tobytes()

    def root(self) -> bytes:
        """Return the sha256 of the sum, which stands for the bulk store in the app hash."""
        return sha256(self.to_bytes()).digest()


LtHash.EMPTY = LtHash()
