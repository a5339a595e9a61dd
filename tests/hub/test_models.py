from __future__ import annotations

from itertools import permutations

import pytest

from abci_app.state import BULK, Overlay
from aggregation.merkle import verify_merkle_path
from aggregation.model import decode_model, model_root
from hub.errors import InvalidField, UnknownChunk
from hub.models.keys import CHUNK_PREFIX, ModelId, chunk_key
from hub.models.query import read_model_chunks
from hub.models.state import (
    add_chunk,
    count_chunks,
    is_complete,
    read_model,
    record_newest_model,
    reference_model,
    release_model,
    store_model,
)
from hub.tasks.query import read_task
from hub.tasks.state import require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import make_parts
from tests.support.hub import CREATOR, RELAYER, HubChain, make_model, make_spec, start_training
from tests.support.shards import MemoryState
from wire.gradchain.hub.v1 import tx_pb2

LARGE = 40_000
"""Parameters of a model of three chunks, the last of which is short."""

MODEL = make_model(LARGE)
PARTS = make_parts(MODEL)


def make_upload(parts: list[tx_pb2.DataPart], task: int = 1) -> tx_pb2.MsgUploadModel:
    return tx_pb2.MsgUploadModel(creator=CREATOR.public_key, task=task, parts=parts)


@pytest.fixture
def chain() -> HubChain:
    """A hub with one task that waits for a model of three chunks."""
    chain = HubChain().start()
    chain.must_send(
        CREATOR,
        tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=make_spec(LARGE), model_root=model_root(MODEL)),
    )
    return chain


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_chunks_may_arrive_in_any_order(chain: HubChain, order: tuple[int, ...]) -> None:
    for place, index in enumerate(order):
        assert require_task(chain.state, 1).status is TaskStatus.UPLOADING
        assert read_task(chain.state, 1).chunks_uploaded == place
        chain.must_send(CREATOR, make_upload([PARTS[index]]))
    assert require_task(chain.state, 1).status is TaskStatus.REGISTERING
    assert read_model(chain.state, ModelId(model_root(MODEL), len(MODEL))) == MODEL


def test_a_chunk_that_is_there_already_changes_nothing(chain: HubChain) -> None:
    chain.must_send(CREATOR, make_upload([PARTS[0], PARTS[0]]))
    before = chain.state.stores[BULK].copy()
    events = chain.must_send(CREATOR, make_upload([PARTS[0]]))
    assert events == ()
    after = chain.state.stores[BULK]
    assert {key: value for key, value in after.items() if not key.startswith(b"tx/")} == {
        key: value for key, value in before.items() if not key.startswith(b"tx/")
    }


def test_an_upload_can_be_repeated_after_the_model_is_complete(chain: HubChain) -> None:
    chain.must_send(CREATOR, make_upload(PARTS))
    chain.must_send(CREATOR, make_upload(PARTS))
    assert require_task(chain.state, 1).status is TaskStatus.REGISTERING


def _false_index(part: tx_pb2.DataPart) -> None:
    part.index = 3


def _swapped_index(part: tx_pb2.DataPart) -> None:
    part.index = 1


def _short(part: tx_pb2.DataPart) -> None:
    part.data = part.data[:-1]


def _other_data(part: tx_pb2.DataPart) -> None:
    part.data = bytes(len(part.data))


def _short_path(part: tx_pb2.DataPart) -> None:
    del part.path[-1]


def _no_data(part: tx_pb2.DataPart) -> None:
    part.data = b""


def _long_data(part: tx_pb2.DataPart) -> None:
    part.data += b"\x00"


def _short_hash(part: tx_pb2.DataPart) -> None:
    part.path[0] = b"\x01"


def _long_path(part: tx_pb2.DataPart) -> None:
    part.path.extend([b"\x00" * 32] * 32)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_false_index, ("hub", 41)),
        (_swapped_index, ("aggregation", 6)),
        (_short, ("hub", 41)),
        (_other_data, ("aggregation", 6)),
        (_short_path, ("aggregation", 6)),
        (_no_data, ("hub", 1)),
        (_long_data, ("hub", 1)),
        (_short_hash, ("hub", 1)),
        (_long_path, ("hub", 1)),
    ],
)
def test_what_is_no_chunk_of_the_model_is_refused(
    chain: HubChain, change: object, code: tuple[str, int]
) -> None:
    assert callable(change)
    part = tx_pb2.DataPart.FromString(PARTS[0].SerializeToString())
    change(part)
    assert chain.send(CREATOR, make_upload([PARTS[1], part])) == code
    assert read_task(chain.state, 1).chunks_uploaded == 0


def test_an_upload_without_parts_or_with_too_many_is_refused(chain: HubChain) -> None:
    assert chain.send(CREATOR, make_upload([])) == ("hub", 1)
    tiny = tx_pb2.DataPart(data=b"\x00")
    assert chain.send(CREATOR, make_upload([tiny] * 49)) == ("hub", 1)


