"""Work on a proposal beside the votes: at most one at a time, and never past the block."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from abci_app.headstart import HeadStart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Gate:
    """Work that waits for the test, and counts how often it was done."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.opened = threading.Event()
        self.done = 0

    def work(self) -> None:
        self.started.set()
        assert self.opened.wait(30)
        self.done += 1


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.opened.set()


def count(calls: list[str], name: str) -> Callable[[], None]:
    return lambda: calls.append(name)


def test_finish_waits_for_the_work(gate: Gate) -> None:
    head_start = HeadStart()
    head_start.begin([b"tx"], gate.work)
    assert gate.started.wait(30)
    assert gate.done == 0
    gate.opened.set()
    head_start.finish()
    assert gate.done == 1


def test_the_same_subject_is_worked_on_once() -> None:
    head_start, calls = HeadStart(), list[str]()
    head_start.begin([b"one"], count(calls, "proposed"))
    head_start.begin([b"one"], count(calls, "voted on"))
    head_start.finish()
    assert calls == ["proposed"]


def test_another_subject_is_worked_on_when_the_first_is_done() -> None:
    head_start, calls = HeadStart(), list[str]()
    for subject in (b"one", b"two"):
        head_start.begin([subject], count(calls, subject.decode()))
        head_start.finish()
    assert calls == ["one", "two"]


def test_while_work_runs_nothing_else_begins(gate: Gate) -> None:
    head_start, calls = HeadStart(), list[str]()
    head_start.begin([b"one"], gate.work)
    head_start.begin([b"two"], count(calls, "two"))
    gate.opened.set()
    head_start.finish()
    assert (gate.done, calls) == (1, [])


def test_no_transactions_are_no_work() -> None:
    head_start, calls = HeadStart(), list[str]()
    head_start.begin([], count(calls, "nothing"))
    head_start.finish()
    assert calls == []


def test_a_defect_in_the_work_is_raised_where_the_block_needs_it() -> None:
    def fail() -> None:
        raise LookupError("the state is damaged")

    head_start = HeadStart()
    head_start.begin([b"tx"], fail)
    with pytest.raises(LookupError, match="damaged"):
        head_start.finish()
    head_start.finish()
