"""`gradchain participant`: take part in a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from abci_app.grpc_errors import RemoteError
from cli.options import task_option, with_key
from cli.output import show
from hub.errors import AlreadyRegistered
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from cli.context import Session
    from wire.gradchain.fl.v1 import round_pb2


@dataclass(frozen=True, slots=True)
class RegistrationView:
    """A participant of a task."""

    participant: str
    task: int
    height: int | None
    """Block of the hub that holds the registration; nothing if it was registered before."""
    registered_before: bool


@dataclass(frozen=True, slots=True)
class AssignmentView:
    """A participant's part in a round."""

    participant: str
    task: int
    round: int
    attempt: int
    shard: str
    index: int
    """Place in the shard's assignment tree, from 0."""
    assigned: int
    """How many participants are assigned to the shard."""
    scale: int
    spec_digest: bytes
    base_root: bytes
    """Root of the model to train from: `gradchain model get --round` fetches it."""
    assignment_root: bytes
    opened_at_ns: int
    close_time_ns: int
    deadline_ns: int
    verified: bool


@click.group("participant", no_args_is_help=True)
def participant_group() -> None:
    """Take part in a task."""


@participant_group.command("register")
@task_option
@with_key
def register_command(session: Session, task: int) -> None:
    """Make --key eligible for the rounds of a task that open from now on.

    To register twice does no harm.
    """
    key = session.key()
    message = tx_pb2.MsgRegisterParticipant(participant=key.public_key, task=task)
    height: int | None = None
    try:
        height = session.hub().send(session.hub_chain_id(), [message], [key]).height
    except RemoteError as error:
        if not error.is_error(AlreadyRegistered):
            raise
    address = format_address(key.public_key)
    view = RegistrationView(address, task, height, registered_before=height is None)
    show(view, as_json=session.as_json)


@participant_group.command("assignment")
@task_option
@click.option(
    "--participant", metavar="ADDRESS|NAME", help="Whose assignment; that of --key if it is not given."
)
@with_key
def assignment_command(session: Session, task: int, participant: str | None) -> None:
    """Show to which shard a participant is assigned in the newest round.

    With --genesis or a localnet the round's record is verified by light client, and the assignment against it.
    """
    address = session.address(participant)
    if session.genesis_path is None:
        request = query_pb2.GetAssignmentRequest(task=task, participant=address)
        answer = session.hub().hub(lambda stub: stub.GetAssignment(request, timeout=session.timeout_s))
        view = _describe(address, answer.info, answer.shard, answer.proof.index, verified=False)
    else:
        found = session.verified_hub().assignment(task, address)
        view = _describe(address, found.info, found.shard, found.proof.index, verified=True)
    show(view, as_json=session.as_json)


def _describe(
    address: bytes, info: round_pb2.RoundInfo, shard: str, index: int, *, verified: bool
) -> AssignmentView:
    entry = next((entry for entry in info.shards if entry.shard == shard), None)
    return AssignmentView(
        participant=format_address(address),
        task=info.task,
        round=info.round,
        attempt=info.attempt,
        shard=shard,
        index=index,
        assigned=0 if entry is None else entry.assigned,
        scale=info.scale,
        spec_digest=info.spec_digest,
        base_root=info.base_root,
        assignment_root=b"" if entry is None else entry.assignment_root,
        opened_at_ns=info.opened_at_ns,
        close_time_ns=info.close_time_ns,
        deadline_ns=info.deadline_ns,
        verified=verified,
    )
