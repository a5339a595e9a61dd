"""Bringing expired and frozen clients back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from abci_app.context import Event
from ibc import errors
from ibc.client_state import make_client_state, pack_client_state, pack_consensus_state
from ibc.clients import ClientStatus, handle_create_client
from ibc.handlers import check_stateless
from ibc.identifiers import ZERO_HEIGHT
from ibc.proof_spec import DEFAULT_SPECS, TENDERMINT_SPEC
from ibc.recovery import handle_recover_client
from ibc.results import RelayResult
from ibc.state import get_counterparty, put_client, require_client
from ibc.voting import Fraction
from tests.support.ibc import DAY_NS, SECOND_NS, TRUSTING_PERIOD_NS, SimulatedChain, sign_header
from tests.support.ibc_following import CLIENT, Following
from tests.support.ibc_host import AUTHORITY, RELAYER
from tests.support.ibc_link import Link, freeze
from tx.keys import SigningKey, format_address
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from ibc.client_state import ClientState
    from tests.support.ibc_host import HostChain

SUBSTITUTE = "07-tendermint-1"


def make_recovery(subject: str = CLIENT, substitute: str = SUBSTITUTE) -> client_tx_pb2.MsgRecoverClient:
    return client_tx_pb2.MsgRecoverClient(
        subject_client_id=subject,
        substitute_client_id=substitute,
        signer=format_address(AUTHORITY.public_key),
    )


def recover(
    host: HostChain, msg: client_tx_pb2.MsgRecoverClient | None = None, signer: SigningKey = AUTHORITY
) -> None:
    handle_recover_client(host.ctx, host.state, msg or make_recovery(), signer=signer.public_key)


def create(host: HostChain, client: ClientState, sim: SimulatedChain) -> str:
    """Create a client that starts from the chain's block at its latest height."""
    msg = client_tx_pb2.MsgCreateClient(
        client_state=pack_client_state(client),
        consensus_state=pack_consensus_state(sim.trusted_state(client.latest_height.height)),
    )
    return handle_create_client(host.ctx, host.state, msg, signer=AUTHORITY.public_key)


@dataclass
class Recovery:
    """A frozen client that knows heights up to 5, and a substitute that knows height 10."""

    following: Following = field(default_factory=Following)

    def __post_init__(self) -> None:
        self.following.update(1, 5)
        self.following.host.update_client(CLIENT, self.other.wrap(self.following.fork(5), 1))
        assert self.following.status() is ClientStatus.FROZEN
        assert create(self.host, self.client(), self.other) == SUBSTITUTE

    @property
    def host(self) -> HostChain:
        return self.following.host

    @property
    def other(self) -> SimulatedChain:
        return self.following.other

    def client(self, height: int = 10) -> ClientState:
        return make_client_state(self.other.options(), 21 * DAY_NS, height, DEFAULT_SPECS)

    def edit(self, client_id: str, client: ClientState) -> None:
        put_client(self.host.state, client_id, client)


def test_a_frozen_client_goes_on_from_its_substitute() -> None:
    recovery = Recovery()
    recover(recovery.host)
    client = require_client(recovery.host.state, CLIENT)
    assert (client.frozen_height, client.latest_height.height) == (ZERO_HEIGHT, 10)
    assert recovery.following.status() is ClientStatus.ACTIVE
    names = (
        ("subject_client_id", CLIENT),
        ("substitute_client_id", SUBSTITUTE),
        ("client_type", "07-tendermint"),
    )
    assert recovery.host.events[-2:] == [
        Event("recover_client", names),
        Event("message", (("module", "ibc_client"),)),
    ]
    recovery.other.add_block()
    assert recovery.following.update(10, 11) is RelayResult.SUCCESS


def test_an_expired_client_goes_on_from_its_substitute() -> None:
    following = Following()
    following.other.time_ns += TRUSTING_PERIOD_NS
    following.other.add_block()
    following.host.sim.time_ns = following.other.time_ns
    assert following.status() is ClientStatus.EXPIRED
    client = make_client_state(following.other.options(), 21 * DAY_NS, 11, DEFAULT_SPECS)
    create(following.host, client, following.other)
    recover(following.host)
    assert following.status() is ClientStatus.ACTIVE
    assert following.client_heights == [11]


def test_a_client_without_its_latest_state_can_be_recovered() -> None:
    recovery = Recovery()
    client = require_client(recovery.host.state, CLIENT)
    recovery.edit(CLIENT, replace(client, latest_height=replace(client.latest_height, height=99)))
    recover(recovery.host)
    assert recovery.following.status() is ClientStatus.ACTIVE


def test_a_recovered_client_forgets_what_it_knew() -> None:
    """One of its states may be the forged one: it would be the base of proofs, or freeze the client again."""
    recovery = Recovery()
    assert recovery.following.client_heights == [1, 5]
    recover(recovery.host)
    assert recovery.following.client_heights == [10]
    assert not recovery.following.knows(1)
    assert not recovery.following.knows(5)
    with pytest.raises(errors.ConsensusStateNotFound):
        recovery.following.update(5, 6)


def test_a_recovered_client_keeps_its_counterparty_and_its_open_packets() -> None:
    link = Link()
    packet = link.send()
    link.recv(link.recv_message(packet))
    freeze(link.hub, link.hub_client, link.shard)
    substitute = link.hub.create_client(link.shard)
    recover(link.hub, make_recovery(link.hub_client, substitute))
    counterparty = get_counterparty(link.hub.state, link.hub_client)
    assert counterparty is not None
    assert counterparty.client_id == link.shard_client
    assert link.acknowledge(link.ack_message(packet)) is RelayResult.SUCCESS


