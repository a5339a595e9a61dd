from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st

from abci_app.context import VerificationCache
from ibc.tendermint import NotEnoughTrust, Verified, verify_update
from tests.support.ibc import ONE_THIRD, SECOND_NS, START_NS, Members, SimulatedChain, encode, make_members
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

NOW_NS = START_NS + 30 * SECOND_NS
power_maps = st.dictionaries(st.integers(0, 6), st.integers(1, 50), min_size=1, max_size=5)


@cache
def chain() -> SimulatedChain:
    made = SimulatedChain()
    made.add_blocks(4)
    return made


def signed_content(header: tendermint_pb2.Header) -> bytes:
    return encode(header.signed_header.header)


def good_headers() -> list[tendermint_pb2.Header]:
    return [chain().update(1, 2), chain().update(1, 4)]


@settings(max_examples=settings().max_examples * 3)
@given(st.sampled_from([0, 1]), st.data())
def test_a_changed_encoding_verifies_only_if_it_says_the_same(which: int, data: st.DataObject) -> None:
    original = good_headers()[which]
    encoded = bytearray(encode(original))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(encoded) - 1))
        encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        changed = tendermint_pb2.Header.FromString(bytes(encoded))
    except DecodeError:
        return
    verdict = verify_update(chain().trusted_state(1), changed, chain().options(), NOW_NS)
    if isinstance(verdict, Verified):
        assert signed_content(changed) == signed_content(original)
        assert verdict.state == chain().trusted_state(original.signed_header.header.height)


@settings(max_examples=settings().max_examples * 3)
@given(st.data())
def test_a_changed_field_verifies_only_if_it_says_the_same(data: st.DataObject) -> None:
    original = good_headers()[data.draw(st.sampled_from([0, 1]))]
    changed = tendermint_pb2.Header()
    changed.CopyFrom(original)
    _change_a_field(changed, data)
    verdict = verify_update(chain().trusted_state(1), changed, chain().options(), NOW_NS)
    if isinstance(verdict, Verified):
        assert signed_content(changed) == signed_content(original)


def _change_a_field(message: Message, data: st.DataObject) -> None:
    """Change a field of a message, or of one inside it."""
    while True:
        fields = [field for field, _ in message.ListFields()]
        if not fields:
            return
        field = data.draw(st.sampled_from(fields), label="field")
        value = getattr(message, field.name)
        if field.message_type is not None:
            if data.draw(st.booleans(), label="clear") and data.draw(st.booleans()):
                message.ClearField(field.name)
                return
            message = value[data.draw(st.integers(0, len(value) - 1))] if field.is_repeated else value
        elif isinstance(value, bytes):
            setattr(
                message, field.name, data.draw(st.one_of(st.binary(max_size=40), st.just(bytes(len(value)))))
            )
            return
        elif isinstance(value, str):
            setattr(message, field.name, data.draw(st.text(max_size=9)))
            return
        else:
            setattr(message, field.name, data.draw(st.sampled_from([0, 1, 2, 3, 9, value + 1])))
            return


@settings(max_examples=settings().max_examples * 3 // 5)
@given(power_maps, power_maps, st.data())
def test_the_verdict_is_that_of_the_counted_powers(
    before: dict[int, int], after: dict[int, int], data: st.DataObject
) -> None:
    """The rule in one line each: over a third of the old power, then over two thirds of the new."""
    old, new = make_members(before), make_members(after)
    made = SimulatedChain(members=old)
    made.add_block()
    made.add_block(successors=new)
    voters = sorted(data.draw(st.sets(st.integers(0, len(new) - 1), min_size=1)))
    made.add_block(voters=voters)
    verdict = verify_update(made.trusted_state(1), made.update(1, 3), made.options(), NOW_NS)
    signed = {bytes(new[place].key.public_key) for place in voters}
    if _power_of(old, signed) <= _total(old) // 3:
        assert isinstance(verdict, NotEnoughTrust)
    else:
        has_quorum = _power_of(new, signed) > 2 * _total(new) // 3
        assert isinstance(verdict, Verified) == has_quorum


def _power_of(members: Members, keys: set[bytes]) -> int:
    return sum(member.power for member in members if member.key.public_key in keys)


def _total(members: Members) -> int:
    return sum(member.power for member in members)


@given(st.sampled_from([0, 1]), st.booleans(), st.integers(0, 3))
def test_a_cache_never_changes_a_verdict(which: int, forge: bool, place: int) -> None:
    cache_of_node = VerificationCache()
    header = tendermint_pb2.Header()
    header.CopyFrom(good_headers()[which])
    if forge:
        slot = header.signed_header.commit.signatures[place]
        slot.signature = slot.signature[:-1] + bytes([slot.signature[-1] ^ 1])
    options = chain().options(ONE_THIRD)
    trusted = chain().trusted_state(1)
    expected = verify_update(trusted, header, options, NOW_NS)
    for _ in range(2):
        got = verify_update(trusted, header, options, NOW_NS, cache_of_node)
        assert type(got) is type(expected)
    verify_update(trusted, good_headers()[which], options, NOW_NS, cache_of_node)
    assert type(verify_update(trusted, header, options, NOW_NS, cache_of_node)) is type(expected)
