from __future__ import annotations

import pytest

from abci_app.state import BULK, Overlay
from hub.schedule import (
    announce_shard,
    cancel_wake_at,
    stop_waiting,
    take_due_tasks,
    wait_for_shards,
    wake,
    wake_at,
)
from tests.support.shards import MemoryState


@pytest.fixture
def state() -> Overlay:
    return Overlay(MemoryState())


def keys(state: Overlay) -> list[bytes]:
    return [key for key, _ in state.scan(BULK, b"schedule/")]


def test_woken_tasks_are_taken_in_the_order_in_which_they_were_woken(state: Overlay) -> None:
    for task in (5, 2, 9):
        wake(state, task)
    assert take_due_tasks(state, 0, 10) == [5, 2, 9]
    assert take_due_tasks(state, 0, 10) == []


def test_a_task_stands_in_the_queue_once(state: Overlay) -> None:
    wake(state, 5)
    wake(state, 5)
    assert take_due_tasks(state, 0, 10) == [5]


def test_a_task_can_be_woken_again_after_its_turn(state: Overlay) -> None:
    wake(state, 5)
    take_due_tasks(state, 0, 10)
    wake(state, 5)
    assert take_due_tasks(state, 0, 10) == [5]


def test_a_block_takes_no_more_than_its_number_and_the_rest_keep_their_places(state: Overlay) -> None:
    for task in (5, 2, 9):
        wake(state, task)
    assert take_due_tasks(state, 0, 2) == [5, 2]
    wake(state, 5)
    assert take_due_tasks(state, 0, 2) == [9, 5]


def test_a_timer_wakes_its_task_at_its_time_and_not_before(state: Overlay) -> None:
    wake_at(state, 7, 100)
    assert take_due_tasks(state, 99, 10) == []
    assert take_due_tasks(state, 100, 10) == [7]
    assert take_due_tasks(state, 101, 10) == []


def test_a_cancelled_timer_wakes_nobody(state: Overlay) -> None:
    wake_at(state, 7, 100)
    cancel_wake_at(state, 7, 100)
    assert take_due_tasks(state, 200, 10) == []


def test_earlier_timers_come_first_and_a_block_takes_a_bounded_number(state: Overlay) -> None:
    for task, time_ns in ((1, 30), (2, 10), (3, 20)):
        wake_at(state, task, time_ns)
    assert take_due_tasks(state, 50, 2) == [2, 3]
    assert take_due_tasks(state, 50, 2) == [1]


def test_a_task_that_waits_for_shards_is_left_alone_until_one_becomes_active(state: Overlay) -> None:
    wait_for_shards(state, 3)
    assert take_due_tasks(state, 0, 10) == []
    announce_shard(state)
    assert take_due_tasks(state, 0, 10) == [3]
    assert take_due_tasks(state, 0, 10) == []


def test_a_task_that_waits_again_needs_another_shard(state: Overlay) -> None:
    wait_for_shards(state, 3)
    announce_shard(state)
    take_due_tasks(state, 0, 10)
    wait_for_shards(state, 3)
    assert take_due_tasks(state, 0, 10) == []


def test_all_waiting_tasks_get_their_turn_although_a_block_takes_few(state: Overlay) -> None:
    for task in range(1, 8):
        wait_for_shards(state, task)
    announce_shard(state)
    taken: list[int] = []
    for _ in range(4):
        due = take_due_tasks(state, 0, 2)
        for task in due:
            wait_for_shards(state, task)  # they find too few shards and wait again
        taken += due
    assert sorted(taken) == list(range(1, 8))


def test_waiting_twice_leaves_one_entry(state: Overlay) -> None:
    wait_for_shards(state, 3)
    before = keys(state)
    wait_for_shards(state, 3)
    assert keys(state) == before


def test_a_task_that_stopped_waiting_leaves_nothing(state: Overlay) -> None:
    wait_for_shards(state, 3)
    stop_waiting(state, 3)
    stop_waiting(state, 3)
    assert keys(state) == []
