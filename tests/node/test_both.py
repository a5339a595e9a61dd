"""Questions that are asked at once end together."""

from __future__ import annotations

import asyncio

import pytest

from abci_app.both import finish_all, finish_both


async def _give(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def _fail(error: Exception) -> str:
    raise error


def test_both_answers_are_returned_in_their_order() -> None:
    assert asyncio.run(finish_both(_give("one"), _give("other"))) == ("one", "other")


@pytest.mark.parametrize("fails_first", [True, False])
def test_a_failure_is_raised_when_the_other_question_has_ended_too(*, fails_first: bool) -> None:
    ended: list[bool] = []

    async def take_long() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append(True)
        return ""

    async def ask() -> None:
        failing = _fail(LookupError("no answer"))
        questions = (failing, take_long()) if fails_first else (take_long(), failing)
        with pytest.raises(LookupError, match="no answer"):
            await finish_both(*questions)
        assert ended

    asyncio.run(ask())


def test_of_two_failures_the_first_one_is_raised() -> None:
    with pytest.raises(LookupError, match="one"):
        asyncio.run(finish_both(_fail(LookupError("one")), _fail(LookupError("other"))))


def test_all_answers_are_returned_in_their_order() -> None:
    assert asyncio.run(finish_all(_give(value) for value in "abc")) == ["a", "b", "c"]
    assert asyncio.run(finish_all([])) == []


def test_the_first_failure_of_many_is_raised_when_all_have_ended() -> None:
    ended: list[bool] = []

    async def take_long() -> str:
        for _ in range(5):
            await asyncio.sleep(0)
        ended.append(True)
        return ""

    async def ask() -> None:
        with pytest.raises(LookupError, match="one"):
            await finish_all(
                [take_long(), _fail(LookupError("one")), _fail(LookupError("other")), take_long()]
            )
        assert ended == [True, True]

    asyncio.run(ask())
