from __future__ import annotations

import base64
import sqlite3
import struct
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from abci_app.errors import CorruptState, HomeLocked
from abci_app.examples.kvstore import KvStore
from abci_app.examples.kvstore_state import (
    IMPOSSIBLE_VALIDATOR,
    INVALID_FORMAT,
    MAX_TOTAL_POWER,
    OK,
    KvState,
    apply_block,
    classify,
    decode_state,
    encode_state,
    hash_state,
    validator_updates,
)
from abci_app.examples.kvstore_storage import Storage
from tests.support.abci import AbciClient, run_server
from tests.support.abci_requests import finalize_block, init_chain, public_key, run_block
from tests.support.kvstore import KEY, get_info, query, validator_tx
from tests.support.messages import requests
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STATES = st.builds(
    KvState,
    st.integers(0, 2**63),
    st.dictionaries(st.binary(max_size=10), st.binary(max_size=20), max_size=5),
    st.dictionaries(st.binary(max_size=34), st.integers(0, 2**63), max_size=3),
)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    opened = Storage(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def app(storage: Storage) -> KvStore:
    return KvStore(storage, snapshot_interval=2)


# State


@given(STATES)
def test_a_state_comes_back_from_its_encoding(state: KvState) -> None:
    assert decode_state(encode_state(state)) == state


@given(st.binary(max_size=120))
@example(struct.pack(">QQQQ", 0, 1, 2**63, 0))
@example(struct.pack(">QQQQQ", 0, 0, 1, 2**64 - 1, 2**64 - 1))
@example(struct.pack(">QQQQQQ", 0, 0, 2, 2**64 - 1, 0, 0))
def test_bytes_that_encode_no_state_are_refused(data: bytes) -> None:
    try:
        state = decode_state(data)
    except CorruptState:
        return
    assert encode_state(state) == data


@given(st.dictionaries(st.binary(min_size=1, max_size=4), st.binary(max_size=4), max_size=6))
def test_the_app_hash_depends_on_the_content_alone(pairs: dict[bytes, bytes]) -> None:
    entries = list(pairs.items())
    shuffled = dict(sorted(entries, key=lambda item: sha256(item[0]).digest()))
    assert hash_state(encode_state(KvState(1, pairs))) == hash_state(encode_state(KvState(1, shuffled)))


@pytest.mark.parametrize(
    ("tx", "code"),
    [
        (b"key=value", OK),
        (b"k=v", OK),
        (b"", INVALID_FORMAT),
        (b"key", INVALID_FORMAT),
        (b"=value", INVALID_FORMAT),
        (b"key=", INVALID_FORMAT),
        (b"a=b=c", INVALID_FORMAT),
        (validator_tx(1, 0), OK),
        (validator_tx(1, 10**19 - 1), OK),
        (validator_tx(1, 10**19), INVALID_FORMAT),
        (validator_tx(1, -1), INVALID_FORMAT),
        (b"val=x", INVALID_FORMAT),
        (b"val=ed25519!%s!1" % base64.b64encode(b"short"), INVALID_FORMAT),
        (b"val=secp256k1!%s!1" % base64.b64encode(public_key(1)), INVALID_FORMAT),
        (b"val=ed25519!not base64!1", INVALID_FORMAT),
        ("val=ed25519!\u00e9!1".encode(), INVALID_FORMAT),
    ],
)
def test_the_form_of_a_transaction_decides_its_code(tx: bytes, code: int) -> None:
    assert classify(tx) == code


@pytest.mark.parametrize(
    ("powers", "tx", "code"),
    [
        ({KEY: 5}, validator_tx(2, 3), OK),
        ({KEY: 5}, validator_tx(1, 3), OK),
        ({KEY: 5}, validator_tx(1, 0), IMPOSSIBLE_VALIDATOR),
        ({KEY: 5}, validator_tx(2, 0), IMPOSSIBLE_VALIDATOR),
        ({}, validator_tx(2, 0), IMPOSSIBLE_VALIDATOR),
        ({KEY: 5}, validator_tx(2, MAX_TOTAL_POWER - 5), OK),
        ({KEY: 5}, validator_tx(2, MAX_TOTAL_POWER - 4), IMPOSSIBLE_VALIDATOR),
    ],
)
def test_a_change_of_validators_on_which_comet_would_stop_fails(
    powers: dict[bytes, int], tx: bytes, code: int
) -> None:
    state = KvState(validators=powers)
    change = apply_block(state, [tx])
    assert change.codes == (code,)
    assert (change.state.validators == powers) is (code != OK)


def test_each_validator_is_updated_once_a_block_with_its_last_power() -> None:
    before = KvState(validators={KEY: 5})
    after = apply_block(before, [validator_tx(2, 1), validator_tx(2, 9), validator_tx(1, 0)]).state
    updates = validator_updates(before, after)
    assert [(update.pub_key.ed25519, update.power) for update in updates] == [
        (public_key(1), 0),
        (public_key(2), 9),
    ]


def test_a_validator_who_signed_twice_loses_a_unit_of_power() -> None:
    before = KvState(validators={KEY: 5})
    evidence = types_pb2.Misbehavior(
        type=types_pb2.MisbehaviorType.DUPLICATE_VOTE,
        validator=types_pb2.Validator(address=sha256(public_key(1)).digest()[:20], power=5),
    )
    assert apply_block(before, [], [evidence]).state.validators == {KEY: 4}


def test_the_last_unit_of_power_of_the_last_validator_is_kept() -> None:
    before = KvState(validators={KEY: 1})
    evidence = types_pb2.Misbehavior(
        type=types_pb2.MisbehaviorType.DUPLICATE_VOTE,
        validator=types_pb2.Validator(address=sha256(public_key(1)).digest()[:20], power=1),
    )
    assert apply_block(before, [], [evidence]).state.validators == {KEY: 1}


# Blocks


def test_a_committed_value_is_read_back(app: KvStore) -> None:
    app.init_chain(init_chain(10))
    answer = run_block(app, 1, b"a=1", b"broken", b"b=2")
    assert [result.code for result in answer.tx_results] == [OK, INVALID_FORMAT, OK]
    assert query(app, b"a").value == b"1"
    assert query(app, b"a").log == "exists"
    assert query(app, b"c").log == "does not exist"
    assert (get_info(app).last_block_height, get_info(app).data) == (1, '{"size":2}')
    assert get_info(app).last_block_app_hash == answer.app_hash


def test_a_finalized_block_is_not_seen_before_its_commit(app: KvStore) -> None:
    app.init_chain(init_chain(10))
    app.finalize_block(finalize_block(1, [b"a=1"]))
    assert query(app, b"a").value == b""
    assert get_info(app).last_block_height == 0


def test_a_block_may_be_finalized_again(app: KvStore) -> None:
    app.init_chain(init_chain(10))
    first = app.finalize_block(finalize_block(1, [b"a=1", validator_tx(2, 3)]))
    assert app.finalize_block(finalize_block(1, [b"a=1", validator_tx(2, 3)])) == first


def test_an_empty_block_leaves_the_app_hash_as_it_is(app: KvStore) -> None:
    genesis = app.init_chain(init_chain(10))
    assert run_block(app, 1).app_hash == genesis.app_hash
    changed = run_block(app, 2, b"a=1")
    assert run_block(app, 3).app_hash == changed.app_hash != genesis.app_hash


def test_the_power_of_a_validator_is_answered(app: KvStore) -> None:
    app.init_chain(init_chain(10))
    run_block(app, 1)
    assert query(app, KEY, "/val").value == b"10"


def test_a_query_for_an_unknown_path_fails(app: KvStore) -> None:
    assert query(app, b"a", "/nowhere").code != OK


def test_a_proposal_leaves_out_what_is_malformed_or_does_not_fit(app: KvStore) -> None:
    request = types_pb2.RequestPrepareProposal(txs=[b"a=1", b"broken", b"b=2", b"c=3"], max_tx_bytes=10)
    assert list(app.prepare_proposal(request).txs) == [b"a=1", b"b=2"]


@pytest.mark.parametrize(("txs", "accepted"), [([b"a=1"], True), ([], True), ([b"a=1", b"broken"], False)])
def test_a_proposal_with_a_malformed_transaction_is_rejected(
    app: KvStore, txs: list[bytes], accepted: bool
) -> None:
    answer = app.process_proposal(types_pb2.RequestProcessProposal(txs=txs))
    assert (answer.status == types_pb2.ResponseProcessProposal.ACCEPT) is accepted


def test_only_the_extension_that_validators_attach_is_accepted(app: KvStore) -> None:
    extension = app.extend_vote(types_pb2.RequestExtendVote(height=3, hash=b"h")).vote_extension
    accepted = []
    for height, block_hash, candidate in [
        (3, b"h", extension),
        (4, b"h", extension),
        (3, b"i", extension),
        (3, b"h", b""),
    ]:
        request = types_pb2.RequestVerifyVoteExtension(
            height=height, hash=block_hash, vote_extension=candidate
        )
        status = app.verify_vote_extension(request).status
        accepted.append(status == types_pb2.ResponseVerifyVoteExtension.ACCEPT)
    assert accepted == [True, False, False, False]


def test_the_extensions_of_the_last_proposal_are_counted(app: KvStore) -> None:
    votes = [types_pb2.ExtendedVoteInfo(vote_extension=b"x"), types_pb2.ExtendedVoteInfo()]
    commit = types_pb2.ExtendedCommitInfo(votes=votes)
    app.prepare_proposal(types_pb2.RequestPrepareProposal(local_last_commit=commit))
    assert query(app, b"", "/extensions").value == b"1"


# Disk


def test_a_commit_survives_the_process(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    app = KvStore(storage, snapshot_interval=1)
    app.init_chain(init_chain(10))
    committed = run_block(app, 1, b"a=1", validator_tx(2, 5))
    app.finalize_block(finalize_block(2, [b"a=2"]))
    snapshots = app.list_snapshots(types_pb2.RequestListSnapshots())
    storage.close()

    storage = Storage(tmp_path)
    again = KvStore(storage)
    assert (get_info(again).last_block_height, get_info(again).last_block_app_hash) == (1, committed.app_hash)
    assert query(again, b"a").value == b"1"
    assert again.list_snapshots(types_pb2.RequestListSnapshots()) == snapshots
    storage.close()


def test_replayed_blocks_give_the_same_app_hash_as_the_first_time(tmp_path: Path) -> None:
    blocks = [[b"a=1"], [validator_tx(2, 5)], [], [b"a=2", b"b=3"]]
    hashes = []
    for restart_after in range(5):
        home = tmp_path / str(restart_after)
        storage = Storage(home)
        app = KvStore(storage)
        app.init_chain(init_chain(10))
        for height, txs in enumerate(blocks, 1):
            if height == restart_after:
                app.finalize_block(finalize_block(height, txs))
                storage.close()
                storage = Storage(home)
                app = KvStore(storage)
                if height == 1:
                    app.init_chain(init_chain(10))
            answer = run_block(app, height, *txs)
        hashes.append(answer.app_hash)
        storage.close()
    assert len(set(hashes)) == 1


def test_a_home_that_is_open_is_refused(storage: Storage, tmp_path: Path) -> None:
    with pytest.raises(HomeLocked):
        Storage(tmp_path / "home")


def test_a_state_that_does_not_match_its_app_hash_is_refused(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    app = KvStore(storage)
    app.init_chain(init_chain(10))
    run_block(app, 1, b"a=1")
    storage.close()
    database = sqlite3.connect(tmp_path / "kvstore.db")
    with database:
        database.execute("UPDATE committed SET data = ?", (encode_state(KvState()),))
    database.close()
    storage = Storage(tmp_path)
    with pytest.raises(CorruptState):
        storage.load()
    storage.close()


# Fuzz


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
@pytest.mark.parametrize(
    "kind", [field.name for field in types_pb2.Request.DESCRIPTOR.fields if field.name != "flush"]
)
def test_no_request_whatsoever_makes_the_kvstore_fail(app: KvStore, kind: str, data: st.DataObject) -> None:
    with run_server(app) as running, AbciClient(running.address) as client:
        for step in ("init_chain", "finalize_block", "commit", kind):
            assert client.call(data.draw(requests(step))).WhichOneof("value") == step
