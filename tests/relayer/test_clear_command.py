"""The clear command by itself, on a played pair of chains."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from cli.errors import Exit
from tests.support.relayer import ended, received
from tests.support.relayer_cli import run, run_json, send
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from click.testing import Result

    from tests.support.relayer import Pair


def test_clear_sees_all_open_packets_through_and_ends(pair: Pair) -> None:
    send(pair, from_hub=3, from_shard=2)
    report = run_json(pair, "clear")
    assert (report["found"], report["cleared"]) == (5, 5)
    assert {packet["outcome"] for packet in report["packets"]} == {"acknowledged"}
    assert ended(pair.hub) == ["acknowledged"] * 3
    assert ended(pair.shard) == ["acknowledged"] * 2
    assert run_json(pair, "clear") == {"found": 0, "cleared": 0, "packets": [], "unknown": []}
    assert not pair.config.journal.exists()


def test_clear_takes_the_sequences_that_are_named(pair: Pair) -> None:
    send(pair, from_hub=5, from_shard=2)
    report = run_json(pair, "clear", "--shard", "shard-1", "--sequences", "2,4-9", "--sender", "hub-1")
    assert [packet["sequence"] for packet in report["packets"]] == [2, 4, 5]
    assert (received(pair.shard), received(pair.hub)) == (3, 0)
    left = sorted((packet["chain"], packet["sequence"]) for packet in run_json(pair, "pending")["packets"])
    assert left == [("hub-1", 1), ("hub-1", 3), ("shard-1", 1), ("shard-1", 2)]


@pytest.mark.parametrize("sequences", ["0", "3-2", "x", "", "1,", "-3"])
def test_clear_refuses_what_are_no_sequences(pair: Pair, sequences: str) -> None:
    result = run(pair, "clear", "--shard", "shard-1", f"--sequences={sequences}")
    assert result.exit_code == Exit.USAGE


def test_clear_of_sequences_needs_one_link(pair: Pair) -> None:
    assert run(pair, "clear", "--sequences", "1").exit_code == Exit.USAGE


def test_clear_leaves_packets_that_are_sent_later_to_others(pair: Pair) -> None:
    send(pair, from_hub=2)
    pair.shard.refuse_broadcast = True
    results: list[Result] = []
    worker = threading.Thread(target=lambda: results.append(run(pair, "clear", "--json")))
    worker.start()
    # The list of open packets was made when the first transaction is refused.
    eventually(lambda: pair.shard.refused > 0, "an attempt")
    send(pair, from_hub=1)
    pair.shard.refuse_broadcast = False
    worker.join(60)
    assert json.loads(results[0].stdout)["cleared"] == 2
    assert received(pair.shard) == 2
    (left,) = run_json(pair, "pending")["packets"]
    assert left["sequence"] == 3


def test_clear_that_is_not_done_in_time_says_what_is_left(pair: Pair) -> None:
    send(pair, from_hub=1)
    pair.shard.refuse_broadcast = True
    result = run(pair, "clear", "--timeout", "1", "--json")
    assert result.exit_code == Exit.REFUSED
    report = json.loads(result.stdout)
    assert (report["found"], report["cleared"]) == (1, 0)
    assert "[relayer/50]" in result.stderr
