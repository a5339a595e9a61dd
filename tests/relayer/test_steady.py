"""Pauses end in time, whatever happens to the wall clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from hypothesis import given
from hypothesis import strategies as st

from relayer.driver import Driver
from relayer.events import Tick
from relayer.machine import RelayMachine
from relayer.steady import SteadyClock

if TYPE_CHECKING:
    from relayer.config import RelayerConfig
    from relayer.journal import Journal
    from relayer.keyring import KeyRing
    from relayer.nodes import ChainNodes

HOUR_NS = 3600 * 10**9
START_NS = 1_700_000_000 * 10**9


class Hands:
    """A clock that is set by hand."""

    def __init__(self, now_ns: int) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


def test_a_clock_that_is_set_back_goes_on_at_its_pace() -> None:
    wall, monotonic = Hands(START_NS), Hands(5)
    clock = SteadyClock(wall, monotonic)
    assert clock() == START_NS
    wall.now_ns -= HOUR_NS
    monotonic.now_ns += 7
    assert clock() == START_NS + 7
    wall.now_ns += 3
    monotonic.now_ns += 3
    assert clock() == START_NS + 10


def test_a_clock_that_is_set_forward_is_followed() -> None:
    wall, monotonic = Hands(START_NS), Hands(5)
    clock = SteadyClock(wall, monotonic)
    clock()
    wall.now_ns += HOUR_NS
    assert clock() == START_NS + HOUR_NS


@given(st.lists(st.tuples(st.integers(-HOUR_NS, HOUR_NS), st.integers(0, HOUR_NS)), max_size=20))
def test_no_time_passes_more_slowly_than_it_does(steps: list[tuple[int, int]]) -> None:
    wall, monotonic = Hands(START_NS), Hands(0)
    clock = SteadyClock(wall, monotonic)
    before = clock()
    for jump, passed in steps:
        wall.now_ns += jump
        monotonic.now_ns += passed
        now = clock()
        assert now >= max(before + passed, wall.now_ns)
        before = now


def test_the_machine_is_woken_in_time_after_the_clock_was_set_back() -> None:
    wall = Hands(START_NS)

    async def run() -> None:
        nothing = (cast("RelayerConfig", None), cast("Journal", None), cast("ChainNodes", None))
        driver = Driver(*nothing, shards={}, keys=cast("KeyRing", None), clock_ns=wall)
        machine = RelayMachine()
        machine.state.timers.append(START_NS)
        assert await driver._next_events(machine) == [Tick()]
        wall.now_ns -= HOUR_NS
        machine.state.timers[0] = START_NS + 10**8
        assert await asyncio.wait_for(driver._next_events(machine), 30) == [Tick()]

    asyncio.run(run())
