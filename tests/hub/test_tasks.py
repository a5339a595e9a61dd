from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.state import PROVABLE
from aggregation.model import model_root
from hub.accounts.state import get_balance, get_escrowed
from hub.errors import TaskNotFound
from hub.tasks.query import read_participants, read_task, read_tasks
from hub.tasks.state import list_participants, require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import make_parts
from tests.support.hub import (
    CREATOR,
    RELAYER,
    SUPPLY,
    HubChain,
    make_model,
    make_spec,
    participant_key,
    start_training,
)
from tests.support.txs import SECOND_NS
from tx.paths import model_root_key
from tx.specs import spec_digest
from wire.gradchain.hub.v1 import query_pb2, tx_pb2
from wire.gradchain.tx.v1.tx_pb2 import MessageResults

if TYPE_CHECKING:
    from wire.gradchain.fl.v1 import task_pb2

MODEL = make_model(50)


@pytest.fixture
def chain() -> HubChain:
    return HubChain().start()


def make_create(spec: task_pb2.TaskSpec, root: bytes | None = None) -> tx_pb2.MsgCreateTask:
    return tx_pb2.MsgCreateTask(
        creator=CREATOR.public_key, spec=spec, model_root=model_root(MODEL) if root is None else root
    )


def make_registration(task: int, number: int) -> tx_pb2.MsgRegisterParticipant:
    return tx_pb2.MsgRegisterParticipant(participant=participant_key(number).public_key, task=task)


def test_a_new_task_holds_its_budget_and_waits_for_its_model(chain: HubChain) -> None:
    spec = make_spec()
    chain.must_send(CREATOR, make_create(spec))
    task = read_task(chain.state, 1)
    assert task.status == query_pb2.TASK_STATUS_UPLOADING
    assert task.spec == spec
    assert task.spec_digest == spec_digest(spec)
    assert (task.escrow, get_escrowed(chain.state)) == (1_000, 1_000)
    assert get_balance(chain.state, CREATOR.public_key) == SUPPLY - 2_000
    assert chain.state.get(PROVABLE, model_root_key(1)) is None


def test_tasks_are_numbered_from_one(chain: HubChain) -> None:
    for _ in range(3):
        chain.must_send(CREATOR, make_create(make_spec()))
    assert [task.task for task in read_tasks(chain.state, 0, 0).tasks] == [1, 2, 3]
    assert [task.task for task in read_tasks(chain.state, 2, 1).tasks] == [2]
    assert [task.task for task in read_tasks(chain.state, 4, 9).tasks] == []


def test_a_task_that_costs_more_than_its_creator_has_is_refused(chain: HubChain) -> None:
    assert chain.send(CREATOR, make_create(make_spec(budget=SUPPLY))) == ("hub", 2)
    with pytest.raises(TaskNotFound):
        require_task(chain.state, 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"rounds": 0}, ("tx", 16)),
        ({"min_participants": 3, "min_shards": 3, "participants_per_round": 2}, ("hub", 1)),
        ({"min_participants": 70, "min_shards": 65}, ("hub", 1)),
        ({"round_duration_ns": 30 * SECOND_NS - 1}, ("hub", 1)),
    ],
    ids=["spec", "sampled too few", "too many shards", "too short for a checkpoint to travel"],
)
def test_a_task_that_could_never_run_is_refused(
    chain: HubChain, changes: dict[str, int], code: tuple[str, int]
) -> None:
    assert chain.send(CREATOR, make_create(make_spec(**changes))) == code


def test_a_task_that_needs_more_participants_than_the_hub_allows_is_refused() -> None:
    chain = HubChain().start(max_participants=5)
    assert chain.send(CREATOR, make_create(make_spec(min_participants=6))) == ("hub", 1)


def test_the_shortest_round_is_a_parameter() -> None:
    chain = HubChain().start(min_round_duration_ns=5)
    assert chain.send(CREATOR, make_create(make_spec(round_duration_ns=4))) == ("hub", 1)
    assert chain.send(CREATOR, make_create(make_spec(round_duration_ns=5))) == ("", 0)


def test_the_result_of_a_creation_tells_the_number_of_the_task(chain: HubChain) -> None:
    for number in (1, 2):
        result = chain.block(chain.sign(CREATOR, make_create(make_spec()))).results[0]
        (value,) = MessageResults.FromString(result.data).values
        assert tx_pb2.MsgCreateTaskResult.FromString(value).task == number


