"""Where our light client decides otherwise than the reference implementations, on purpose.

All but one of these are refusals of what the others accept, of a kind that no honest chain makes.  Each is shown by an
example in `test_update_differences.py`; in generated cases a differing verdict must be one of these, or the test fails.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ibc import errors
from ibc.tendermint import Invalid, NotEnoughTrust, Verified
from tests.support.judge_go import INVALID, UNTRUSTED, VERIFIED

if TYPE_CHECKING:
    from ibc.tendermint import Verdict
    from tests.support.judge_go import Judgement


@dataclass(frozen=True, slots=True)
class Difference:
    """A kind of case with two verdicts."""

    name: str
    why: str
    error: type[errors.IbcError] | None
    """What we answer; None stands for a verdict other than invalid."""
    our_message: str
    """A pattern in it."""
    theirs: frozenset[str]
    their_reason: str = ""
    """A pattern in it."""

    def covers(self, ours: Verdict, theirs: Judgement) -> bool:
        """Whether these two verdicts are of this kind."""
        if theirs.verdict not in self.theirs or re.search(self.their_reason, theirs.reason) is None:
            return False
        if not isinstance(ours, Invalid):
            return self.error is None
        return type(ours.error) is self.error and re.search(self.our_message, ours.error.message) is not None


_ANY_TRUST = frozenset({VERIFIED, UNTRUSTED})

FORGED_VOTE_WITHOUT_TRUST = Difference(
    "a forged vote in a commit without enough trust",
    "CometBFT adds up the power of a batch before it verifies any signature, and of a commit of one slot after; we "
    "verify first, so that the verdict does not depend on how signatures are verified.",
    errors.InvalidVote,
    "signature of validator",
    frozenset({UNTRUSTED}),
)
NO_VOTE_AT_ALL = Difference(
    "a commit without a vote for its block",
    "No other header makes such a commit valid, so `not enough trust` would only start a search that cannot end well "
    "(informalsystems/tendermint-rs#650).",
    errors.MalformedCommit,
    "expected a vote for the block",
    frozenset({UNTRUSTED}),
)
STRANGER_AFTER_QUORUM = Difference(
    "a vote of a stranger after the quorum",
    "Addresses in a commit are matched with the set in every slot (CSA-2026-001), and not only up to the quorum.",
    errors.VoterMismatch,
    "expected a vote of",
    frozenset({VERIFIED}),
)
VALIDATOR_TWICE = Difference(
    "a validator that is twice in a set",
    "CometBFT never makes such a set; counting a key twice is what ISA-2025-003 was about.",
    errors.MalformedValidatorSet,
    "expected each validator once",
    _ANY_TRUST,
)
VOTE_WITHOUT_TIME = Difference(
    "a vote without a time",
    "Go reads a missing time as the year 1, and writes it out whenever it encodes a vote.",
    errors.MalformedCommit,
    "expected a time in a vote",
    _ANY_TRUST,
)
NO_NEXT_VALIDATORS = Difference(
    "a header without the hash of the next validators",
    "Trust in such a header leads nowhere: no set of validators has an empty hash.",
    errors.MalformedHeader,
    "next validators hash",
    _ANY_TRUST,
)
OTHER_KEY_TYPE = Difference(
    "a validator with a key that is not Ed25519",
    "Our chains have Ed25519 keys only; fewer ways to verify a signature are fewer ways to get it wrong.",
    errors.UnsupportedKeyType,
    "expected an ed25519 key",
    _ANY_TRUST,
)
LENIENT_SIGNATURE = Difference(
    "a signature that only ZIP-215 accepts",
    "libsodium refuses keys and points of small order; relayers leave out such votes (`without_unverifiable_votes`).",
    errors.InvalidVote,
    "signature of validator",
    frozenset({VERIFIED}),
)
PROPOSER = Difference(
    "a proposer that is missing, malformed or not in the set",
    "Nothing that is verified depends on who proposed, and the field is in no hash (ASA-2024-009): we do not read it.",
    None,
    "",
    frozenset({INVALID}),
    "proposer",
)
LEVEL_OVERFLOW = Difference(
    "a trust level whose numerator overflows when multiplied by the power",
    "Our integers do not overflow, so such a level means what it says.",
    None,
    "",
    frozenset({INVALID}),
    "int64 overflow",
)

DIFFERENCES = (
    FORGED_VOTE_WITHOUT_TRUST,
    NO_VOTE_AT_ALL,
    STRANGER_AFTER_QUORUM,
    VALIDATOR_TWICE,
    VOTE_WITHOUT_TIME,
    NO_NEXT_VALIDATORS,
    OTHER_KEY_TYPE,
    LENIENT_SIGNATURE,
    PROPOSER,
    LEVEL_OVERFLOW,
)


def name_of(verdict: Verdict) -> str:
    """Return our verdict as the judge calls it."""
    match verdict:
        case Verified():
            return VERIFIED
        case NotEnoughTrust():
            return UNTRUSTED
        case Invalid():
            return INVALID


def explain(ours: Verdict, theirs: Judgement) -> Difference | None:
    """Return why two verdicts differ, or None where they are the same.

    Raises:
      AssertionError: they differ, and not on purpose.

    """
    if name_of(ours) == theirs.verdict:
        return None
    found = [difference for difference in DIFFERENCES if difference.covers(ours, theirs)]
    assert found, f"ours: {ours}; theirs: {theirs}"
    return found[0]
