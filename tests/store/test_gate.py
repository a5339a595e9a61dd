from __future__ import annotations

import threading

import pytest

from abci_app.backends.gate import Gate
from abci_app.errors import StoreClosed


def is_open(gate: Gate) -> bool:
    try:
        with gate:
            return True
    except StoreClosed:
        return False


def test_closing_waits_until_the_last_thread_has_left() -> None:
    gate = Gate()
    entered, leave = threading.Event(), threading.Event()
    order: list[str] = []

    def stay() -> None:
        with gate:
            entered.set()
            leave.wait()
            order.append("left")

    def close() -> None:
        gate.close()
        order.append("closed")

    inside, closing = threading.Thread(target=stay), threading.Thread(target=close)
    inside.start()
    entered.wait()
    closing.start()
    while is_open(gate):
        pass
    leave.set()
    inside.join()
    closing.join()
    assert order == ["left", "closed"]


def test_only_the_first_closing_counts() -> None:
    gate = Gate()
    assert [gate.close(), gate.close()] == [True, False]


def test_a_thread_may_enter_again_while_it_is_inside() -> None:
    gate = Gate()
    with gate, gate:
        pass
    assert gate.close()


def test_an_error_inside_leaves_the_gate() -> None:
    gate = Gate()
    with pytest.raises(KeyError), gate:
        raise KeyError
    assert gate.close()
