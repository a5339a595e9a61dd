from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from aggregation.ordering import batch_order, batch_sizes

if TYPE_CHECKING:
    from random import Random

participants = st.lists(st.binary(min_size=32, max_size=32), unique=True, max_size=30)
seeds = st.binary(min_size=32, max_size=32)


@given(seeds, participants)
def test_the_order_is_that_of_the_hashes_of_seed_and_participant(seed: bytes, keys: list[bytes]) -> None:
    ordered = [keys[index] for index in batch_order(seed, keys)]
    assert ordered == sorted(keys, key=lambda key: sha256(b"gradchain/batch-order/1" + seed + key).digest())


@given(seeds, participants, st.randoms())
def test_the_order_does_not_depend_on_the_order_of_arrival(
    seed: bytes, keys: list[bytes], random: Random
) -> None:
    shuffled = list(keys)
    random.shuffle(shuffled)
    assert [keys[index] for index in batch_order(seed, keys)] == [
        shuffled[index] for index in batch_order(seed, shuffled)
    ]


@given(st.integers(min_value=0, max_value=2_000))
def test_batches_are_full_but_perhaps_the_last(count: int) -> None:
    sizes = batch_sizes(count)
    assert sum(sizes) == count
    assert all(size == 128 for size in sizes[:-1])
    assert all(1 <= size <= 128 for size in sizes)
