"""The light client's checks, one by one; letters are those of `verify_update`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import pytest

from ibc import errors
from ibc.tendermint import Invalid, Verified
from ibc.times import time_to_wire
from tests.support.ibc import (
    START_NS,
    absent_slot,
    make_members,
    make_validator_set,
)
from tests.support.ibc_case import Case, both_ways, skipping
from wire.tendermint.types import types_pb2, validator_pb2

if TYPE_CHECKING:
    from collections.abc import Callable


@both_ways
def test_a_good_header_is_verified_and_becomes_trusted(make_case: Callable[[], Case]) -> None:
    case = make_case()
    assert case.check() == Verified(case.chain.trusted_state(case.height))


# a. the trusted validators


@both_ways
def test_other_trusted_validators_are_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.trusted_validators.CopyFrom(make_validator_set(make_members({7: 10})))
    case.refused(errors.ValidatorSetMismatch)


def test_missing_trusted_validators_are_refused() -> None:
    case = skipping()
    case.header.ClearField("trusted_validators")
    case.refused(errors.MalformedValidatorSet)


@both_ways
def test_a_header_that_starts_elsewhere_is_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.trusted_height.revision_height = 4
    case.refused(errors.TrustedHeightMismatch)


# b. revision and height


@both_ways
def test_another_revision_is_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.trusted_height.revision_number = 4
    case.refused(errors.TrustedHeightMismatch)


@pytest.mark.parametrize("height", [1, 2, 3])
def test_a_header_that_is_not_above_the_trusted_height_is_refused(height: int) -> None:
    case = Case(trusted_height=3, height=height)
    case.refused(errors.HeightNotNewer)


# c. well-formed, and one whole


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(
            lambda case: case.header.ClearField("signed_header"), errors.MalformedHeader, id="nothing signed"
        ),
        pytest.param(
            lambda case: case.header.signed_header.ClearField("header"),
            errors.MalformedHeader,
            id="no header",
        ),
        pytest.param(
            lambda case: case.header.signed_header.ClearField("commit"),
            errors.MalformedHeader,
            id="no commit",
        ),
        pytest.param(
            lambda case: case.header.ClearField("validator_set"),
            errors.MalformedValidatorSet,
            id="no validators",
        ),
        pytest.param(
            lambda case: case.commit.ClearField("signatures"), errors.MalformedCommit, id="no slots"
        ),
        pytest.param(lambda case: case.commit.ClearField("block_id"), errors.MalformedCommit, id="no block"),
        pytest.param(lambda case: setattr(case.commit, "round", -1), errors.MalformedCommit, id="round"),
        pytest.param(lambda case: setattr(case.commit, "height", 9), errors.HeaderHashMismatch, id="height"),
        pytest.param(
            lambda case: setattr(case.commit, "height", 0), errors.MalformedCommit, id="height zero"
        ),
        pytest.param(
            lambda case: setattr(case.commit.block_id, "hash", bytes(32)),
            errors.HeaderHashMismatch,
            id="hash",
        ),
        pytest.param(
            lambda case: setattr(case.commit.block_id, "hash", b"short"),
            errors.MalformedHeader,
            id="short hash",
        ),
        pytest.param(
            lambda case: setattr(case.commit.block_id.part_set_header, "total", 9),
            errors.InvalidVote,
            id="parts",
        ),
    ],
)
def test_a_part_that_is_missing_or_does_not_fit_is_refused(
    mutate: Callable[[Case], None], expected: type[errors.IbcError]
) -> None:
    case = Case()
    mutate(case)
    case.refused(expected)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda h: setattr(h.version, "block", 10), errors.MalformedHeader, id="block protocol"),
        pytest.param(lambda h: h.ClearField("version"), errors.MalformedHeader, id="no version"),
        pytest.param(lambda h: setattr(h, "height", 0), errors.MalformedHeader, id="height zero"),
        pytest.param(lambda h: setattr(h, "height", -1), errors.MalformedHeader, id="height negative"),
        pytest.param(lambda h: h.ClearField("time"), errors.MalformedHeader, id="no time"),
        pytest.param(lambda h: setattr(h.time, "nanos", 10**9), errors.MalformedTime, id="nanoseconds"),
        pytest.param(lambda h: setattr(h.time, "nanos", -1), errors.MalformedTime, id="negative nanoseconds"),
        pytest.param(lambda h: setattr(h.time, "seconds", 1 << 40), errors.MalformedTime, id="year"),
        pytest.param(
            lambda h: setattr(h.last_block_id, "hash", b"x"), errors.MalformedHeader, id="last block"
        ),
        pytest.param(
            lambda h: setattr(h, "last_commit_hash", b"x"), errors.MalformedHeader, id="last commit"
        ),
        pytest.param(lambda h: setattr(h, "data_hash", b"x"), errors.MalformedHeader, id="data"),
        pytest.param(lambda h: setattr(h, "validators_hash", b""), errors.MalformedHeader, id="validators"),
        pytest.param(
            lambda h: setattr(h, "next_validators_hash", b""), errors.MalformedHeader, id="next ones"
        ),
        pytest.param(lambda h: setattr(h, "consensus_hash", b"x"), errors.MalformedHeader, id="consensus"),
        pytest.param(lambda h: setattr(h, "last_results_hash", b"x"), errors.MalformedHeader, id="results"),
        pytest.param(lambda h: setattr(h, "evidence_hash", b"x"), errors.MalformedHeader, id="evidence"),
        pytest.param(lambda h: setattr(h, "proposer_address", b"x"), errors.MalformedHeader, id="proposer"),
        pytest.param(lambda h: setattr(h, "chain_id", "sim-4"), errors.WrongChainId, id="another chain"),
        pytest.param(lambda h: setattr(h, "chain_id", ""), errors.WrongChainId, id="no chain"),
    ],
)
def test_a_malformed_field_is_refused_even_if_it_is_signed(
    mutate: Callable[[types_pb2.Header], object], expected: type[errors.IbcError]
) -> None:
    case = Case()
    mutate(case.inner)
    if (
        case.inner.HasField("time")
        and 0 <= case.inner.time.nanos < 10**9
        and case.inner.time.seconds < 1 << 39
    ):
        case.sign_again()
    case.refused(expected)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        pytest.param(lambda s: setattr(s, "block_id_flag", 0), errors.MalformedCommit, id="flag unknown"),
        pytest.param(
            lambda s: setattr(s, "block_id_flag", 1), errors.MalformedCommit, id="absent yet signed"
        ),
        pytest.param(lambda s: setattr(s, "validator_address", b"x"), errors.MalformedCommit, id="address"),
        pytest.param(lambda s: setattr(s, "signature", b""), errors.MalformedCommit, id="no signature"),
        pytest.param(
            lambda s: setattr(s, "signature", bytes(97)), errors.MalformedCommit, id="long signature"
        ),
        pytest.param(lambda s: s.ClearField("timestamp"), errors.MalformedCommit, id="no time"),
        pytest.param(lambda s: setattr(s.timestamp, "nanos", -1), errors.MalformedTime, id="time"),
        pytest.param(lambda s: setattr(s, "signature", bytes(63)), errors.InvalidVote, id="signature length"),
        pytest.param(lambda s: setattr(s, "signature", bytes(64)), errors.InvalidVote, id="signature"),
        pytest.param(lambda s: setattr(s.timestamp, "nanos", 5), errors.InvalidVote, id="another time"),
        pytest.param(lambda s: setattr(s, "validator_address", bytes(20)), errors.VoterMismatch, id="voter"),
    ],
)
def test_a_malformed_or_forged_vote_is_refused(
    mutate: Callable[[types_pb2.CommitSig], object], expected: type[errors.IbcError]
) -> None:
    case = Case()
    mutate(case.commit.signatures[0])
    case.refused(expected)


@pytest.mark.parametrize("name", ["validator_address", "signature", "timestamp"])
def test_an_absent_slot_holds_nothing(name: str) -> None:
    case = Case()
    slot = absent_slot()
    if name == "timestamp":
        slot.timestamp.CopyFrom(time_to_wire(START_NS))
    else:
        setattr(slot, name, b"x")
    case.commit.signatures[3].CopyFrom(slot)
    case.refused(errors.MalformedCommit)


def test_an_absent_slot_may_leave_out_its_time() -> None:
    case = Case()
    case.commit.signatures[3].CopyFrom(types_pb2.CommitSig(block_id_flag=validator_pb2.BLOCK_ID_FLAG_ABSENT))
    assert isinstance(case.check(), Verified)


@pytest.mark.parametrize("name", ["header", "commit"])
def test_header_and_commit_come_together(name: Literal["header", "commit"]) -> None:
    case = Case()
    case.header.signed_header.ClearField(name)
    verdict = case.check()
    assert isinstance(verdict, Invalid)
    assert verdict.error.message == "expected a header and a commit, got only one of them or none"


def test_the_chain_id_of_another_chain_is_shown_in_part() -> None:
    case = Case()
    case.inner.chain_id = "x" * 129
    verdict = case.check()
    assert isinstance(verdict, Invalid)
    assert verdict.error.message == f"expected a header of 'sim-3', got one of {'x' * 128!r}"


@both_ways
def test_validators_that_the_header_does_not_name_are_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.header.validator_set.validators[0].voting_power = 11
    case.refused(errors.ValidatorSetMismatch)


@both_ways
def test_a_header_changed_after_it_was_signed_is_refused(make_case: Callable[[], Case]) -> None:
    case = make_case()
    case.inner.app_hash = b"forged".ljust(32)
    case.refused(errors.HeaderHashMismatch)
