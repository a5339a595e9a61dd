from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.cli import Cli, fails
from tests.support.hub import make_spec, participant_key
from tests.support.shard_rounds import SHARD_CHAIN
from tx.keys import format_address

if TYPE_CHECKING:
    import pytest

    from tests.cli.conftest import Network
    from wire.gradchain.hub.v1 import query_pb2

ALICE = format_address(participant_key(0).public_key)
BOB = format_address(participant_key(1).public_key)


def test_a_participant_registers(online: Cli, network: Network, alice: str) -> None:
    network.hub.create_task(make_spec(min_participants=5))
    view = online.json("participant", "register", "--task", "1", "--key", alice)
    assert isinstance(view.pop("height"), int)
    assert view == {"participant": ALICE, "task": 1, "registered_before": False}
    assert online.json("task", "show", "1")["participants"] == 1


def test_to_register_twice_does_no_harm(online: Cli, network: Network, alice: str) -> None:
    network.hub.create_task(make_spec(min_participants=5))
    online.text("participant", "register", "--task", "1", "--key", alice)
    view = online.json("participant", "register", "--task", "1", "--key", alice)
    assert view == {"participant": ALICE, "task": 1, "height": None, "registered_before": True}
    assert "registered before  yes" in online.text("participant", "register", "--task", "1", "--key", alice)


def test_a_task_that_does_not_exist_takes_nobody(online: Cli, alice: str) -> None:
    fails(online.on("participant", "register", "--task", "9", "--key", alice), 1, "[hub/20]")


def test_the_task_has_to_be_named(online: Cli, alice: str) -> None:
    fails(online.on("participant", "register", "--key", alice), 2, "--task")


def test_an_assignment_is_verified_by_light_client(online: Cli, network: Network, alice: str) -> None:
    network.start_task()
    view = online.json("participant", "assignment", "--task", "1", "--key", alice)
    assert (view["participant"], view["shard"], view["verified"]) == (ALICE, SHARD_CHAIN, True)
    assert (view["task"], view["round"], view["attempt"], view["assigned"]) == (1, 1, 0, 2)
    assert view["index"] in {0, 1}
    assert view["base_root"] == online.json("task", "show", "1")["model_root"]
    text = online.text("participant", "assignment", "--task", "1", "--key", alice)
    assert SHARD_CHAIN in text
    assert "verified         yes" in text


def test_without_a_genesis_an_assignment_is_marked_as_unverified(
    cli: Cli, online: Cli, network: Network, alice: str
) -> None:
    network.start_task()
    verified = online.json("participant", "assignment", "--task", "1", "--key", alice)
    alone = Cli(cli.home, network.hub_option).json("participant", "assignment", "--task", "1", "--key", alice)
    assert alone == verified | {"verified": False}


def test_the_assignment_of_another_participant_can_be_looked_up(online: Cli, network: Network) -> None:
    network.start_task()
    assert online.json("participant", "assignment", "--task", "1", "--participant", BOB)["participant"] == BOB


def test_who_is_not_registered_has_no_assignment(online: Cli, network: Network, creator: str) -> None:
    network.start_task()
    fails(online.on("participant", "assignment", "--task", "1", "--key", creator), 1, "[participant/4]")


def test_before_the_first_round_nobody_is_assigned(online: Cli, network: Network, alice: str) -> None:
    network.hub.create_task(make_spec())
    fails(online.on("participant", "assignment", "--task", "1", "--key", alice), 1, "[participant/4]")


def test_a_round_that_the_chain_does_not_prove_is_a_lie(
    online: Cli, network: Network, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("participant.verified.PROOF_PATIENCE_S", 0.0)
    network.start_task()

    def move_deadline(answer: query_pb2.GetAssignmentResponse) -> query_pb2.GetAssignmentResponse:
        answer.info.close_time_ns += 1
        return answer

    network.hub.lies["GetAssignment"] = move_deadline
    fails(online.on("participant", "assignment", "--task", "1", "--key", alice), 4, "[participant/2]")


def test_an_assignment_to_a_shard_that_the_proof_is_not_for_is_a_lie(
    online: Cli, network: Network, alice: str
) -> None:
    network.start_task()

    def move(answer: query_pb2.GetAssignmentResponse) -> query_pb2.GetAssignmentResponse:
        answer.proof.index ^= 1
        return answer

    network.hub.lies["GetAssignment"] = move
    fails(online.on("participant", "assignment", "--task", "1", "--key", alice), 4, "[participant/2]")
