"""Bringing an expired or frozen client back: it takes over what a substitute knows of the same chain.

Source: ibc-go `02-client/keeper/client.go` (RecoverClient) and `07-tendermint/proposal_handle.go`.  There are three
differences, all towards safety:

- The chain id must be the same.  ibc-go lets it change; here shards are registered by chain id, and the heights of a
  client are kept in one order, which a new revision would start again.
- "Newer" is judged by the time of the newest header, not by its height.  On an honest chain that is the same; but
  whoever could forge one header could also have given it a height that no substitute will ever reach.
- The client forgets every height that it knew.  A state from before the freeze may be the forged one, and would serve
  as the base of proofs, or freeze the client again as soon as it is shown the true chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ibc.clients import ClientStatus, check_authority, client_status, require_active_client
from ibc.errors import RecoveryUnneeded, SubstituteMismatch, SubstituteNotNewer
from ibc.events import emit_recover_client
from ibc.heights import list_heights
from ibc.identifiers import Height, check_client_id
from ibc.state import (
    delete_consensus_state,
    get_consensus_state,
    put_client,
    put_consensus_state,
    require_client,
    require_consensus_state,
)

if TYPE_CHECKING:
    from ibc.client_state import ClientState
    from ibc.host import HostContext, HostState
    from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2


def check_recover_client(msg: client_tx_pb2.MsgRecoverClient) -> None:
    """Check what needs no state of a recovery.

    Raises:
      InvalidIdentifier: a client id has the wrong form.

    """
    check_client_id(msg.subject_client_id)
    check_client_id(msg.substitute_client_id)


def handle_recover_client(
    ctx: HostContext, state: HostState, msg: client_tx_pb2.MsgRecoverClient, *, signer: bytes
) -> None:
    """Let an expired or frozen client go on from where its substitute is.

    The client keeps its id and its counterparty.  It costs one deletion a height that the client knew.

    Raises:
      NotAuthority: another account than the authority signed.
      ClientNotFound: there is no such client.
      RecoveryUnneeded: the client is active.
      ClientNotActive: the substitute is not.
      SubstituteMismatch, SubstituteNotNewer: the substitute does not fit.

    """
    check_authority(state, signer)
    subject_id, substitute_id = msg.subject_client_id, msg.substitute_client_id
    subject = require_client(state, subject_id)
    if client_status(state, subject_id, subject, ctx.time_ns) is ClientStatus.ACTIVE:
        raise RecoveryUnneeded(f"expected an expired or frozen client, got {subject_id}, which is active")
    substitute = require_active_client(state, substitute_id, ctx.time_ns)
    check_substitute(subject, substitute)
    newest = require_consensus_state(state, substitute_id, substitute.latest_height)
    known = get_consensus_state(state, subject_id, subject.latest_height)
    if known is not None and newest.time_ns <= known.time_ns:
        raise SubstituteNotNewer(
            f"expected a substitute that knows a time after {known.time_ns} ns, got one that knows {newest.time_ns} ns"
        )
    for height in list_heights(state, subject_id):
        delete_consensus_state(state, subject_id, Height(subject.revision, height))
    put_client(state, subject_id, subject.recover(substitute))
    put_consensus_state(state, subject_id, subject.revision, newest, ctx.time_ns, ctx.height)
    emit_recover_client(ctx, subject_id, substitute_id)


def check_substitute(subject: ClientState, substitute: ClientState) -> None:
    """Check that a substitute follows the same chain in the same way; heights and trusting period may differ.

    Raises:
      SubstituteMismatch: it does not.

    """
    pairs = (
        ("chain id", subject.trust.chain_id, substitute.trust.chain_id),
        ("trust level", subject.trust.trust_level, substitute.trust.trust_level),
        ("clock drift in ns", subject.trust.max_clock_drift_ns, substitute.trust.max_clock_drift_ns),
        ("unbonding period in ns", subject.unbonding_period_ns, substitute.unbonding_period_ns),
        ("list of proof specs", subject.proof_specs, substitute.proof_specs),
        ("upgrade path", subject.upgrade_path, substitute.upgrade_path),
    )
    for name, expected, got in pairs:
        if expected != got:
            raise SubstituteMismatch(f"expected the {name} {expected}, got {got}")
