"""What can be wrong with a client update: each function changes one thing of a case."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ibc.identifiers import Height, height_to_wire, parse_revision
from ibc.times import GO_ZERO_TIME_NS, time_to_wire
from tests.interop.update_case import (
    ABSENT,
    COMMIT,
    LEVELS,
    NIL,
    TRUSTED_HEIGHT,
    VOTE_NS,
    UpdateCase,
    hash_set,
    sound_updates,
)
from tests.support.ibc import SECOND_NS, address_of, validator_key
from wire.tendermint.crypto import keys_pb2
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    Mutation = Callable[[st.DrawFn, UpdateCase], None]

sizes = st.sampled_from([0, 19, 20, 21, 31, 32, 33])
MAX_TOTAL_POWER = (2**63 - 1) // 8


def _slot(draw: st.DrawFn, case: UpdateCase) -> types_pb2.CommitSig | None:
    return draw(st.sampled_from(list(case.slots))) if case.slots else None


def _validators(draw: st.DrawFn, case: UpdateCase) -> validator_pb2.ValidatorSet:
    return draw(st.sampled_from([case.header.validator_set, case.header.trusted_validators]))


def _settle(draw: st.DrawFn, case: UpdateCase) -> None:
    """Let hashes and votes follow a change, so that the change itself is what is judged; or do not."""
    if draw(st.sampled_from([True, True, True, False])):
        for chosen in (case.header.validator_set, case.header.trusted_validators):
            if chosen.validators:
                chosen.proposer.CopyFrom(chosen.validators[0])
        case.trust_these_validators()
        case.seal()


def change_signature(draw: st.DrawFn, case: UpdateCase) -> None:
    slot = _slot(draw, case)
    if slot is None:
        return
    signature = slot.signature
    place = draw(st.integers(0, max(len(signature) - 1, 0)))
    flipped = bytearray(signature or b"\0")
    flipped[place] ^= 1 << draw(st.integers(0, 7))
    other = draw(st.sampled_from(list(case.slots))).signature
    choices = [bytes(flipped), b"", signature[:-1], signature + b"\0", bytes(96), bytes(97), bytes(64), other]
    slot.signature = draw(st.sampled_from(choices))


def change_flag(draw: st.DrawFn, case: UpdateCase) -> None:
    slot = _slot(draw, case)
    if slot is not None:
        slot.block_id_flag = draw(st.sampled_from([COMMIT, NIL, ABSENT, validator_pb2.BLOCK_ID_FLAG_UNKNOWN]))


def fill_absent_slot(draw: st.DrawFn, case: UpdateCase) -> None:
    slot = _slot(draw, case)
    if slot is None:
        return
    slot.CopyFrom(types_pb2.CommitSig(block_id_flag=ABSENT, timestamp=time_to_wire(GO_ZERO_TIME_NS)))
    kind = draw(st.sampled_from(["address", "time", "signature", "no time"]))
    if kind == "address":
        slot.validator_address = address_of(case.signers[0])
    elif kind == "time":
        slot.timestamp.CopyFrom(time_to_wire(VOTE_NS))
    elif kind == "signature":
        slot.signature = bytes(64)
    else:
        slot.ClearField("timestamp")


def change_slot_address(draw: st.DrawFn, case: UpdateCase) -> None:
    slot = _slot(draw, case)
    if slot is None:
        return
    others = [address_of(signer) for signer in case.signers] + [address_of(validator_key(77))]
    own = slot.validator_address
    slot.validator_address = draw(st.sampled_from([*others, b"", own[:-1], own + b"\0"]))


def repeat_slot(draw: st.DrawFn, case: UpdateCase) -> None:
    one, other = _slot(draw, case), _slot(draw, case)
    if one is not None and other is not None:
        one.CopyFrom(other)


def change_slot_time(draw: st.DrawFn, case: UpdateCase) -> None:
    slot = _slot(draw, case)
    if slot is None:
        return
    kind = draw(st.sampled_from(["later", "none", "nanos", "seconds"]))
    if kind == "none":
        slot.ClearField("timestamp")
    elif kind == "nanos":
        slot.timestamp.nanos = draw(st.sampled_from([-1, 10**9]))
    elif kind == "seconds":
        slot.timestamp.seconds = draw(st.sampled_from([-62135596801, 253402300800]))
    else:
        slot.timestamp.CopyFrom(time_to_wire(VOTE_NS + draw(st.sampled_from([-1, 1, SECOND_NS]))))


def change_slot_count(draw: st.DrawFn, case: UpdateCase) -> None:
    signatures = case.commit.signatures
    if len(signatures) > 0 and draw(st.booleans()):
        del signatures[draw(st.integers(0, len(signatures) - 1))]
    else:
        signatures.append(types_pb2.CommitSig(block_id_flag=ABSENT, timestamp=time_to_wire(GO_ZERO_TIME_NS)))


def change_commit(draw: st.DrawFn, case: UpdateCase) -> None:
    commit = case.commit
    kind = draw(st.sampled_from(["height", "round", "hash", "parts hash", "parts total"]))
    if kind == "height":
        commit.height = draw(st.sampled_from([-1, 0, commit.height - 1, commit.height + 1]))
    elif kind == "round":
        commit.round = draw(st.sampled_from([-1, 0, 1, 2**31 - 1]))
    elif kind == "hash":
        commit.block_id.hash = draw(st.sampled_from([b"", bytes(31), bytes(32)]))
    elif kind == "parts hash":
        commit.block_id.part_set_header.hash = draw(st.sampled_from([b"", bytes(31), bytes(32)]))
    else:
        commit.block_id.part_set_header.total = draw(st.sampled_from([0, 2, 2**32 - 1]))


def vote_in_a_later_round(draw: st.DrawFn, case: UpdateCase) -> None:
    case.commit.round = draw(st.sampled_from([1, 7, 2**31 - 1]))
    case.sign()


def change_header_bytes(draw: st.DrawFn, case: UpdateCase) -> None:
    name = draw(
        st.sampled_from(
            [
                "last_commit_hash",
                "data_hash",
                "validators_hash",
                "next_validators_hash",
                "consensus_hash",
                "app_hash",
                "last_results_hash",
                "evidence_hash",
                "proposer_address",
            ]
        )
    )
    setattr(case.inner, name, bytes([1]) * draw(sizes))
    if draw(st.booleans()):
        case.sign()


def change_header_height(draw: st.DrawFn, case: UpdateCase) -> None:
    near = [TRUSTED_HEIGHT - 1, TRUSTED_HEIGHT, TRUSTED_HEIGHT + 1, TRUSTED_HEIGHT + 2]
    case.inner.height = draw(st.sampled_from([*near, -1, 0, 2**62, 2**63 - 1]))
    if draw(st.booleans()):
        case.sign()


def change_header_time(draw: st.DrawFn, case: UpdateCase) -> None:
    start, latest = case.trusted.time_ns, case.now_ns + case.options.max_clock_drift_ns
    kind = draw(st.sampled_from(["edge", "edge", "edge", "none", "nanos", "seconds"]))
    if kind == "none":
        case.inner.ClearField("time")
    elif kind == "nanos":
        case.inner.time.nanos = draw(st.sampled_from([-1, 10**9]))
    elif kind == "seconds":
        case.inner.time.seconds = draw(st.sampled_from([-62135596801, 253402300800]))
    else:
        edge = draw(st.sampled_from([start, latest])) + draw(st.sampled_from([-1, 0, 1]))
        case.inner.time.CopyFrom(time_to_wire(edge))
    case.sign()


def change_chain_id(draw: st.DrawFn, case: UpdateCase) -> None:
    other = draw(st.sampled_from(["", "sim-4", "sim-3x", "other", "sim-03", "s" * 50, "s" * 51]))
    if draw(st.booleans()):
        case.inner.chain_id = other
        case.sign()
    elif other:
        case.options = replace(case.options, chain_id=other)
        if draw(st.booleans()):
            revision = parse_revision(other)
            case.header.trusted_height.CopyFrom(height_to_wire(Height(revision, TRUSTED_HEIGHT)))


def change_version(draw: st.DrawFn, case: UpdateCase) -> None:
    case.inner.version.block = draw(st.sampled_from([0, 10, 11, 12]))
    case.inner.version.app = draw(st.sampled_from([0, 1, 2**64 - 1]))
    case.sign()


def change_last_block(draw: st.DrawFn, case: UpdateCase) -> None:
    kind = draw(st.sampled_from(["none", "hash", "parts hash"]))
    if kind == "none":
        case.inner.ClearField("last_block_id")
    elif kind == "hash":
        case.inner.last_block_id.hash = bytes(draw(sizes))
    else:
        case.inner.last_block_id.part_set_header.hash = bytes(draw(sizes))
    case.sign()


def change_power(draw: st.DrawFn, case: UpdateCase) -> None:
    validators = _validators(draw, case).validators
    if validators:
        validator = draw(st.sampled_from(list(validators)))
        near = [
            max(validator.voting_power - 2**63, -(2**63)),
            MAX_TOTAL_POWER,
            MAX_TOTAL_POWER + 1,
            2**63 - 1,
            2**62,
        ]
        validator.voting_power = draw(st.sampled_from([0, 1, 1000, -1, *near]))
        _settle(draw, case)


def change_order(draw: st.DrawFn, case: UpdateCase) -> None:
    """Turn around the validators; what they sign follows."""
    chosen = _validators(draw, case)
    turned = list(reversed(chosen.validators))
    del chosen.validators[:]
    chosen.validators.extend(turned)
    if chosen is case.header.validator_set:
        case.signers.reverse()
        case.flags.reverse()
    _settle(draw, case)


def repeat_validator(draw: st.DrawFn, case: UpdateCase) -> None:
    chosen = _validators(draw, case)
    if not chosen.validators:
        return
    place = draw(st.integers(0, len(chosen.validators) - 1))
    chosen.validators.add().CopyFrom(chosen.validators[place])
    if chosen is case.header.validator_set and len(case.signers) == len(chosen.validators) - 1:
        case.signers.append(case.signers[place])
        case.flags.append(case.flags[place])
    _settle(draw, case)


def remove_validator(draw: st.DrawFn, case: UpdateCase) -> None:
    chosen = _validators(draw, case)
    if not chosen.validators:
        return
    place = draw(st.integers(0, len(chosen.validators) - 1))
    del chosen.validators[place]
    if chosen is case.header.validator_set and len(case.signers) == len(chosen.validators) + 1:
        del case.signers[place]
        del case.flags[place]
    _settle(draw, case)


def change_validator(draw: st.DrawFn, case: UpdateCase) -> None:
    validators = _validators(draw, case).validators
    if not validators:
        return
    validator = draw(st.sampled_from(list(validators)))
    kind = draw(st.sampled_from(["address", "key size", "other key", "no key", "priority"]))
    if kind == "address":
        validator.address = draw(st.sampled_from([b"", bytes(20), validator.address[:-1]]))
    elif kind == "key size":
        validator.pub_key.ed25519 = validator.pub_key.ed25519[:-1]
    elif kind == "other key":
        validator.pub_key.ed25519 = validator_key(78).public_key
    elif kind == "no key":
        validator.pub_key.CopyFrom(keys_pb2.PublicKey())
    else:
        validator.proposer_priority = draw(st.sampled_from([-(2**63), -1, 2**63 - 1]))
    _settle(draw, case)


def change_unhashed(draw: st.DrawFn, case: UpdateCase) -> None:
    """Change what is in no hash: the total, which must not be believed, and the proposer."""
    chosen = _validators(draw, case)
    kind = draw(st.sampled_from(["total", "no proposer", "other proposer", "strange proposer"]))
    if kind == "total":
        chosen.total_voting_power = draw(st.sampled_from([-1, 1, 2**63 - 1]))
    elif kind == "no proposer":
        chosen.ClearField("proposer")
    elif kind == "other proposer" and chosen.validators:
        chosen.proposer.CopyFrom(draw(st.sampled_from(list(chosen.validators))))
    else:
        chosen.proposer.address = bytes(20)


def change_trusted_height(draw: st.DrawFn, case: UpdateCase) -> None:
    height = case.header.trusted_height
    if draw(st.booleans()):
        height.revision_height = draw(st.sampled_from([0, TRUSTED_HEIGHT - 1, TRUSTED_HEIGHT + 1, 2**64 - 1]))
    else:
        height.revision_number = draw(st.sampled_from([0, 1, 4, 2**64 - 1]))


def change_trusted_hash(draw: st.DrawFn, case: UpdateCase) -> None:
    known = [hash_set(case.header.validator_set), bytes(32)]
    case.trusted = replace(case.trusted, next_validators_hash=draw(st.sampled_from(known)))


def change_clock(draw: st.DrawFn, case: UpdateCase) -> None:
    expiry = case.trusted.time_ns + case.options.trusting_period_ns
    earliest = case.inner.time.seconds * SECOND_NS + case.inner.time.nanos - case.options.max_clock_drift_ns
    edges = [min(max(edge, 0), 2**62) for edge in (expiry, earliest)]
    case.now_ns = draw(st.sampled_from(edges)) + draw(st.sampled_from([-1, 0, 1]))


def change_options(draw: st.DrawFn, case: UpdateCase) -> None:
    age = max(case.now_ns - case.trusted.time_ns, 1)
    kind = draw(st.sampled_from(["level", "period", "drift"]))
    if kind == "level":
        case.options = replace(case.options, trust_level=draw(st.sampled_from(LEVELS)))
    elif kind == "period":
        period = max(age + draw(st.sampled_from([-1, 0, 1])), 1)
        case.options = replace(case.options, trusting_period_ns=period)
    else:
        drift = draw(st.sampled_from([1, SECOND_NS, 2**62]))
        case.options = replace(case.options, max_clock_drift_ns=drift)


def leave_out_a_part(draw: st.DrawFn, case: UpdateCase) -> None:
    kind = draw(st.sampled_from(["signed_header", "validator_set", "trusted_validators", "header", "commit"]))
    if kind in {"header", "commit"}:
        case.header.signed_header.ClearField("header" if kind == "header" else "commit")
    elif kind == "signed_header":
        case.header.ClearField("signed_header")
    elif kind == "validator_set":
        case.header.ClearField("validator_set")
    else:
        case.header.ClearField("trusted_validators")


MUTATIONS: tuple[Mutation, ...] = (
    change_signature,
    change_flag,
    fill_absent_slot,
    change_slot_address,
    repeat_slot,
    change_slot_time,
    change_slot_count,
    change_commit,
    vote_in_a_later_round,
    change_header_bytes,
    change_header_height,
    change_header_time,
    change_chain_id,
    change_version,
    change_last_block,
    change_power,
    change_order,
    repeat_validator,
    remove_validator,
    change_validator,
    change_unhashed,
    change_trusted_height,
    change_trusted_hash,
    change_clock,
    change_options,
)


@st.composite
def changed_updates(draw: st.DrawFn) -> UpdateCase:
    """Return updates with one or two things changed."""
    case = draw(sound_updates())
    for mutate in draw(st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=2)):
        mutate(draw, case)
    if draw(st.integers(0, 19)) == 0:
        leave_out_a_part(draw, case)
    return case
