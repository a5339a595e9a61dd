"""`gradchain update`: make, submit and look at updates by hand."""

from __future__ import annotations

import time
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from abci_app.errors import NothingNew
from abci_app.grpc_errors import RemoteError
from aggregation.kzg import load_setup, setup_path
from cli.files import check_new, write_new
from cli.options import task_option, with_key
from cli.output import show
from cli.params import ATTEMPT, ROUND
from cli.proofs import check_spec
from cli.updatefile import StatementView, describe_file, describe_statement, read_update
from cli.weights import check_suffix, read_weights
from participant.errors import NotAssigned, UnverifiedData
from participant.journal import Identity, ParticipantJournal
from participant.sdk import Participant
from participant.tensors import state_to_vector
from shards.errors import UnknownRound
from tx.codec import encode
from tx.keys import format_address
from tx.statements import verify_statement
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query

if TYPE_CHECKING:
    from cli.context import Session
    from wire.gradchain.fl.v1 import update_pb2

RETRY_S: Final = 0.5
"""Pause before an update is sent again whose round has not reached the shard yet."""


@dataclass(frozen=True, slots=True)
class MadeView:
    """An update in a new file."""

    file: str
    participant: str
    task: int
    round: int
    attempt: int
    shard: str
    scale: int
    clipped: int
    large: int
    payload_bytes: int
    payload_root: bytes
    signed_before: bool
    """An update of this round was signed before; the file holds that one, since a second would be equivocation."""
    state: str


@dataclass(frozen=True, slots=True)
class SubmittedView:
    """An update that a shard has taken."""

    participant: str
    task: int
    round: int
    attempt: int
    shard: str
    height: int | None
    """Block of the shard that holds it; nothing if it was not waited for."""
    tx_hash: bytes
    statement_digest: bytes


@dataclass(frozen=True, slots=True)
class StoredUpdateView:
    """What a shard holds of a participant in a round."""

    participant: str
    task: int
    round: int
    attempt: int
    shard: str
    height: int
    payload_bytes: int
    accepted: bool
    """It passed the check of its commitments; otherwise it is spent and counts for nothing."""
    verified: bool
    """The signature is checked; that the shard holds the update is the word of the node."""
    statement: StatementView | None
    """Nothing once the round is settled: the shard then keeps only that there was one."""


@click.group("update", no_args_is_help=True)
def update_group() -> None:
    """Make, submit and look at updates.

    This is for doing by hand what a program that uses the SDK does in each round.
    """


@update_group.command("make")
@task_option
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="Trained weights: a state_dict (.pt) or arrays by name (.npz), trained from the round's base model.",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="New file for the update."
)
@click.option(
    "--round",
    "round_number",
    type=ROUND,
    metavar="N",
    help="The round that the weights were trained for; fails if it is not the newest one.",
)
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory for what must not be lost between rounds: the residual and the signed update. "
    "[default: in $GRADCHAIN_HOME]",
)
@with_key
def make_command(
    session: Session, task: int, weights: Path, out: Path, round_number: int | None, state: Path | None
) -> None:
    """Make the signed update of --key for the newest round, from trained weights.

    The base model and the assignment are verified by light client. What quantising takes away stays in --state and
    goes into the next update. If the round was signed for before, the file holds that update.
    """
    check_suffix(weights)
    check_new(out)
    arrays = read_weights(weights)
    key = session.key()
    hub = session.verified_hub()
    spec = hub.task_spec(task)
    trained = state_to_vector(arrays, spec.tensors)
    address = format_address(key.public_key)
    directory = state or session.home.participant_state(hub.chain_id, task, address)
    setup = load_setup(setup_path().read_bytes())
    participant = Participant(key, hub=hub, shards={}, task=task, state=directory, setup=setup)
    work = participant.prepare_round()
    info = work.assignment.info
    check_spec(spec, info)
    if round_number not in (None, info.round):
        raise NotAssigned(f"expected round {round_number} to be the newest one, got round {info.round}")
    journal = ParticipantJournal(directory, Identity(hub.chain_id, task, address), spec.parameters)
    signed_before = journal.find(info.round, info.attempt) is not None
    update = work.prepare_vector(trained)
    write_new(out, encode(update))
    statement = verify_statement(update.signed)
    view = MadeView(
        file=str(out),
        participant=address,
        task=task,
        round=statement.round,
        attempt=statement.attempt,
        shard=statement.shard,
        scale=statement.scale,
        clipped=statement.clipped,
        large=statement.large,
        payload_bytes=len(update.payload),
        payload_root=statement.payload_root,
        signed_before=signed_before,
        state=str(directory),
    )
    show(view, as_json=session.as_json)


