"""Clients that are shown evidence against their chain, and what a frozen client is still good for: nothing."""

from __future__ import annotations

import pytest

from abci_app.context import Event
from ibc import errors
from ibc.client_state import FROZEN
from ibc.client_updates import handle_update_client
from ibc.clients import ClientStatus
from ibc.handlers import check_stateless
from ibc.results import RelayResult
from ibc.state import require_client
from tests.support.ibc import TRUSTING_PERIOD_NS
from tests.support.ibc_case import RecordingCache
from tests.support.ibc_following import CLIENT, Following
from tests.support.ibc_host import make_evidence, make_update
from tests.support.ibc_link import Link, freeze
from tx.failures import TxError
from tx.keys import SigningKey, format_address
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2


def fork(
    following: Following, height: int = 5, starts: tuple[int, int] = (1, 1)
) -> tendermint_pb2.Misbehaviour:
    other = following.other
    return tendermint_pb2.Misbehaviour(
        header_1=other.wrap(following.fork(height), starts[0]), header_2=other.update(starts[1], height)
    )


def show(following: Following, evidence: tendermint_pb2.Misbehaviour) -> RelayResult:
    return handle_update_client(following.host.ctx, following.host.state, make_evidence(CLIENT, evidence))


def test_a_fork_freezes_the_client() -> None:
    following = Following()
    assert show(following, fork(following)) is RelayResult.SUCCESS
    assert following.status() is ClientStatus.FROZEN
    assert require_client(following.host.state, CLIENT).frozen_height == FROZEN
    assert following.host.events[-2:] == [
        Event("client_misbehaviour", (("client_id", CLIENT), ("client_type", "07-tendermint"))),
        Event("message", (("module", "ibc_client"),)),
    ]
    assert following.client_heights == [1]


def test_votes_in_evidence_are_remembered() -> None:
    following = Following()
    cache = RecordingCache()
    following.host.services.verified = cache
    show(following, fork(following))
    # Of each header two votes make the trust, and one more the quorum.
    assert (len(cache.asked), cache.verdicts) == (10, [True] * 6)


def test_a_time_that_does_not_rise_freezes_the_client_also_as_evidence() -> None:
    following = Following()
    time_ns = following.other.trusted_state(5).time_ns
    evidence = tendermint_pb2.Misbehaviour(
        header_1=following.other.wrap(following.fork(7, time_ns=time_ns), 1),
        header_2=following.other.update(1, 5),
    )
    show(following, evidence)
    assert following.status() is ClientStatus.FROZEN


def test_anyone_may_show_evidence() -> None:
    following = Following()
    msg = make_evidence(CLIENT, fork(following))
    msg.signer = format_address(SigningKey.from_seed(b"\x01" * 32).public_key)
    check_stateless(msg)
    handle_update_client(following.host.ctx, following.host.state, msg)
    assert following.status() is ClientStatus.FROZEN


def test_evidence_may_be_about_heights_that_the_client_has_passed() -> None:
    following = Following()
    following.update(1, 9)
    show(following, fork(following, 5))
    assert following.status() is ClientStatus.FROZEN


def test_the_headers_of_evidence_may_start_from_different_heights() -> None:
    following = Following()
    following.update(1, 3)
    show(following, fork(following, starts=(3, 1)))
    assert following.status() is ClientStatus.FROZEN


@pytest.mark.parametrize("place", [0, 1], ids=["first header", "second header"])
def test_each_header_of_evidence_starts_from_a_height_that_the_client_knows(place: int) -> None:
    following = Following()
    evidence = fork(following, starts=(3, 1) if place == 0 else (1, 3))
    with pytest.raises(errors.ConsensusStateNotFound):
        show(following, evidence)
    assert following.status() is ClientStatus.ACTIVE


def test_evidence_that_does_not_hold_freezes_nothing() -> None:
    following = Following()
    evidence = fork(following)
    evidence.header_1.CopyFrom(evidence.header_2)
    with pytest.raises(errors.NoMisbehaviour):
        show(following, evidence)
    forged = fork(following)
    forged.header_1.signed_header.header.app_hash = b"\x67" * 32
    with pytest.raises(errors.HeaderHashMismatch):
        show(following, forged)
    assert following.status() is ClientStatus.ACTIVE


def test_evidence_must_be_encoded_as_everything_else() -> None:
    following = Following()
    msg = make_evidence(CLIENT, fork(following))
    msg.client_message.value += b"\x22\x00"
    with pytest.raises(TxError):
        handle_update_client(following.host.ctx, following.host.state, msg)
    assert following.status() is ClientStatus.ACTIVE


def test_an_expired_client_is_shown_no_evidence() -> None:
    following = Following()
    evidence = fork(following)
    following.host.sim.time_ns = following.other.trusted_state(1).time_ns + TRUSTING_PERIOD_NS
    with pytest.raises(errors.ClientNotActive):
        show(following, evidence)


def test_a_frozen_client_is_shown_neither_headers_nor_evidence() -> None:
    following = Following()
    evidence = fork(following)
    show(following, evidence)
    with pytest.raises(errors.ClientNotActive):
        show(following, evidence)
    with pytest.raises(errors.ClientNotActive):
        following.update(1, 2)
    with pytest.raises(errors.ClientNotActive):
        handle_update_client(
            following.host.ctx, following.host.state, make_update(CLIENT, following.other.update(1, 1))
        )


def test_a_frozen_client_ends_no_packet() -> None:
    """Neither an acknowledgement nor a timeout of the frozen chain is believed, although both are proven."""
    link = Link()
    answered, unanswered = link.send(), link.send(after_s=5)
    link.recv(link.recv_message(answered))
    ack = link.ack_message(answered)
    link.pass_time(10)
    timeout = link.timeout_message(unanswered)
    freeze(link.hub, link.hub_client, link.shard)
    with pytest.raises(errors.ClientNotActive):
        link.acknowledge(ack)
    with pytest.raises(errors.ClientNotActive):
        link.time_out(timeout)


def test_nothing_is_sent_over_a_client_that_evidence_has_frozen() -> None:
    link = Link()
    freeze(link.hub, link.hub_client, link.shard)
    with pytest.raises(errors.ClientNotActive):
        link.send()


def test_the_other_end_of_a_frozen_client_goes_on() -> None:
    """Whether the hub believes the shard says nothing about the shard's client of the hub."""
    link = Link()
    packet = link.send()
    freeze(link.hub, link.hub_client, link.shard)
    assert link.recv(link.recv_message(packet)) is RelayResult.SUCCESS
