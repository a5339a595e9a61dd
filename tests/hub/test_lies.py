"""Bodies that match their roots and are false: each is rejected for good, with the code of its lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.state import BULK
from aggregation.merkle import merkle_root
from hub.rounds.body import verify_body
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TALLY_PREFIX
from hub.rounds.state import get_shard_round
from hub.rounds.types import ShardStatus
from tests.support.federation import (
    Checkpointed,
    ShardRound,
    cut,
    make_body,
    make_checkpoint,
    make_parts,
    make_updates,
    seal,
)
from tests.support.hub import CREATOR, RELAYER, HubChain, body_message, start_training
from tests.support.hub_lies import DIMENSION, LIES, a_forged_signature, one_coordinate
from tx.codec import encode
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from aggregation.kzg import Setup
    from hub.rounds.body import BodyRules
    from tests.support.hub_lies import Lie
    from wire.gradchain.fl.v1 import packet_pb2


@pytest.fixture(scope="module")
def training() -> tuple[HubChain, int]:
    """A hub with two shards of three participants each; tests work on copies of its state."""
    return start_training(2, 6, parameters=DIMENSION)


def branch(training: tuple[HubChain, int]) -> tuple[HubChain, ShardRound]:
    origin, task = training
    chain = HubChain(services=origin.services, clients=dict(origin.clients), nonces=origin.nonces)
    chain.state.stores = {name: dict(values) for name, values in origin.state.stores.items()}
    chain.height, chain.time_ns = origin.height, origin.time_ns
    return chain, chain.parts(task)[0]


def reject(chain: HubChain, part: ShardRound, made_body: packet_pb2.CheckpointBody) -> tuple[str, int]:
    """Bring a body whose header is right about it; return why it was rejected."""
    made = seal(part, made_body)
    assert chain.deliver(part.shard, made.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert record.status is ShardStatus.REJECTED, "the lie was not found"
    for prefix in (PART_PREFIX, TALLY_PREFIX, AGGREGATE_PREFIX):
        assert list(chain.state.scan(BULK, prefix)) == []
    assert "body_rejected" in chain.event_kinds()
    return record.reject_codespace, record.reject_code


@pytest.mark.parametrize(("lie", "code"), LIES, ids=[lie.__name__ for lie, _ in LIES])
def test_a_lie_is_rejected(training: tuple[HubChain, int], lie: Lie, code: tuple[str, int]) -> None:
    chain, part = branch(training)
    body = make_body(part, make_updates(part))
    lie(part, body)
    assert reject(chain, part, body) == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda data: data + b"\xf8\x01\x01", ("tx", 3)),
        (lambda data: data[:-1], ("tx", 1)),
        (lambda data: b"\xff" * len(data), ("tx", 1)),
    ],
    ids=["unknown field", "truncated", "noise"],
)
def test_bytes_that_are_no_canonical_body_are_rejected(
    training: tuple[HubChain, int], change: Callable[[bytes], bytes], code: tuple[str, int]
) -> None:
    chain, part = branch(training)
    true = make_checkpoint(part)
    data = change(encode(true.body))
    true.header.body_bytes = len(data)
    true.header.body_root = merkle_root(cut(data))
    false = Checkpointed(true.header, true.body, tuple(make_parts(data)))
    assert chain.deliver(part.shard, false.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, false.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == code


@pytest.mark.parametrize(
    ("field", "code"),
    [("certificates_root", 88), ("grams_root", 88), ("commitments_root", 88), ("total_weight", 90)],
)
def test_a_header_that_is_false_about_a_true_body_is_rejected(
    training: tuple[HubChain, int], field: str, code: int
) -> None:
    chain, part = branch(training)
    made = make_checkpoint(part)
    setattr(made.header, field, made.header.total_weight - 1 if field == "total_weight" else b"\x07" * 32)
    assert chain.deliver(part.shard, made.packet()) == b"\x01"
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", code)


def test_a_header_with_another_number_of_updates_than_its_body_is_rejected(
    training: tuple[HubChain, int],
) -> None:
    chain, part = branch(training)
    made = make_checkpoint(part, make_updates(part)[:2])
    made.header.updates = 3
    chain.deliver(part.shard, made.packet())
    chain.must_send(RELAYER, body_message(part, made.parts))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("hub", 88)


def test_a_rejection_is_final(training: tuple[HubChain, int]) -> None:
    chain, part = branch(training)
    body = make_body(part, make_updates(part))
    one_coordinate(part, body)
    reject(chain, part, body)
    true = make_checkpoint(part)
    assert chain.deliver(part.shard, true.packet()) == b"AlreadyCheckpointed"
    assert chain.must_send(RELAYER, body_message(part, true.parts)) == ()
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert record.status is ShardStatus.REJECTED


def test_a_false_body_is_verified_once_a_node(
    training: tuple[HubChain, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a message that fails takes the rejection back, and could ask for the same work again and again."""
    chain, part = branch(training)
    chain.forget()
    body = make_body(part, make_updates(part))
    one_coordinate(part, body)
    made = seal(part, body)
    chain.deliver(part.shard, made.packet())
    verified: list[bytes] = []

    def count(setup: Setup, rules: BodyRules, body_bytes: bytes) -> packet_pb2.CheckpointBody:
        verified.append(rules.header.body_root)
        return verify_body(setup, rules, body_bytes)

    monkeypatch.setattr("hub.rounds.handlers.verify_body", count)
    too_much = tx_pb2.MsgTransfer(to=CREATOR.public_key, amount=10**9)
    setattr(too_much, "from", RELAYER.public_key)
    spoilt = [chain.sign(RELAYER, body_message(part, made.parts), too_much) for _ in range(3)]
    good = chain.sign(RELAYER, body_message(part, made.parts))
    chain.check(good)
    results = chain.block(*spoilt, good).results
    assert [result.code != 0 for result in results] == [True, True, True, False]
    assert verified == [made.header.body_root]
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert (record.reject_codespace, record.reject_code) == ("aggregation", 13)


def test_a_rejection_does_not_depend_on_what_a_node_remembers(training: tuple[HubChain, int]) -> None:
    outcomes = []
    for is_forgetful in (False, True):
        chain, part = branch(training)
        body = make_body(part, make_updates(part))
        one_coordinate(part, body)
        made = seal(part, body)
        chain.deliver(part.shard, made.packet())
        tx = chain.sign(RELAYER, body_message(part, made.parts))
        chain.check(tx)
        if is_forgetful:
            chain.forget()
        outcomes.append((chain.block(tx).results, chain.state.digest()))
    assert outcomes[0] == outcomes[1]


def test_a_rejected_shard_does_not_hold_up_the_others(training: tuple[HubChain, int]) -> None:
    chain, part = branch(training)
    task = part.info.task
    body = make_body(part, make_updates(part))
    a_forged_signature(part, body)
    reject(chain, part, body)
    chain.complete(chain.parts(task)[1])
    assert chain.newest(task).round == 2
    first = chain.round(type(chain.newest(task))(task, 1, 0))
    assert [entry.shard for entry in first.result.shards] == ["shard-2"]
    assert [entry.reject_code for entry in first.shards] == [6, 0]


def test_a_part_of_the_updates_is_a_true_body_too(training: tuple[HubChain, int]) -> None:
    chain, part = branch(training)
    chain.complete(part, make_checkpoint(part, make_updates(part)[1:]))
    record = get_shard_round(chain.state, chain.newest(part.info.task), part.shard)
    assert record is not None
    assert record.status is ShardStatus.COMPLETE
