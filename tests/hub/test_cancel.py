"""Tasks that their creators take back."""

from __future__ import annotations

import pytest

from abci_app.state import BULK, PROVABLE
from aggregation.model import model_root
from hub.accounts.state import get_balance, get_escrowed
from hub.models.keys import CHUNK_PREFIX, RECORD_PREFIX
from hub.tasks.query import read_task
from tests.support.federation import make_parts
from tests.support.hub import CREATOR, RELAYER, SUPPLY, HubChain, make_model, make_spec, participant_key
from tx.paths import model_root_key
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

LARGE = 30_000
"""Parameters of a model of two chunks."""

MODEL = make_model(LARGE)
PARTS = make_parts(MODEL)
CANCEL = tx_pb2.MsgCancelTask(creator=CREATOR.public_key, task=1)


def create() -> tx_pb2.MsgCreateTask:
    return tx_pb2.MsgCreateTask(
        creator=CREATOR.public_key, spec=make_spec(LARGE), model_root=model_root(MODEL)
    )


def upload(task: int, count: int) -> tx_pb2.MsgUploadModel:
    """Return the upload of the first chunks of a task's model."""
    return tx_pb2.MsgUploadModel(creator=CREATOR.public_key, task=task, parts=PARTS[:count])


@pytest.fixture
def chain() -> HubChain:
    """A hub with a task that has half of its model."""
    chain = HubChain().start()
    chain.must_send(CREATOR, create())
    chain.must_send(CREATOR, upload(1, 1))
    return chain


def count_models(chain: HubChain) -> tuple[int, int]:
    """Return how many chunks and records of models there are."""
    counts = [len(list(chain.state.scan(BULK, prefix))) for prefix in (CHUNK_PREFIX, RECORD_PREFIX)]
    return counts[0], counts[1]


def test_a_task_that_is_taken_back_returns_its_budget_and_drops_its_model(chain: HubChain) -> None:
    assert (get_escrowed(chain.state), count_models(chain)) == (1_000, (1, 1))
    chain.must_send(CREATOR, CANCEL)
    assert chain.event_kinds() == ["task_ended"]
    shown = read_task(chain.state, 1)
    assert (shown.status, shown.escrow, shown.chunks_uploaded) == (query_pb2.TASK_STATUS_CANCELLED, 0, 0)
    assert (get_escrowed(chain.state), get_balance(chain.state, CREATOR.public_key)) == (0, SUPPLY - 1_000)
    assert count_models(chain) == (0, 0)
    assert chain.state.get(PROVABLE, model_root_key(1)) is None


def test_only_the_creator_takes_a_task_back(chain: HubChain) -> None:
    message = tx_pb2.MsgCancelTask(creator=RELAYER.public_key, task=1)
    assert chain.send(RELAYER, message) == ("hub", 24)
    assert chain.send(RELAYER, CANCEL) == ("tx", 6)
    assert chain.send(CREATOR, tx_pb2.MsgCancelTask(creator=b"short", task=1)) == ("hub", 1)


def test_a_task_that_does_not_exist_cannot_be_taken_back(chain: HubChain) -> None:
    assert chain.send(CREATOR, tx_pb2.MsgCancelTask(creator=CREATOR.public_key, task=2)) == ("hub", 20)


def test_a_task_whose_model_is_complete_runs_to_its_end(chain: HubChain) -> None:
    chain.must_send(CREATOR, upload(1, 2))
    assert chain.send(CREATOR, CANCEL) == ("hub", 25)
    assert read_task(chain.state, 1).escrow == 1_000


def test_a_task_is_taken_back_once(chain: HubChain) -> None:
    chain.must_send(CREATOR, CANCEL)
    assert chain.send(CREATOR, CANCEL) == ("hub", 25)
    assert get_balance(chain.state, CREATOR.public_key) == SUPPLY - 1_000


def test_a_task_that_was_taken_back_takes_neither_chunks_nor_participants(chain: HubChain) -> None:
    chain.must_send(CREATOR, CANCEL)
    assert chain.send(CREATOR, upload(1, 2)) == ("hub", 25)
    key = participant_key(0)
    register = tx_pb2.MsgRegisterParticipant(participant=key.public_key, task=1)
    assert chain.send(key, register) == ("hub", 21)
    assert count_models(chain) == (0, 0)


def test_what_another_task_needs_of_the_model_stays(chain: HubChain) -> None:
    chain.must_send(CREATOR, create())
    chain.must_send(CREATOR, CANCEL)
    assert read_task(chain.state, 2).chunks_uploaded == 1
    chain.must_send(CREATOR, upload(2, 2))
    assert read_task(chain.state, 2).status == query_pb2.TASK_STATUS_REGISTERING


def test_the_same_task_can_be_created_again(chain: HubChain) -> None:
    chain.must_send(CREATOR, CANCEL)
    chain.must_send(CREATOR, create())
    chain.must_send(CREATOR, upload(2, 2))
    assert read_task(chain.state, 2).status == query_pb2.TASK_STATUS_REGISTERING
