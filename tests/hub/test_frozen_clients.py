"""Shards whose chain has contradicted itself: through the real handlers, with real headers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hub.registry.state import require_shard
from hub.rounds.types import RoundId
from ibc.clients import ClientStatus, client_status
from ibc.ports import SUCCESS_ACK
from ibc.state import get_acknowledgement, require_client
from tests.support.federation import make_checkpoint
from tests.support.hub import AUTHORITY, HubChain, body_message, codes, make_spec
from tests.support.hub import RELAYER as CARRIER
from tests.support.hub_link import RELAYER, SimulatedShard
from tx.keys import SigningKey, format_address
from wire.gradchain.hub.v1 import tx_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

BAD, GOOD = "shard-1", "shard-2"
SUBSTITUTE = "07-tendermint-2"


@dataclass
class Federation:
    """A hub in the first round of a task with two linked shards, one of which will fork."""

    chain: HubChain = field(default_factory=lambda: HubChain().start())
    bad: SimulatedShard = field(init=False)
    good: SimulatedShard = field(init=False)
    task: int = field(init=False)

    def __post_init__(self) -> None:
        self.bad = SimulatedShard(self.chain, BAD, "07-tendermint-0")
        self.good = SimulatedShard(self.chain, GOOD, "07-tendermint-1")
        for shard in (self.bad, self.good):
            self.chain.must_send(AUTHORITY, *shard.link())
            self.chain.clients[shard.chain_id] = shard.client_id
        self.task = self.chain.create_task(make_spec(rounds=6))
        self.chain.register(self.task, 0, 1, 2, 3)

    def is_active(self, shard: str) -> bool:
        return require_shard(self.chain.state, shard).is_active

    def status(self) -> ClientStatus:
        client_id = self.bad.client_id
        client = require_client(self.chain.state, client_id)
        return client_status(self.chain.state, client_id, client, self.chain.time_ns)

    def freeze(self) -> None:
        self.chain.must_send(RELAYER, self.bad.show_fork())
        assert self.status() is ClientStatus.FROZEN

    def recover(self, signer: SigningKey = AUTHORITY) -> tuple[str, int]:
        """Create a substitute from a new block, and recover the frozen client with it."""
        self.bad.start = self.bad.add_block()
        self.chain.must_send(AUTHORITY, self.bad.create_client())
        message = client_tx_pb2.MsgRecoverClient(
            subject_client_id=self.bad.client_id,
            substitute_client_id=SUBSTITUTE,
            signer=format_address(signer.public_key),
        )
        return self.chain.send(signer, message)

    def shards_of_round(self) -> list[str]:
        """Return the shards of the newest round."""
        return [part.shard for part in self.chain.parts(self.task)]

    def finish_round(self) -> RoundId:
        """Let the good shard deliver, and the deadline pass; return the next round."""
        self.chain.complete(next(part for part in self.chain.parts(self.task) if part.shard == GOOD))
        self.chain.block(after_s=100)
        return self.chain.newest(self.task)


@pytest.fixture
def federation() -> Federation:
    return Federation()


def test_evidence_of_a_fork_makes_the_shard_inactive(federation: Federation) -> None:
    assert federation.is_active(BAD)
    federation.freeze()
    assert federation.chain.event_kinds() == ["client_misbehaviour", "message", "shard_activity"]
    assert not federation.is_active(BAD)
    assert federation.is_active(GOOD)


def test_an_update_that_contradicts_what_is_known_makes_the_shard_inactive(federation: Federation) -> None:
    part = federation.chain.parts(federation.task)[0]
    tx = federation.bad.relay(federation.bad.send(make_checkpoint(part).packet()))
    assert codes(federation.chain.block(tx)) == [("", 0)]
    assert federation.is_active(BAD)
    federation.chain.must_send(RELAYER, federation.bad.contradict())
    assert federation.status() is ClientStatus.FROZEN
    assert not federation.is_active(BAD)


def test_the_other_shards_go_on_with_all_participants(federation: Federation) -> None:
    assert federation.shards_of_round() == [BAD, GOOD]
    federation.freeze()
    assert federation.finish_round() == RoundId(federation.task, 2, 0)
    assert federation.shards_of_round() == [GOOD]
    (part,) = federation.chain.parts(federation.task)
    assert len(part.keys) == 4
    federation.chain.complete(part)
    assert federation.chain.newest(federation.task) == RoundId(federation.task, 3, 0)


def test_a_checkpoint_of_a_frozen_client_is_refused(federation: Federation) -> None:
    part = federation.chain.parts(federation.task)[0]
    tx = federation.bad.relay(federation.bad.send(make_checkpoint(part).packet()))
    federation.freeze()
    assert codes(federation.chain.block(tx)) == [("ibc", 52)]


def test_a_body_does_not_bring_a_frozen_shard_back(federation: Federation) -> None:
    """Its header was proven before the freeze, so the body counts; but the shard cannot be told of a round."""
    part = federation.chain.parts(federation.task)[0]
    made = make_checkpoint(part)
    federation.chain.block(federation.bad.relay(federation.bad.send(made.packet())))
    federation.freeze()
    federation.chain.must_send(CARRIER, body_message(part, made.parts))
    assert not federation.is_active(BAD)


def test_freezing_a_client_of_no_shard_changes_no_shard(federation: Federation) -> None:
    federation.bad.start = federation.bad.add_block()
    federation.chain.must_send(AUTHORITY, federation.bad.create_client())
    federation.bad.client_id = SUBSTITUTE
    federation.freeze()
    assert federation.is_active(BAD)


def test_a_shard_with_a_frozen_client_is_not_admitted_again(federation: Federation) -> None:
    federation.freeze()
    again = tx_pb2.MsgRegisterShard(
        authority=AUTHORITY.public_key, chain_id=BAD, client_id=federation.bad.client_id
    )
    assert federation.chain.send(AUTHORITY, again) == ("hub", 62)


def test_only_the_authority_recovers_a_client(federation: Federation) -> None:
    federation.freeze()
    assert federation.recover(RELAYER) == ("ibc", 56)
    assert federation.status() is ClientStatus.FROZEN


def test_the_authority_admits_a_recovered_shard_again(federation: Federation) -> None:
    federation.freeze()
    assert federation.recover() == ("", 0)
    assert federation.status() is ClientStatus.ACTIVE
    assert not federation.is_active(BAD)
    again = tx_pb2.MsgRegisterShard(
        authority=AUTHORITY.public_key, chain_id=BAD, client_id=federation.bad.client_id
    )
    federation.chain.must_send(AUTHORITY, again)
    assert federation.is_active(BAD)
    federation.finish_round()
    assert federation.shards_of_round() == [BAD, GOOD]


def test_a_proven_checkpoint_brings_a_recovered_shard_back(federation: Federation) -> None:
    part = federation.chain.parts(federation.task)[0]
    federation.freeze()
    assert federation.recover() == ("", 0)
    packet = federation.bad.send(make_checkpoint(part).packet())
    assert codes(federation.chain.block(federation.bad.relay(packet))) == [("", 0)]
    ack = get_acknowledgement(federation.chain.state, federation.bad.client_id, packet.sequence)
    assert ack is not None
    assert list(ack.app_acknowledgements) == [SUCCESS_ACK]
    assert federation.is_active(BAD)