def test_the_substitute_stays_as_it_is() -> None:
    recovery = Recovery()
    before = require_client(recovery.host.state, SUBSTITUTE)
    recover(recovery.host)
    assert require_client(recovery.host.state, SUBSTITUTE) == before


def test_a_recovered_client_can_be_frozen_again() -> None:
    recovery = Recovery()
    recover(recovery.host)
    recovery.other.add_blocks(2)
    recovery.following.update(10, 12)
    recovery.host.update_client(CLIENT, recovery.other.wrap(recovery.following.fork(12), 10))
    assert recovery.following.status() is ClientStatus.FROZEN


def test_only_the_authority_recovers_clients() -> None:
    recovery = Recovery()
    with pytest.raises(errors.NotAuthority):
        recover(recovery.host, signer=RELAYER)
    assert recovery.following.status() is ClientStatus.FROZEN


def test_an_active_client_is_not_recovered() -> None:
    recovery = Recovery()
    with pytest.raises(errors.RecoveryUnneeded):
        recover(recovery.host, make_recovery(SUBSTITUTE, CLIENT))


@pytest.mark.parametrize("subject", [CLIENT, "07-tendermint-7"])
def test_both_clients_exist(subject: str) -> None:
    recovery = Recovery()
    other = "07-tendermint-8" if subject == CLIENT else SUBSTITUTE
    with pytest.raises(errors.ClientNotFound):
        recover(recovery.host, make_recovery(subject, other))


def test_a_frozen_substitute_is_refused() -> None:
    recovery = Recovery()
    recovery.edit(SUBSTITUTE, require_client(recovery.host.state, SUBSTITUTE).freeze())
    with pytest.raises(errors.ClientNotActive):
        recover(recovery.host)
    with pytest.raises(errors.ClientNotActive):
        recover(recovery.host, make_recovery(CLIENT, CLIENT))


def test_an_expired_substitute_is_refused() -> None:
    recovery = Recovery()
    recovery.host.sim.time_ns = recovery.other.trusted_state(10).time_ns + TRUSTING_PERIOD_NS
    with pytest.raises(errors.ClientNotActive):
        recover(recovery.host)


@pytest.mark.parametrize("height", [4, 5])
def test_a_substitute_that_is_not_newer_is_refused(height: int) -> None:
    recovery = Recovery()
    create(recovery.host, recovery.client(height), recovery.other)
    with pytest.raises(errors.SubstituteNotNewer):
        recover(recovery.host, make_recovery(substitute="07-tendermint-2"))


def test_a_forged_height_far_ahead_does_not_stand_in_the_way() -> None:
    """ibc-go compares heights here, so that whoever can forge one header could bar the client's recovery for ever."""
    recovery = Recovery()
    recover(recovery.host)
    following, other = recovery.following, recovery.other
    ahead = SimulatedChain("other-4", blocks=list(other.blocks), history=list(other.history))
    ahead.time_ns = other.time_ns
    ahead.add_blocks(500)
    header = ahead.light_block(510).signed_header.header
    header.time.CopyFrom(ahead.light_block(11).signed_header.header.time)
    forged = sign_header(header, ahead.members)
    following.host.update_client(CLIENT, other.wrap(forged, 10))
    other.add_blocks(3)
    following.host.sim.time_ns = other.time_ns
    following.host.update_client(CLIENT, other.update(10, 13))
    assert following.status() is ClientStatus.FROZEN
    create(recovery.host, recovery.client(13), other)
    recover(recovery.host, make_recovery(substitute="07-tendermint-2"))
    assert require_client(following.host.state, CLIENT).latest_height.height == 13
    assert following.client_heights == [13]


@pytest.mark.parametrize(
    "name",
    [
        "chain id",
        "trust level",
        "clock drift in ns",
        "unbonding period in ns",
        "list of proof specs",
        "upgrade path",
    ],
)
def test_a_substitute_with_other_parameters_is_refused(name: str) -> None:
    recovery = Recovery()
    client = require_client(recovery.host.state, SUBSTITUTE)
    trust = client.trust
    changed = {
        "chain id": replace(client, trust=replace(trust, chain_id="another-4")),
        "trust level": replace(client, trust=replace(trust, trust_level=Fraction(1, 2))),
        "clock drift in ns": replace(client, trust=replace(trust, max_clock_drift_ns=SECOND_NS)),
        "unbonding period in ns": replace(client, unbonding_period_ns=22 * DAY_NS),
        "list of proof specs": replace(client, proof_specs=(TENDERMINT_SPEC,)),
        "upgrade path": replace(client, upgrade_path=("upgrade",)),
    }
    recovery.edit(SUBSTITUTE, changed[name])
    with pytest.raises(errors.SubstituteMismatch, match=f"^expected the {name} "):
        recover(recovery.host)


def test_the_trusting_period_becomes_that_of_the_substitute() -> None:
    """As in ibc-go: a client expires because its period was too short for its relayers."""
    recovery = Recovery()
    client = require_client(recovery.host.state, SUBSTITUTE)
    recovery.edit(SUBSTITUTE, replace(client, trust=replace(client.trust, trusting_period_ns=20 * DAY_NS)))
    recover(recovery.host)
    assert require_client(recovery.host.state, CLIENT).trust.trusting_period_ns == 20 * DAY_NS


@pytest.mark.parametrize("name", ["subject_client_id", "substitute_client_id"])
def test_what_is_no_client_id_is_refused(name: str) -> None:
    msg = make_recovery()
    check_stateless(msg)
    setattr(msg, name, "no client")
    with pytest.raises(errors.InvalidIdentifier):
        check_stateless(msg)
