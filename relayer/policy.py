"""What follows from a failure.

Each failure carries a registered code, so the decision is a table.  What is in no table is taken to concern the
packet alone: it is tried once without company, and then recorded as refused.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

from abci_app import errors as node
from ibc import errors as ibc
from relayer import errors as own
from relayer.types import ClientStatus, Failure
from tx import failures as tx

if TYPE_CHECKING:
    from relayer.types import LinkEnd
    from tx.errors import AppError


class Consequence(Enum):
    """What to do about a failure."""

    REDUNDANT = "redundant"
    """Somebody did it before: ask the chains how things stand."""
    PENDING = "pending"
    """The same bytes are executed or waiting already: wait for their outcome."""
    RETRY = "retry"
    """It will pass: try again later."""
    LANE = "lane"
    """Nothing can be submitted to this end for now: hold everything back, and look at the client again later."""
    PACKET = "packet"
    """It is about this packet: try it alone, then record the refusal."""
    TOO_LARGE = "too large"
    """Try again with fewer packets."""


_REDUNDANT: Final = (ibc.RelayRedundant,)
_PENDING: Final = (node.TxReplayed,)
_RETRY: Final = (
    tx.Expired,
    tx.ExpiryTooFar,
    node.CommitTimeout,
    node.EndpointUnreachable,
    node.HeightUnavailable,
    node.MempoolFull,
    node.NodeCatchingUp,
    node.NodeUnavailable,
    node.RpcMalformed,
    node.RpcRefused,
    node.StateNotKept,
    ibc.ConsensusStateNotFound,
    ibc.HeaderFromFuture,
    ibc.TimeoutElapsed,
    ibc.TimeoutNotReached,
    ibc.TrustedHeightMismatch,
    ibc.UnneededUpdate,
    own.AnswerLost,
    own.AnswerMalformed,
    own.BodyForged,
    own.BodyUnavailable,
    own.EndpointsDown,
    own.HeightsDisagree,
    own.ProofUnusable,
)
_LANE: Final = (
    tx.InvalidSignature,
    tx.WrongChain,
    tx.WrongSigners,
    ibc.BisectionTooLong,
    ibc.ClientNotActive,
    ibc.ClientNotFound,
    ibc.CommitSizeMismatch,
    ibc.CounterpartyMismatch,
    ibc.CounterpartyNotFound,
    ibc.DoubleVote,
    ibc.HeaderHashMismatch,
    ibc.HeightNotNewer,
    ibc.InvalidVote,
    ibc.MalformedCommit,
    ibc.MalformedHeader,
    ibc.MalformedRpcAnswer,
    ibc.MalformedTime,
    ibc.MalformedValidatorSet,
    ibc.QuorumNotReached,
    ibc.TimeNotNewer,
    ibc.TrustExpired,
    ibc.TrustNotReached,
    ibc.UnexpectedLightBlock,
    ibc.UnsupportedClientMessage,
    ibc.UnsupportedKeyType,
    ibc.ValidatorSetMismatch,
    ibc.VoterMismatch,
    ibc.VotingPowerOutOfRange,
    ibc.WrongChainId,
    own.ClientUnusable,
)
_TOO_LARGE: Final = (node.TxTooLarge, tx.WrongMessageCount, own.BatchTooLarge)


def _table() -> dict[tuple[str, int], Consequence]:
    rows = (
        (Consequence.REDUNDANT, _REDUNDANT),
        (Consequence.PENDING, _PENDING),
        (Consequence.RETRY, _RETRY),
        (Consequence.LANE, _LANE),
        (Consequence.TOO_LARGE, _TOO_LARGE),
    )
    table: dict[tuple[str, int], Consequence] = {}
    for consequence, classes in rows:
        for error in classes:
            table[error.CODESPACE, error.CODE] = consequence
    return table


CONSEQUENCES: Final = _table()
"""Consequence by (codespace, code)."""


def consequence_of(failure: Failure) -> Consequence:
    """Return what to do about a failure."""
    return CONSEQUENCES.get((failure.codespace, failure.code), Consequence.PACKET)


def failure_of(error: AppError) -> Failure:
    """Return an error as a value."""
    return Failure(error.CODESPACE, error.CODE, error.message)


def find_client_failure(end: LinkEnd, status: ClientStatus) -> Failure | None:
    """Return why a light client takes no packets; None if it does."""
    if status is ClientStatus.ACTIVE:
        return None
    return failure_of(own.ClientUnusable(f"expected an active client {end}, got one that is {status.value}"))
