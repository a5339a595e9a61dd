"""`gradchain round`: look at the rounds of a task, or follow them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from cli.hubclient import get_round
from cli.names import round_status, shard_round_status, task_status
from cli.options import task_option, with_network
from cli.output import show, show_line
from cli.params import ATTEMPT, ROUND
from participant.tasks import ENDED, get_task
from wire.gradchain.hub.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli.context import Session

POLL_S: Final = 0.5

_AGGREGATED: Final = (query_pb2.ROUND_STATUS_AGGREGATED, query_pb2.ROUND_STATUS_SETTLED)


@dataclass(frozen=True, slots=True)
class ShardRow:
    """A shard's part in a round."""

    shard: str
    status: str
    assigned: int
    updates: int
    total_weight: int
    body_bytes: int
    parts_received: int
    parts: int
    reject_code: int | None
    """Code of `hub` with which the body was refused."""


@dataclass(frozen=True, slots=True)
class RoundView:
    """A round."""

    task: int
    round: int
    attempt: int
    status: str
    opened_at_ns: int
    close_time_ns: int
    deadline_ns: int
    scale: int
    unit_weight: int
    updates: int
    total_weight: int
    paid: int
    """To participants."""
    relay_paid: int
    """To relayers."""
    spec_digest: bytes
    base_root: bytes
    model_root: bytes | None
    """Root of the model that resulted."""
    settlement_root: bytes | None
    verified: bool
    """Record, outcome and settlement root are proven against a header that the light client has checked."""
    verified_height: int | None
    shards: tuple[ShardRow, ...]


@dataclass(frozen=True, slots=True)
class RoundEvent:
    """A line of `round watch`."""

    task: int
    task_status: str
    round: int
    attempt: int
    status: str
    updates: int
    total_weight: int
    paid: int
    model_root: bytes | None
    shards: tuple[ShardRow, ...]


@click.group("round", no_args_is_help=True)
def round_group() -> None:
    """Look at the rounds of a task, or follow them."""


@round_group.command("show")
@task_option
@click.option("--round", "round_number", type=ROUND, metavar="N", help="The round; the newest if not given.")
@click.option(
    "--attempt", type=ATTEMPT, metavar="N", help="The attempt of the round; the newest if not given."
)
@with_network
def show_command(session: Session, task: int, round_number: int | None, attempt: int | None) -> None:
    """Show a round.

    With --genesis or a localnet its record, outcome and settlement root are verified by light client; how the shards
    stand is the word of the node.
    """
    found = get_round(session, task, round_number, attempt)
    height = None
    if session.genesis_path is not None:
        from cli.proofs import verify_round  # noqa: PLC0415 - only with a light client

        height = verify_round(session.verified_hub(), found)
    show(describe_round(found, height), as_json=session.as_json)


def describe_round(found: query_pb2.Round, verified_height: int | None) -> RoundView:
    """Return the view of a round."""
    info = found.info
    shards = describe_shards(found)
    return RoundView(
        task=info.task,
        round=info.round,
        attempt=info.attempt,
        status=round_status(found.status),
        opened_at_ns=info.opened_at_ns,
        close_time_ns=info.close_time_ns,
        deadline_ns=info.deadline_ns,
        scale=info.scale,
        unit_weight=info.unit_weight,
        updates=sum(row.updates for row in shards),
        total_weight=sum(row.total_weight for row in shards),
        paid=found.paid,
        relay_paid=found.relay_paid,
        spec_digest=info.spec_digest,
        base_root=info.base_root,
        model_root=found.result.model_root or None,
        settlement_root=found.settlement_root or None,
        verified=verified_height is not None,
        verified_height=verified_height,
        shards=shards,
    )


def describe_shards(found: query_pb2.Round) -> tuple[ShardRow, ...]:
    """Return how the shards of a round stand."""
    return tuple(
        ShardRow(
            shard=row.shard,
            status=shard_round_status(row.status),
            assigned=row.assigned,
            updates=row.updates,
            total_weight=row.total_weight,
            body_bytes=row.body_bytes,
            parts_received=row.parts_received,
            parts=row.parts,
            reject_code=row.reject_code or None,
        )
        for row in found.shards
    )


@round_group.command("watch")
@task_option
@click.option("--until", type=ROUND, metavar="N", help="End when this round is aggregated.")
@with_network
def watch_command(session: Session, task: int, until: int | None) -> None:
    """Follow the rounds of a task, a line for each change, until the task ends.

    With --json each line is an object of its own. What is shown is the word of the node; `round show` verifies.
    """
    for event in watch_rounds(session, task, until, _tell_waiting):
        if session.as_json:
            show_line(event)
        else:
            click.echo(format_event(event))


def _tell_waiting(text: str) -> None:
    """Say why nothing is shown yet, beside the results."""
    click.echo(text, err=True)


def watch_rounds(
    session: Session, task_number: int, until: int | None, tell_waiting: Callable[[str], None]
) -> Iterator[RoundEvent]:
    """Yield every change that is seen of a task's rounds, oldest round first; say what the first one waits for."""
    seen: dict[int, RoundEvent] = {}
    first, told = 0, ""
    while True:
        task = get_task(session.hub(), task_number)
        waiting = describe_waiting(task)
        if waiting and waiting != told:
            tell_waiting(waiting)
        told = waiting
        first = first or max(1, min(task.round, until or task.round))
        for number in range(first, task.round + 1):
            found = get_round(session, task_number, number, None)
            event = describe_event(task, found)
            if seen.get(number) != event:
                seen[number] = event
                yield event
            if until is not None and number >= until and found.status in _AGGREGATED:
                return
            # Settled rounds do not change any more, as long as none before them is still open.
            if number == first and found.status == query_pb2.ROUND_STATUS_SETTLED:
                seen.pop(number)
                first = number + 1
        if task.status in ENDED and (first > task.round or task.status == query_pb2.TASK_STATUS_FAILED):
            return
        time.sleep(POLL_S)


def describe_waiting(task: query_pb2.Task) -> str:
    """Return why a task has no round yet; nothing if it has one, or will have none."""
    if task.round or task.status in ENDED:
        return ""
    return (
        f"task {task.task} has no round yet: {task_status(task.status)}, {task.participants} participants "
        f"of at least {task.spec.min_participants}"
    )


def describe_event(task: query_pb2.Task, found: query_pb2.Round) -> RoundEvent:
    """Return what is told of a round."""
    shards = describe_shards(found)
    return RoundEvent(
        task=task.task,
        task_status=task_status(task.status),
        round=found.info.round,
        attempt=found.info.attempt,
        status=round_status(found.status),
        updates=sum(row.updates for row in shards),
        total_weight=sum(row.total_weight for row in shards),
        paid=found.paid,
        model_root=found.result.model_root or None,
        shards=shards,
    )


def format_event(event: RoundEvent) -> str:
    """Return a line for people."""
    shards = ", ".join(f"{row.shard} {row.status} {row.updates}/{row.assigned}" for row in event.shards)
    parts = [f"round {event.round}.{event.attempt}", event.status, shards or "no shards"]
    if event.model_root is not None:
        parts.append(f"model {event.model_root.hex()[:16]}")
    if event.paid:
        parts.append(f"paid {event.paid}")
    return "  ".join(parts)
