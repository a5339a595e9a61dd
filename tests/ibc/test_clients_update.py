from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.context import Event
from abci_app.state import BULK, PROVABLE
from ibc import errors
from ibc.client_state import (
    pack_header,
)
from ibc.client_updates import contradicts, handle_update_client, is_duplicate
from ibc.clients import ClientStatus
from ibc.identifiers import Height
from ibc.keys import consensus_state_key, heights_prefix
from ibc.results import RelayResult
from ibc.state import delete_consensus_state, get_consensus_state, require_client
from tests.support.ibc import SECOND_NS, TRUSTING_PERIOD_NS, make_members
from tests.support.ibc_case import RecordingCache
from tests.support.ibc_following import CLIENT, Following
from tests.support.ibc_host import make_update
from tx.failures import MalformedEncoding, NonCanonicalEncoding
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2


# update


def test_a_header_teaches_its_height() -> None:
    following = Following()
    assert following.update(1, 2) is RelayResult.SUCCESS
    assert following.update(2, 9) is RelayResult.SUCCESS
    assert get_consensus_state(following.host.state, CLIENT, Height(4, 9)) == following.other.trusted_state(9)
    assert require_client(following.host.state, CLIENT).latest_height == Height(4, 9)
    kinds = [event.kind for event in following.host.events if event.kind == "update_client"]
    assert len(kinds) == 2
    names = (("client_id", CLIENT), ("client_type", "07-tendermint"))
    heights = (("consensus_height", "4-9"), ("consensus_heights", "4-9"))
    assert following.host.events[-2:] == [
        Event("update_client", (*names, *heights)),
        Event("message", (("module", "ibc_client"),)),
    ]


def test_a_height_below_the_latest_can_be_taught_later() -> None:
    following = Following()
    following.update(1, 9)
    assert following.update(1, 5) is RelayResult.SUCCESS
    assert require_client(following.host.state, CLIENT).latest_height == Height(4, 9)
    assert following.client_heights == [1, 5, 9]


def follow_to_nine(*, forget_first: bool = False) -> Following:
    """A client that knows heights 1, 5 and 9, or only the latter two."""
    following = Following()
    following.update(1, 5)
    following.update(5, 9)
    if forget_first:
        delete_consensus_state(following.host.state, CLIENT, Height(4, 1))
    return following


@pytest.mark.parametrize(
    ("height", "beside", "later_ns", "expected"),
    [
        pytest.param(7, 5, 0, True, id="as early as below"),
        pytest.param(7, 5, 1, False, id="after below"),
        pytest.param(7, 9, 0, True, id="as late as above"),
        pytest.param(7, 9, -1, False, id="before above"),
        pytest.param(3, 5, 0, True, id="lowest, as late as above"),
        pytest.param(3, 5, -1, False, id="lowest, before above"),
        pytest.param(11, 9, 0, True, id="highest, as early as below"),
        pytest.param(11, 9, 1, False, id="highest, after below"),
    ],
)
@pytest.mark.parametrize("forget_first", [False, True])
def test_times_that_do_not_rise_with_heights_contradict(
    height: int, beside: int, later_ns: int, *, expected: bool, forget_first: bool
) -> None:
    following = follow_to_nine(forget_first=forget_first)
    client = require_client(following.host.state, CLIENT)
    known = following.other.trusted_state(beside)
    claimed = replace(known, height=height, time_ns=known.time_ns + later_ns)
    assert contradicts(following.host.state, CLIENT, client, claimed) is expected


@pytest.mark.parametrize(("height", "expected"), [(-1, False), (0, False), (1, True), (5, True), (9, True)])
def test_another_state_of_a_known_height_contradicts_and_one_below_the_first_does_not(
    height: int, *, expected: bool
) -> None:
    following = follow_to_nine()
    client = require_client(following.host.state, CLIENT)
    claimed = replace(following.other.trusted_state(max(height, 1)), height=height)
    assert not contradicts(following.host.state, CLIENT, client, claimed)
    assert is_duplicate(following.host.state, CLIENT, client, claimed) is expected
    forged = replace(claimed, root=b"\x66" * 32)
    assert contradicts(following.host.state, CLIENT, client, forged) is expected
    assert not is_duplicate(following.host.state, CLIENT, client, forged)


def test_the_same_header_again_changes_nothing() -> None:
    following = Following()
    following.update(1, 5)
    before = dict(following.host.state.writes[PROVABLE])
    following.host.events.clear()
    assert following.update(1, 5) is RelayResult.NOOP
    assert following.host.state.writes[PROVABLE] == before
    assert following.host.events == []