@update_group.command("submit")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--wait/--no-wait", default=True, show_default=True, help="Wait until a block of the shard holds it."
)
@with_key
def submit_command(session: Session, file: Path, *, wait: bool) -> None:
    """Send the update in FILE to its shard.

    It is signed already, so anyone may send it and no key is needed. The same update again does no harm.
    """
    update = read_update(file)
    statement = verify_statement(update.signed)
    answer = _submit(session, statement.shard, update, wait=wait)
    view = SubmittedView(
        participant=format_address(statement.participant),
        task=statement.task,
        round=statement.round,
        attempt=statement.attempt,
        shard=statement.shard,
        height=answer.height or None,
        tx_hash=answer.tx_hash,
        statement_digest=sha256(update.signed.statement).digest(),
    )
    show(view, as_json=session.as_json)


def _submit(
    session: Session, shard: str, update: update_pb2.Update, *, wait: bool
) -> shard_query.SubmitUpdateResponse:
    """Send an update until the shard has taken it.

    The hub's packet with the round may reach the shard after the participant has asked the hub; and the same update
    may be on its way already.
    """
    connection = session.shard(shard)
    request = shard_query.SubmitUpdateRequest(update=update, wait=wait)
    deadline = time.monotonic() + session.timeout_s
    while True:
        try:
            return connection.shard(lambda stub: stub.SubmitUpdate(request, timeout=session.timeout_s))
        except RemoteError as error:
            is_early = error.is_error(UnknownRound) or error.is_error(NothingNew)
            if not is_early or time.monotonic() + RETRY_S >= deadline:
                raise
        time.sleep(RETRY_S)


@update_group.command("show")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=False)
@click.option(
    "--check-commitments", is_flag=True, help="Compute the commitments of FILE again (some seconds)."
)
@click.option("--task", type=ROUND, metavar="N", help="Ask a shard instead: number of the task.")
@click.option("--round", "round_number", type=ROUND, metavar="N", help="The round; the newest if not given.")
@click.option(
    "--attempt", type=ATTEMPT, metavar="N", help="The attempt of the round; the newest if not given."
)
@click.option("--participant", metavar="ADDRESS|NAME", help="Whose update; that of --key if it is not given.")
@click.option("--on", "shard", metavar="CHAIN", help="The shard to ask; the participant's if not given.")
@with_key
def show_command(
    session: Session,
    file: Path | None,
    task: int | None,
    round_number: int | None,
    attempt: int | None,
    participant: str | None,
    shard: str | None,
    *,
    check_commitments: bool,
) -> None:
    """Decode and check the update in FILE, or look up what a shard holds of a participant with --task."""
    if (file is None) == (task is None):
        raise click.UsageError("expected either FILE or --task", click.get_current_context())
    if file is not None:
        show(describe_file(file, check_commitments=check_commitments), as_json=session.as_json)
        return
    wanted = _Wanted(task or 0, round_number or 0, attempt, session.address(participant), shard)
    show(_ask_shard(session, wanted), as_json=session.as_json)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which update to look up."""

    task: int
    round: int
    attempt: int | None
    participant: bytes
    shard: str | None


def _ask_shard(session: Session, wanted: _Wanted) -> StoredUpdateView:
    """Ask a shard for an update; the hub says which shard and attempt, where that is not given."""
    round_number, attempt, shard = wanted.round, wanted.attempt, wanted.shard
    if not round_number or attempt is None or shard is None:
        question = hub_query.GetAssignmentRequest(
            task=wanted.task, round=round_number, participant=wanted.participant
        )
        known = session.hub().hub(lambda stub: stub.GetAssignment(question, timeout=session.timeout_s))
        round_number = known.info.round
        attempt = known.info.attempt if attempt is None else attempt
        shard = shard or known.shard
    request = shard_query.GetUpdateRequest(
        task=wanted.task, round=round_number, attempt=attempt, participant=wanted.participant
    )
    answer = session.shard(shard).shard(lambda stub: stub.GetUpdate(request, timeout=session.timeout_s))
    return StoredUpdateView(
        participant=format_address(wanted.participant),
        task=wanted.task,
        round=round_number,
        attempt=attempt,
        shard=shard,
        height=answer.height,
        payload_bytes=answer.payload_bytes,
        accepted=answer.accepted,
        verified=False,
        statement=_check_statement(answer, request, shard),
    )


def _check_statement(
    answer: shard_query.GetUpdateResponse, request: shard_query.GetUpdateRequest, shard: str
) -> StatementView | None:
    """Return what the participant has signed; nothing once the round is pruned.

    Raises:
      UnverifiedData: the statement is one of another update.
      InvalidStatement, InvalidSignature: nobody has signed it.

    """
    if not answer.HasField("signed"):
        return None
    statement = verify_statement(answer.signed)
    found = (statement.participant, statement.task, statement.round, statement.attempt, statement.shard)
    if found != (request.participant, request.task, request.round, request.attempt, shard):
        raise UnverifiedData(f"expected the statement that was asked for, {shard} gave another one")
    return describe_statement(statement)
