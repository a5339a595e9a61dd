"""From a failure to an exit code, and to the two lines that a person sees.

Imported only once something has failed, so that commands that succeed do not pay for the error tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from abci_app import errors as node
from abci_app.grpc_errors import RemoteError
from aggregation import errors as aggregation
from cli.errors import CliError, Exit
from ibc import errors as ibc
from localnet import errors as localnet
from participant import errors as participant
from relayer import errors as relayer
from tx import failures as tx
from tx.errors import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tx.errors import AppError

_MODULES: Final = {"hub": "hub.errors", "shard": "shards.errors"}
"""Where the errors of a codespace are defined that are only ever seen from a distance."""

_UNREACHABLE: Final[tuple[type[AppError], ...]] = (
    node.NodeUnavailable,
    node.EndpointUnreachable,
    node.HeightUnavailable,
    node.NodeCatchingUp,
    node.MempoolFull,
    node.CommitTimeout,
    relayer.EndpointsDown,
    relayer.AnswerLost,
    relayer.HeightsDisagree,
    relayer.BodyUnavailable,
    relayer.NodeLagging,
    relayer.RelayerSilent,
)
"""Nobody answered, or nobody could yet; wherever that was found out."""

_LOCAL: Final[Mapping[type[AppError], Exit]] = {
    node.RpcRefused: Exit.REFUSED,
    node.RpcMalformed: Exit.REFUSED,
    node.TxTooLarge: Exit.REFUSED,
    tx.InvalidSignature: Exit.UNVERIFIED,
    aggregation.MerklePathError: Exit.UNVERIFIED,
    aggregation.CommitmentError: Exit.UNVERIFIED,
    aggregation.SetupError: Exit.ENVIRONMENT,
    participant.UnverifiedData: Exit.UNVERIFIED,
    participant.StateMismatch: Exit.ENVIRONMENT,
    participant.DataUnavailable: Exit.ENVIRONMENT,
    participant.TrustMissing: Exit.USAGE,
    relayer.ProofUnusable: Exit.UNVERIFIED,
    relayer.PacketForged: Exit.UNVERIFIED,
    relayer.BodyForged: Exit.UNVERIFIED,
    relayer.ChainMismatch: Exit.ENVIRONMENT,
    relayer.ClockSkewed: Exit.ENVIRONMENT,
    relayer.ConfigExists: Exit.ENVIRONMENT,
    relayer.ConfigMissing: Exit.ENVIRONMENT,
    relayer.ConfigUneditable: Exit.ENVIRONMENT,
    relayer.HttpUnset: Exit.ENVIRONMENT,
    relayer.PortTaken: Exit.ENVIRONMENT,
    relayer.RequestInvalid: Exit.USAGE,
    relayer.ShardUnknown: Exit.USAGE,
    relayer.ConfigInvalid: Exit.ENVIRONMENT,
    relayer.JournalInUse: Exit.ENVIRONMENT,
    relayer.JournalUnusable: Exit.ENVIRONMENT,
    relayer.JournalTooNew: Exit.ENVIRONMENT,
    relayer.JournalTooOld: Exit.ENVIRONMENT,
    relayer.JournalMissing: Exit.ENVIRONMENT,
}
"""What was found out in this process, where that differs from the rest of its codespace."""

_LOCAL_DEFAULTS: Final[Mapping[str, Exit]] = {
    # A node's own errors are about its home, ports, disk and tools.
    node.NodeError.CODESPACE: Exit.ENVIRONMENT,
    localnet.LocalnetError.CODESPACE: Exit.ENVIRONMENT,
    # Headers, proofs and packets are checked here before anything is believed.
    ibc.IbcError.CODESPACE: Exit.UNVERIFIED,
}


def exit_of(error: AppError) -> Exit:
    """Return the exit code of an expected failure."""
    if isinstance(error, relayer.ProblemsFound):
        return exit_of(error.worst)
    code = (error.CODESPACE, error.CODE)
    if any(code == (other.CODESPACE, other.CODE) for other in _UNREACHABLE):
        return Exit.UNREACHABLE
    if isinstance(error, RemoteError):
        return Exit.REFUSED
    if isinstance(error, CliError):
        return error.EXIT
    for error_class, exit_code in _LOCAL.items():
        if isinstance(error, error_class):
            return exit_code
    return _LOCAL_DEFAULTS.get(error.CODESPACE, Exit.REFUSED)


def cure_of(error: AppError) -> str:
    """Return what can be done about a failure, or nothing if its code is not known to this version."""
    codespace = error.CODESPACE
    if codespace in _MODULES:
        import_module(_MODULES[codespace])
    registered = REGISTRY.get((codespace, error.CODE))
    return "" if registered is None else registered.CURE
