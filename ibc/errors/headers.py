"""What can be wrong with headers, and with what a light client is shown: codes 20-49."""

from __future__ import annotations

from ibc.errors.root import IbcError


class MalformedHeader(IbcError):
    """A header lacks a part, or a field has the wrong size."""

    CODE = 20
    CURE = "Build the header from the node's answers to /commit and /validators, unchanged."


class MalformedCommit(IbcError):
    """A commit has no vote for its block, or a vote with wrong or missing fields."""

    CODE = 21
    CURE = "Build the header from the node's answers to /commit and /validators, unchanged."


class MalformedValidatorSet(IbcError):
    """A validator set is empty, or has a validator twice or with the wrong address."""

    CODE = 22
    CURE = "Fetch all pages of /validators of the height that the header needs."


class UnsupportedKeyType(IbcError):
    """A validator's key is not an Ed25519 key."""

    CODE = 23
    CURE = "Only chains whose validators sign with Ed25519 can be followed."


class VotingPowerOutOfRange(IbcError):
    """A voting power is negative, or the sum exceeds what CometBFT allows."""

    CODE = 24
    CURE = "Do not trust the node that served this validator set."


class MalformedTime(IbcError):
    """A point in time or a duration is missing or out of range."""

    CODE = 25
    CURE = "Use a time of the years 1 to 9999 with nanoseconds below a billion, or a positive duration."


class WrongChainId(IbcError):
    """The header is of another chain."""

    CODE = 26
    CURE = "Send headers of the chain that the light client follows."


class HeaderHashMismatch(IbcError):
    """The commit is for another header."""

    CODE = 27
    CURE = "Do not trust the node that served this header; take it from another one."


class ValidatorSetMismatch(IbcError):
    """A validator set does not have the hash that it must have."""

    CODE = 28
    CURE = "Send the validators of the header's height, and those of the height after the trusted one."


class TrustedHeightMismatch(IbcError):
    """The header starts from another height than the trusted state, or from another revision of the chain."""

    CODE = 29
    CURE = "Set the trusted height to a height that the client has a consensus state for."


class HeightNotNewer(IbcError):
    """The header is not above the height that it starts from."""

    CODE = 30
    CURE = "Start from a consensus state below the header."


class TrustExpired(IbcError):
    """The trusted state is older than the trusting period, so it can no longer vouch for a header."""

    CODE = 31
    CURE = "Start from a younger consensus state; if there is none, the authority must recover the client."


class TimeNotNewer(IbcError):
    """The header's time is not after that of the trusted state."""

    CODE = 32
    CURE = "Do not trust the node that served this header; times rise with heights."


class HeaderFromFuture(IbcError):
    """The header's time is too far ahead of our own."""

    CODE = 33
    CURE = "Wait; if it persists, compare the clocks of both chains' validators."


class CommitSizeMismatch(IbcError):
    """The commit has another number of slots than the validator set has validators."""

    CODE = 34
    CURE = "Send the commit and the validator set of the same height."


class VoterMismatch(IbcError):
    """A vote's address is not that of the validator in its place."""

    CODE = 35
    CURE = "Send the commit unchanged; votes stand in the order of the validator set."


class DoubleVote(IbcError):
    """A commit holds two votes of one validator."""

    CODE = 36
    CURE = "Do not trust the node that served this commit."


class InvalidVote(IbcError):
    """A vote's signature does not verify."""

    CODE = 37
    CURE = "Take the header from another node, or mark the vote as absent if the others suffice."


class QuorumNotReached(IbcError):
    """Two thirds or less of the header's own validators signed it."""

    CODE = 38
    CURE = "Take the header from another node: a block that was committed has more votes."


class TrustNotReached(IbcError):
    """Too few of the trusted validators signed the header, so headers in between are needed."""

    CODE = 39
    CURE = "Send headers between the trusted height and this one first."


class InvalidTrustOptions(IbcError):
    """The trust level is outside [1/3, 1], or a period is not positive."""

    CODE = 40
    CURE = "Use a trust level of 1/3 to 1 and a trusting period shorter than the unbonding period."


class MalformedRpcAnswer(IbcError):
    """A node's JSON answer does not have the form of CometBFT's."""

    CODE = 41
    CURE = "Check that the address is the RPC endpoint of a CometBFT node of a supported version."


class UnexpectedLightBlock(IbcError):
    """A light block was given that was not asked for, or that contradicts an earlier one."""

    CODE = 42
    CURE = "Give the light block of the height that was asked for, from one chain."


class BisectionTooLong(IbcError):
    """The way from the trusted height to the target needs more headers than the limit."""

    CODE = 43
    CURE = "Start from a younger trusted header."


class MalformedMisbehaviour(IbcError):
    """Evidence of misbehaviour lacks a header, or names the lower one first."""

    CODE = 44
    CURE = "Put the header that is not lower first, and give each its trusted height and validators."


class NoMisbehaviour(IbcError):
    """Two headers do not contradict each other: one chain that follows the rules can have signed both."""

    CODE = 45
    CURE = "Send two different headers of one height, or a higher one that is not later than a lower one."
