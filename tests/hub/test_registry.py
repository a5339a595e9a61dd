from __future__ import annotations

import pytest

from hub.registry.query import read_shards
from hub.registry.state import get_chain_of_client, note_miss, require_shard
from tests.support.hub import AUTHORITY, RELAYER, HubChain, start_training
from tests.support.txs import SECOND_NS
from wire.gradchain.hub.v1 import tx_pb2


@pytest.fixture
def chain() -> HubChain:
    return HubChain().start(max_shards=2)


def make_registration(chain_id: str, client_id: str) -> tx_pb2.MsgRegisterShard:
    return tx_pb2.MsgRegisterShard(authority=AUTHORITY.public_key, chain_id=chain_id, client_id=client_id)


def test_a_registered_shard_is_active(chain: HubChain) -> None:
    chain.add_shards("shard-2", "shard-1")
    shards = read_shards(chain.state).shards
    assert [(shard.chain_id, shard.active) for shard in shards] == [("shard-1", True), ("shard-2", True)]
    assert get_chain_of_client(chain.state, chain.clients["shard-2"]) == "shard-2"


def test_only_the_authority_registers_shards(chain: HubChain) -> None:
    client_id = chain.create_client("shard-1")
    message = make_registration("shard-1", client_id)
    message.authority = RELAYER.public_key
    assert chain.send(RELAYER, message) == ("hub", 60)
    assert chain.send(RELAYER, make_registration("shard-1", client_id)) == ("tx", 6)


def test_a_chain_is_registered_once(chain: HubChain) -> None:
    chain.add_shards("shard-1")
    other = chain.create_client("shard-1")
    assert chain.send(AUTHORITY, make_registration("shard-1", other)) == ("hub", 61)


def test_a_client_serves_one_shard(chain: HubChain) -> None:
    chain.add_shards("shard-1")
    message = make_registration("shard-2", chain.clients["shard-1"])
    assert chain.send(AUTHORITY, message) == ("hub", 61)


def test_a_client_must_exist(chain: HubChain) -> None:
    assert chain.send(AUTHORITY, make_registration("shard-1", "07-tendermint-9")) == ("hub", 62)


def test_a_client_must_be_active(chain: HubChain) -> None:
    client_id = chain.create_client("shard-1", trusting_s=60)
    chain.block(after_s=61)
    assert chain.send(AUTHORITY, make_registration("shard-1", client_id)) == ("hub", 62)


def test_a_client_must_follow_the_chain(chain: HubChain) -> None:
    client_id = chain.create_client("shard-2")
    assert chain.send(AUTHORITY, make_registration("shard-1", client_id)) == ("hub", 63)


def test_there_are_no_more_shards_than_the_hub_allows(chain: HubChain) -> None:
    chain.add_shards("shard-1", "shard-2")
    client_id = chain.create_client("shard-3")
    assert chain.send(AUTHORITY, make_registration("shard-3", client_id)) == ("hub", 64)


@pytest.mark.parametrize("chain_id", ["", "a b", "x" * 51, "shard-ä", "shard\n-1"])
def test_what_is_no_chain_id_is_refused(chain: HubChain, chain_id: str) -> None:
    assert chain.send(AUTHORITY, make_registration(chain_id, "07-tendermint-0")) == ("hub", 1)


def test_what_is_no_client_id_is_refused(chain: HubChain) -> None:
    assert chain.send(AUTHORITY, make_registration("shard-1", "no client")) == ("ibc", 50)


def _make_inactive(chain: HubChain, shard: str) -> None:
    for _ in range(3):
        chain.inbox.append(lambda block, state: note_miss(block, state, shard, 3))
    chain.block()


def test_a_shard_becomes_inactive_at_the_limit_of_misses_in_a_row(chain: HubChain) -> None:
    chain.add_shards("shard-1")
    for missed in range(1, 3):
        chain.inbox.append(lambda block, state: note_miss(block, state, "shard-1", 3))
        chain.block()
        shard = require_shard(chain.state, "shard-1")
        assert (shard.is_active, shard.missed) == (True, missed)
    chain.inbox.append(lambda block, state: note_miss(block, state, "shard-1", 3))
    chain.block()
    assert not require_shard(chain.state, "shard-1").is_active
    assert chain.event_kinds() == ["shard_activity"]
    chain.inbox.append(lambda block, state: note_miss(block, state, "shard-1", 3))
    chain.block()
    assert require_shard(chain.state, "shard-1").missed == 3
    assert chain.event_kinds() == []


def test_a_state_that_names_an_unknown_shard_is_damaged(chain: HubChain) -> None:
    with pytest.raises(LookupError, match="damaged"):
        require_shard(chain.state, "shard-9")


def test_an_inactive_shard_is_admitted_again_over_its_client(chain: HubChain) -> None:
    chain.add_shards("shard-1")
    _make_inactive(chain, "shard-1")
    chain.must_send(AUTHORITY, make_registration("shard-1", chain.clients["shard-1"]))
    shard = require_shard(chain.state, "shard-1")
    assert (shard.is_active, shard.missed) == (True, 0)
    assert len(read_shards(chain.state).shards) == 1


def test_an_inactive_shard_is_admitted_again_over_a_new_client(chain: HubChain) -> None:
    chain.add_shards("shard-1")
    _make_inactive(chain, "shard-1")
    old, new = chain.clients["shard-1"], chain.create_client("shard-1")
    chain.must_send(AUTHORITY, make_registration("shard-1", new))
    assert get_chain_of_client(chain.state, old) is None
    assert get_chain_of_client(chain.state, new) == "shard-1"


def test_a_shard_admitted_again_lets_waiting_tasks_go_on() -> None:
    chain, task = start_training(1, 2, params={"missing_limit": 1})
    chain.block(after_s=100)
    assert chain.event_kinds() == ["shard_activity", "round_void", "send_packet", "message"]
    chain.block(after_s=1_000)
    assert chain.event_kinds() == []
    chain.must_send(AUTHORITY, make_registration("shard-1", chain.clients["shard-1"]))
    round_id = chain.newest(task)
    assert (round_id.round, round_id.attempt) == (1, 1)
    assert chain.round(round_id).info.opened_at_ns == chain.time_ns
    assert chain.round(round_id).info.deadline_ns == chain.time_ns + 100 * SECOND_NS