def test_only_the_creator_uploads(chain: HubChain) -> None:
    message = tx_pb2.MsgUploadModel(creator=RELAYER.public_key, task=1, parts=PARTS[:1])
    assert chain.send(RELAYER, message) == ("hub", 24)


def test_nothing_is_uploaded_to_a_task_that_does_not_exist(chain: HubChain) -> None:
    assert chain.send(CREATOR, make_upload(PARTS, task=2)) == ("hub", 20)


def test_chunks_of_a_root_do_not_count_for_a_model_of_another_size() -> None:
    """Whoever names the same root with another number of parameters gets a model that cannot become complete."""
    chain = HubChain().start()
    root = model_root(MODEL)
    for parameters in (LARGE - 1, LARGE):
        chain.must_send(
            CREATOR,
            tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=make_spec(parameters), model_root=root),
        )
    chain.must_send(CREATOR, make_upload(PARTS, task=2))
    assert require_task(chain.state, 2).status is TaskStatus.REGISTERING
    assert chain.send(CREATOR, make_upload(PARTS[:2], task=1)) == ("", 0)
    assert chain.send(CREATOR, make_upload(PARTS[2:], task=1)) == ("hub", 41)
    assert require_task(chain.state, 1).status is TaskStatus.UPLOADING
    assert read_model_chunks(chain.state, root, 0, 0).total_chunks == 3


def test_chunks_are_served_with_paths_to_the_root(chain: HubChain) -> None:
    chain.must_send(CREATOR, make_upload(PARTS))
    root = model_root(MODEL)
    answer = read_model_chunks(chain.state, root, 1, 1)
    assert (answer.total_chunks, [part.index for part in answer.parts]) == (3, [1])
    part = answer.parts[0]
    verify_merkle_path(root, part.data, part.index, answer.total_chunks, list(part.path))
    assert list(read_model_chunks(chain.state, root, 0, 0).parts) == PARTS
    assert list(read_model_chunks(chain.state, root, 3, 9).parts) == []


def test_a_model_that_is_not_complete_is_not_served(chain: HubChain) -> None:
    chain.must_send(CREATOR, make_upload(PARTS[:2]))
    with pytest.raises(UnknownChunk):
        read_model_chunks(chain.state, model_root(MODEL), 0, 0)
    with pytest.raises(InvalidField):
        read_model_chunks(chain.state, b"short", 0, 0)


def test_a_model_is_kept_until_its_last_reference_is_released() -> None:
    state = Overlay(MemoryState())
    model = store_model(state, MODEL)
    reference_model(state, model)
    release_model(state, model)
    assert is_complete(state, model)
    release_model(state, model)
    assert list(state.scan(BULK, b"models/")) == []
    release_model(state, model)  # a model that is not kept: nothing happens


def test_the_same_model_is_stored_once() -> None:
    state = Overlay(MemoryState())
    first, second = store_model(state, MODEL), store_model(state, MODEL)
    assert first == second
    assert len(list(state.scan(BULK, CHUNK_PREFIX))) == 3
    release_model(state, first)
    assert is_complete(state, first)


def test_storing_a_model_of_which_chunks_were_uploaded_completes_it() -> None:
    state = Overlay(MemoryState())
    model = ModelId(model_root(MODEL), len(MODEL))
    reference_model(state, model)
    assert count_chunks(state, model) == 0
    store_model(state, MODEL)
    assert read_model(state, model) == MODEL


def test_a_task_keeps_its_newest_models_only() -> None:
    state = Overlay(MemoryState())
    models = []
    for round_number in range(5):
        models.append(store_model(state, make_model(10, seed=round_number)))
        record_newest_model(state, 1, round_number, models[-1], keep_models=2)
    assert [is_complete(state, model) for model in models] == [False, False, False, True, True]


def test_a_task_that_keeps_one_model_keeps_the_newest() -> None:
    chain, task = start_training(1, 2, rounds=3, params={"keep_models": 1})
    roots = [require_task(chain.state, task).model.root]
    for _ in range(3):
        chain.run_round(task)
        roots.append(require_task(chain.state, task).model.root)
    for root in roots[:-1]:
        with pytest.raises(UnknownChunk):
            read_model_chunks(chain.state, root, 0, 0)
    data = read_model_chunks(chain.state, roots[-1], 0, 0).parts[0].data
    assert decode_model(data, 50).shape == (50,)


def test_a_state_whose_model_lacks_a_chunk_or_a_record_is_damaged() -> None:
    state = Overlay(MemoryState())
    model = store_model(state, MODEL)
    state.delete(BULK, chunk_key(model, 1))
    with pytest.raises(LookupError, match="damaged"):
        read_model(state, model)
    with pytest.raises(LookupError, match="damaged"):
        add_chunk(state, ModelId(b"r" * 32, 4), 0, bytes(4))