def test_a_task_without_a_root_of_its_model_is_refused(chain: HubChain) -> None:
    assert chain.send(CREATOR, make_create(make_spec(), root=b"\x01" * 31)) == ("hub", 1)


def test_only_the_creator_can_sign_for_a_task(chain: HubChain) -> None:
    assert chain.send(RELAYER, make_create(make_spec())) == ("tx", 6)


def test_a_task_takes_no_participants_before_its_model_is_there(chain: HubChain) -> None:
    chain.must_send(CREATOR, make_create(make_spec()))
    assert chain.send(participant_key(0), make_registration(1, 0)) == ("hub", 21)


def test_a_complete_model_opens_the_registration(chain: HubChain) -> None:
    number = chain.create_task(make_spec(), MODEL)
    assert require_task(chain.state, number).status is TaskStatus.REGISTERING
    assert chain.state.get(PROVABLE, model_root_key(number)) == model_root(MODEL)
    chain.register(number, 0, 1)
    assert sorted(read_participants(chain.state, number).participants) == sorted(
        participant_key(index).public_key for index in range(2)
    )
    assert read_task(chain.state, number).participants == 2


def test_a_participant_registers_once(chain: HubChain) -> None:
    number = chain.create_task(make_spec())
    chain.register(number, 0)
    assert chain.send(participant_key(0), make_registration(number, 0)) == ("hub", 22)


def test_a_participant_cannot_be_registered_by_others(chain: HubChain) -> None:
    number = chain.create_task(make_spec())
    assert chain.send(RELAYER, make_registration(number, 0)) == ("tx", 6)


def test_a_registration_of_what_is_no_address_is_refused(chain: HubChain) -> None:
    number = chain.create_task(make_spec())
    message = tx_pb2.MsgRegisterParticipant(participant=b"short", task=number)
    assert chain.send(RELAYER, message) == ("hub", 1)


@pytest.mark.parametrize("number", [0, 1, 2**64 - 1])
def test_nobody_registers_for_a_task_that_does_not_exist(chain: HubChain, number: int) -> None:
    assert chain.send(participant_key(0), make_registration(number, 0)) == ("hub", 20)


def test_a_task_is_full_at_the_hubs_limit() -> None:
    chain = HubChain().start(max_participants=2)
    number = chain.create_task(make_spec())
    chain.register(number, 0, 1)
    assert chain.send(participant_key(2), make_registration(number, 2)) == ("hub", 23)


def test_who_registers_during_a_round_takes_part_from_the_next_one_on() -> None:
    chain, task = start_training(1, 2)
    chain.register(task, 5)
    assert participant_key(5).public_key not in chain.parts(task)[0].participants
    chain.run_round(task)
    assert participant_key(5).public_key in chain.parts(task)[0].participants


def test_nobody_registers_for_a_task_that_is_over() -> None:
    chain, task = start_training(1, 2, rounds=1)
    chain.run_round(task)
    assert chain.send(participant_key(9), make_registration(task, 9)) == ("hub", 21)


def test_participants_are_listed_by_task(chain: HubChain) -> None:
    first, second = chain.create_task(make_spec()), chain.create_task(make_spec())
    chain.register(first, 0)
    chain.register(second, 1)
    assert list_participants(chain.state, first) == [participant_key(0).public_key]
    with pytest.raises(TaskNotFound):
        read_participants(chain.state, 3)


def test_a_task_with_a_model_that_is_there_already_needs_no_upload(chain: HubChain) -> None:
    chain.create_task(make_spec(), MODEL)
    chain.must_send(CREATOR, make_create(make_spec()))
    assert require_task(chain.state, 2).status is TaskStatus.REGISTERING
    assert chain.state.get(PROVABLE, model_root_key(2)) == model_root(MODEL)


def test_a_task_whose_model_another_task_has_completed_meanwhile_goes_on_with_any_chunk(
    chain: HubChain,
) -> None:
    chain.must_send(CREATOR, make_create(make_spec()))
    chain.create_task(make_spec(), MODEL)
    assert require_task(chain.state, 1).status is TaskStatus.UPLOADING
    upload = tx_pb2.MsgUploadModel(creator=CREATOR.public_key, task=1, parts=make_parts(MODEL))
    chain.must_send(CREATOR, upload)
    assert require_task(chain.state, 1).status is TaskStatus.REGISTERING