def test_a_vote_is_verified_once_a_node() -> None:
    following = Following()
    cache = RecordingCache()
    following.host.services.verified = cache
    header = following.other.update(1, 5)
    following.host.update_client(CLIENT, header)
    assert cache.verdicts == [True, True, True]


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(
            lambda m: setattr(m, "client_id", "07-tendermint-7"), errors.ClientNotFound, id="no such client"
        ),
        pytest.param(
            lambda m: setattr(m.client_message, "type_url", "/ibc.lightclients.tendermint.v1.ClientState"),
            errors.UnsupportedClientMessage,
            id="another message",
        ),
        pytest.param(
            lambda m: setattr(m.client_message, "value", m.client_message.value[:-1]),
            MalformedEncoding,
            id="cut off",
        ),
        pytest.param(
            lambda m: setattr(m.client_message, "value", m.client_message.value + b"\x1a\x00"),
            NonCanonicalEncoding,
            id="encoding",
        ),
        pytest.param(
            lambda m: m.client_message.CopyFrom(pack_header(tendermint_pb2.Header())),
            errors.MalformedHeader,
            id="nothing",
        ),
    ],
)
def test_a_malformed_update_is_refused(
    edit: Callable[[client_tx_pb2.MsgUpdateClient], object], expected: type[Exception]
) -> None:
    following = Following()
    msg = make_update(CLIENT, following.other.update(1, 2))
    edit(msg)
    with pytest.raises(expected):
        handle_update_client(following.host.ctx, following.host.state, msg)
    assert following.client_heights == [1]


def test_an_update_starts_from_a_height_that_the_client_knows() -> None:
    following = Following()
    with pytest.raises(errors.ConsensusStateNotFound):
        following.update(3, 4)


def test_an_invalid_header_is_refused_with_its_reason() -> None:
    following = Following()
    header = following.other.update(1, 2)
    header.signed_header.commit.signatures[0].signature = bytes(64)
    with pytest.raises(errors.InvalidVote):
        following.host.update_client(CLIENT, header)


def test_a_header_without_enough_trust_asks_for_headers_in_between() -> None:
    following = Following()
    following.other.add_block(successors=make_members({7: 10, 8: 10}))
    following.other.add_blocks(2)
    with pytest.raises(errors.TrustNotReached):
        following.update(1, 13)
    following.update(1, 11)
    following.update(11, 12)
    assert following.update(12, 13) is RelayResult.SUCCESS


def test_an_expired_client_is_not_updated() -> None:
    following = Following()
    following.host.sim.time_ns = following.other.trusted_state(1).time_ns + TRUSTING_PERIOD_NS
    assert following.status() is ClientStatus.EXPIRED
    with pytest.raises(errors.ClientNotActive):
        following.update(1, 2)


def test_time_and_height_of_our_block_are_remembered() -> None:
    following = Following()
    following.update(1, 5)
    processed = following.host.state.get(BULK, heights_prefix(CLIENT) + b"0000000000000005")
    ctx = following.host.ctx
    assert processed == ctx.time_ns.to_bytes(8, "big") + ctx.height.to_bytes(8, "big")


def test_each_update_forgets_one_expired_height() -> None:
    following = Following()
    for height in (2, 3, 4):
        following.update(height - 1, height)
    following.other.time_ns += TRUSTING_PERIOD_NS - 100 * SECOND_NS
    following.other.add_blocks(200)
    following.host.sim.time_ns = following.other.trusted_state(11).time_ns
    following.update(4, 11)
    assert following.client_heights == [1, 2, 3, 4, 11]
    following.host.sim.time_ns = following.other.time_ns
    following.update(11, 12)
    assert following.client_heights == [2, 3, 4, 11, 12]
    assert not following.knows(1)
    following.update(12, 13)
    assert following.client_heights == [3, 4, 11, 12, 13]


# contradictions


def test_a_second_header_of_a_known_height_freezes_the_client() -> None:
    following = Following()
    following.update(1, 5)
    known = get_consensus_state(following.host.state, CLIENT, Height(4, 5))
    header = following.other.wrap(following.fork(5), 1)
    assert following.host.update_client(CLIENT, header) is RelayResult.SUCCESS
    assert following.status() is ClientStatus.FROZEN
    assert get_consensus_state(following.host.state, CLIENT, Height(4, 5)) == known
    assert following.host.events[-2].kind == "client_misbehaviour"
    with pytest.raises(errors.ClientNotActive):
        following.update(5, 6)


@pytest.mark.parametrize("shift_ns", [0, 1, SECOND_NS])
def test_a_time_that_does_not_rise_freezes_the_client(shift_ns: int) -> None:
    """Height 7 is not before height 5 in time, although both were signed."""
    following = Following()
    following.update(1, 5)
    time_ns = following.other.trusted_state(5).time_ns - shift_ns
    header = following.other.wrap(following.fork(7, time_ns=time_ns), 1)
    following.host.update_client(CLIENT, header)
    assert following.status() is ClientStatus.FROZEN


def test_a_time_that_overtakes_the_next_height_freezes_the_client() -> None:
    following = Following()
    following.update(1, 8)
    time_ns = following.other.trusted_state(8).time_ns
    header = following.other.wrap(following.fork(5, time_ns=time_ns), 1)
    following.host.update_client(CLIENT, header)
    assert following.status() is ClientStatus.FROZEN


def test_nobody_freezes_a_client_with_a_header_that_does_not_verify() -> None:
    """cardano-ibc-incubator#575: the header under a genuine commit was not bound to it."""
    following = Following()
    following.update(1, 5)
    header = following.other.update(1, 5)
    header.signed_header.header.app_hash = b"\x66" * 32
    with pytest.raises(errors.HeaderHashMismatch):
        following.host.update_client(CLIENT, header)
    assert following.status() is ClientStatus.ACTIVE


def test_a_client_without_its_latest_state_is_expired() -> None:
    following = Following()
    following.host.state.delete(PROVABLE, consensus_state_key(CLIENT, Height(4, 1)))
    assert following.status() is ClientStatus.EXPIRED
