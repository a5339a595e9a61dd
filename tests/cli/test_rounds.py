from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.cli import Cli, fails
from tests.support.hub import ROUND_S, make_spec
from tests.support.shard_rounds import SHARD_CHAIN

if TYPE_CHECKING:
    from tests.cli.conftest import Network
    from wire.gradchain.hub.v1 import query_pb2


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.rounds.POLL_S", 0.0)
    monkeypatch.setattr("participant.verified.PROOF_PATIENCE_S", 0.5)


def test_an_open_round_is_shown_and_verified(online: Cli, network: Network) -> None:
    network.start_task()
    view = online.json("round", "show", "--task", "1")
    assert (view["round"], view["attempt"], view["status"], view["verified"]) == (1, 0, "open", True)
    assert (view["model_root"], view["settlement_root"], view["paid"]) == (None, None, 0)
    assert view["shards"] == [
        {
            "shard": SHARD_CHAIN,
            "status": "waiting",
            "assigned": 2,
            "updates": 0,
            "total_weight": 0,
            "body_bytes": 0,
            "parts_received": 0,
            "parts": 0,
            "reject_code": None,
        }
    ]


def test_without_a_genesis_a_round_is_marked_as_unverified(cli: Cli, network: Network) -> None:
    network.start_task()
    alone = Cli(cli.home, network.hub_option)
    view = alone.json("round", "show", "--task", "1")
    assert (view["verified"], view["verified_height"]) == (False, None)
    assert "verified         no" in alone.text("round", "show", "--task", "1")


def test_a_settled_round_has_a_proven_outcome_and_pay(online: Cli, network: Network) -> None:
    network.hub.run_round(network.start_task())
    settle(network)
    view = online.json("round", "show", "--task", "1", "--round", "1")
    assert (view["status"], view["updates"], view["verified"]) == ("settled", 2, True)
    assert view["model_root"] != view["base_root"]
    assert view["settlement_root"]
    assert (view["paid"], view["relay_paid"]) == (500, 0)
    text = online.text("round", "show", "--task", "1", "--round", "1")
    assert "complete" in text
    assert str(view["model_root"]) in text


def settle(network: Network) -> None:
    """Let blocks pass until the challenge window of the newest outcome is over."""
    for _ in range(3):
        network.hub.block(after_s=1)


def test_the_newest_attempt_is_shown_unless_another_is_asked_for(online: Cli, network: Network) -> None:
    network.start_task()
    network.hub.block(after_s=ROUND_S + 1)
    network.hub.block()
    newest = online.json("round", "show", "--task", "1", "--round", "1")
    assert (newest["attempt"], newest["status"]) == (1, "open")
    first = online.json("round", "show", "--task", "1", "--round", "1", "--attempt", "0")
    assert (first["attempt"], first["status"]) == (0, "void")


def test_a_round_that_was_not_opened_is_refused_by_the_hub(online: Cli, network: Network) -> None:
    network.start_task()
    fails(online.on("round", "show", "--task", "1", "--round", "9"), 1, "[hub/80]")


@pytest.mark.parametrize("field", ["record", "outcome", "pay", "mixed"])
def test_a_round_that_the_chain_does_not_prove_is_a_lie(online: Cli, network: Network, field: str) -> None:
    network.hub.run_round(network.start_task())
    settle(network)

    def lie(answer: query_pb2.GetRoundResponse) -> query_pb2.GetRoundResponse:
        found = answer.round
        if field == "record":
            found.info.scale += 1
        elif field == "outcome":
            found.result.model_root = bytes(32)
        elif field == "pay":
            found.settlement_root = bytes(32)
        else:
            found.result.round += 1
        return answer

    network.hub.lies["GetRound"] = lie
    fails(online.on("round", "show", "--task", "1", "--round", "1"), 4, "[participant/2]")


def test_watching_tells_every_change_until_the_task_ends(online: Cli, network: Network) -> None:
    task = network.start_task()
    steps = ["train", "settle", "train", "settle"]

    def go_on(answer: query_pb2.GetTaskResponse) -> query_pb2.GetTaskResponse:
        step = steps.pop(0) if steps else ""
        if step == "train":
            network.hub.run_round(task)
        elif step == "settle":
            settle(network)
        return answer

    network.hub.lies["GetTask"] = go_on
    result = online.on("round", "watch", "--task", "1", "--json")
    assert result.exit_code == 0, result.output
    events = [json.loads(line) for line in result.stdout.splitlines()]
    seen = [(event["round"], event["status"]) for event in events]
    assert seen == sorted(seen, key=lambda item: item[0])
    assert (1, "settled") in seen
    assert seen[-1] == (2, "settled")
    assert events[-1]["paid"] == 500
    assert len(seen) == len(set(map(str, events)))


def test_watching_a_task_without_a_round_says_what_it_waits_for(
    online: Cli, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.hub.create_task(make_spec(min_participants=2))
    polls: list[None] = []

    def poll(_: float) -> None:
        polls.append(None)
        if len(polls) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("cli.rounds.time.sleep", poll)
    result = online.on("round", "watch", "--task", "1", "--json")
    assert result.exit_code == 130
    assert result.stdout == ""
    said = "task 1 has no round yet: registering, 0 participants of at least 2"
    assert [line for line in result.stderr.splitlines() if line] == [said, "interrupted"]


def test_watching_can_end_with_a_round(online: Cli, network: Network) -> None:
    network.hub.run_round(network.start_task())
    text = online.text("round", "watch", "--task", "1", "--until", "1")
    assert text.startswith("round 1.0  ")
    assert f"{SHARD_CHAIN} complete 2/2" in text


def test_watching_a_task_that_failed_ends(online: Cli, network: Network) -> None:
    network.start_task()
    for _ in range(4):
        network.hub.block(after_s=ROUND_S + 1)
        network.hub.block()
    assert online.json("task", "show", "1")["status"] == "failed"
    assert "void" in online.text("round", "watch", "--task", "1")


def test_watching_a_task_that_does_not_exist_is_refused(online: Cli) -> None:
    fails(online.on("round", "watch", "--task", "1"), 1, "[hub/20]")


def test_an_interrupted_watch_ends_with_130(
    online: Cli, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.start_task()

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.rounds.time.sleep", interrupt)
    result = online.on("round", "watch", "--task", "1")
    assert result.exit_code == 130
    assert "round 1.0" in result.stdout
