from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from abci_app.state import BULK, Overlay
from ibc.heights import find_height_above, find_height_below, oldest_height
from ibc.keys import height_key
from tests.support.ibc_host import EmptyState

CLIENT = "07-tendermint-1"
heights = st.one_of(st.integers(1, 300), st.integers(1, (1 << 63) - 1))


def make_state(known: set[int]) -> Overlay:
    state = Overlay(EmptyState())
    for height in known:
        state.set(BULK, height_key(CLIENT, height), b"\x01")
    state.set(BULK, height_key("07-tendermint-10", 2), b"\x01")
    state.set(BULK, height_key("07-tendermint-0", 2), b"\x01")
    return state


@given(st.sets(heights, min_size=1, max_size=20), heights)
@example({1, (1 << 63) - 1}, 1 << 40)
@example({16, 256}, 17)
def test_neighbours_are_those_of_the_sorted_heights(known: set[int], height: int) -> None:
    state = make_state(known)
    above = min((item for item in known if item > height), default=None)
    below = max((item for item in known if item < height), default=None)
    assert find_height_above(state, CLIENT, height, max(known)) == above
    assert find_height_below(state, CLIENT, height) == below
    assert oldest_height(state, CLIENT) == min(known)


def test_a_client_that_knows_nothing_has_no_heights() -> None:
    state = make_state(set())
    assert oldest_height(state, CLIENT) is None
    assert find_height_below(state, CLIENT, 5) is None
