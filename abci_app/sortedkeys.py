"""Keys in bytewise order, to which more are added all the time."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

_FEW: Final = 256
"""So many keys are inserted one by one; more are sorted in together."""

_SHARE: Final = 6
"""New keys are sorted in when they are more than the others shifted right by this."""


class SortedKeys:
    """Distinct keys in order.

    Two lists, of which the short one takes what is new: inserting in a long list moves half of it.  Keys are put in order
    when they are added, so that any number of threads may look while nobody adds.
    """

    __slots__ = ("_keys", "_recent")

    def __init__(self) -> None:
        self._keys: list[bytes] = []
        self._recent: list[bytes] = []

    def add(self, fresh: Collection[bytes]) -> None:
        """Add keys that are not there yet."""
        if len(fresh) > _FEW:
            self._keys += fresh
            self._keys.sort()
            return
        for key in fresh:
            insort(self._recent, key)
        if len(self._recent) > max(_FEW, len(self._keys) >> _SHARE):
            self._keys += self._recent
            self._keys.sort()
            self._recent.clear()

    def list_prefix(self, prefix: bytes) -> list[bytes]:
        """Return the keys with the prefix, ascending; the cost does not depend on how many others there are."""
        return sorted(_with_prefix(self._keys, prefix) + _with_prefix(self._recent, prefix))


def _with_prefix(keys: list[bytes], prefix: bytes) -> list[bytes]:
    start = stop = bisect_left(keys, prefix)
    while stop < len(keys) and keys[stop].startswith(prefix):
        stop += 1
    return keys[start:stop]
