"""The newest are remembered, never more than there is room for, whichever threads ask."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from abci_app.recent import RecentMap

if TYPE_CHECKING:
    from collections.abc import Iterator

KEYS = st.integers(0, 7)


@dataclass
class Model:
    """The same map, kept as a list from the oldest to the newest: key, value, weight."""

    capacity: int = 0
    entries: list[tuple[int, str, int]] = field(default_factory=list)

    def put(self, key: int, value: str, weight: int) -> None:
        places = [place for place, (known, _, _) in enumerate(self.entries) if known == key]
        for place in places:
            self.entries[place] = (key, value, weight)
        if not places:
            self.entries.append((key, value, weight))
        while sum(weight for _, _, weight in self.entries) > self.capacity:
            del self.entries[0]


class RecentMapMachine(RuleBasedStateMachine):
    @initialize(capacity=st.integers(0, 30))
    def start(self, capacity: int) -> None:
        self.map: RecentMap[int, str] = RecentMap(capacity)
        self.model = Model(capacity)

    @rule(key=KEYS, value=st.text(max_size=2), weight=st.integers(0, 12))
    def put(self, key: int, value: str, weight: int) -> None:
        self.map.put(key, value, weight)
        self.model.put(key, value, weight)

    @rule(keys=st.lists(KEYS, max_size=3))
    def forget(self, keys: list[int]) -> None:
        self.map.forget(keys)
        self.model.entries = [entry for entry in self.model.entries if entry[0] not in keys]

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        known = {key: value for key, value, _ in self.model.entries}
        assert self.map.list_keys() == list(known)
        assert {key: self.map.get(key) for key in range(8)} == {key: known.get(key) for key in range(8)}


TestRecentMap = RecentMapMachine.TestCase


def test_each_entry_counts_once_unless_told_otherwise() -> None:
    recent: RecentMap[int, str] = RecentMap(3)
    for number in range(5):
        recent.put(number, "known")
    assert recent.list_keys() == [2, 3, 4]


def test_reading_does_not_keep_an_entry_from_being_the_oldest() -> None:
    recent: RecentMap[int, str] = RecentMap(2)
    recent.put(1, "one")
    recent.put(2, "two")
    assert recent.get(1) == "one"
    recent.put(3, "three")
    assert recent.list_keys() == [2, 3]


def test_what_alone_is_too_heavy_is_not_remembered() -> None:
    recent: RecentMap[int, str] = RecentMap(2)
    recent.put(1, "heavy", 3)
    assert recent.list_keys() == []


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Have threads interrupt each other as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("hasty_threads")
def test_threads_share_a_map_without_losing_count() -> None:
    recent: RecentMap[int, int] = RecentMap(40)
    wrong: list[object] = []
    start = threading.Barrier(4)

    def use(seed: int) -> None:
        chance = Random(seed)
        start.wait()
        try:
            for _ in range(20_000):
                key = chance.randrange(5)
                recent.put(key, key, chance.randrange(20))
                if recent.get(key) not in {None, key}:
                    wrong.append(key)
                recent.forget([chance.randrange(5)])
        except (KeyError, TypeError, RuntimeError) as error:
            wrong.append(error)

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    # Had a weight been lost or counted twice, there were room for more or fewer than forty now.
    recent.forget(recent.list_keys())
    for number in range(100, 150):
        recent.put(number, number)
    assert recent.list_keys() == list(range(110, 150))
