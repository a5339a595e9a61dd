"""A map that remembers the newest of what it is told: what the caches of a node and of a relayer are made of."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

Key = TypeVar("Key")
Value = TypeVar("Value")


class RecentMap(Generic[Key, Value]):
    """Values by key, of which the oldest are forgotten as soon as all together weigh more than the capacity.

    The age of an entry counts from when its key was first put; reading it does not make it younger.  Threads may share
    the map.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def get(self, key: Key) -> Value | None:
        """Return the value of a key, or None when it is not known."""
        with self._lock:
            found = self._entries.get(key)
        return None if found is None else found[0]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Remember a value, in the place of an earlier one of its key, and forget the oldest above the capacity."""
        with self._lock:
            _, before = self._entries.get(key, (None, 0))
            self._entries[key] = (value, weight)
            self._weight += weight - before
            while self._weight > self._capacity:
                _, (_, oldest) = self._entries.popitem(last=False)
                self._weight -= oldest

    def forget(self, keys: Iterable[Key]) -> None:
        """Forget the values of keys, as far as they are known."""
        with self._lock:
            for key in keys:
                _, weight = self._entries.pop(key, (None, 0))
                self._weight -= weight

    def list_keys(self) -> list[Key]:
        """Return the keys of all values, the oldest first."""
        with self._lock:
            return list(self._entries)
