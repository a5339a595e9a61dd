"""Which process is killed when, and for how long it stays away: all of it follows from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Process = Literal["app", "comet", "both"]

PROCESSES: Final[tuple[Process, ...]] = ("app", "comet", "both")
"""What is killed of a node."""


class Victim(StrEnum):
    """What is killed."""

    RELAYER = "relayer"
    ENDPOINT = "RPC endpoint"
    VALIDATOR = "validator"


@dataclass(frozen=True, slots=True)
class Pace:
    """How often something of each kind is killed; seconds, drawn evenly between two bounds."""

    gap_s: tuple[float, float]
    """From the return of one to the kill of the next of its kind."""
    down_s: tuple[float, float]
    """From the kill to the start."""
    relayer_share: float
    """Part of the time in which the relayer is killed; afterwards its memory is watched."""


@dataclass(frozen=True, slots=True)
class PlannedKill:
    """One entry of the schedule."""

    at_s: float
    """Since the load began."""
    victim: Victim
    node: str
    """Name of the node; "" for the relayer."""
    process: Process
    """`both` for the relayer, which is one."""
    down_s: float


def plan_kills(
    seed: int, seconds: float, nodes: dict[Victim, Sequence[str]], pace: Pace
) -> tuple[PlannedKill, ...]:
    """Return the schedule in order of time.

    Each kind has its own course, so that something of each may be away at once; of one kind it is one at a time.
    `nodes` are those of each kind; a kind that is not named is spared, and the relayer is named with "".
    """
    planned = [
        kill
        for victim, names in nodes.items()
        for kill in _plan_kind(Random(f"{seed}/{victim}"), seconds, victim, names, pace)
    ]
    return tuple(sorted(planned, key=lambda kill: (kill.at_s, kill.victim)))


def _plan_kind(
    random: Random, seconds: float, victim: Victim, names: Sequence[str], pace: Pace
) -> list[PlannedKill]:
    end_s = seconds * (pace.relayer_share if victim is Victim.RELAYER else 1.0)
    planned = []
    at_s = random.uniform(*pace.gap_s)
    while names:
        process = "both" if victim is Victim.RELAYER else random.choice(PROCESSES)
        kill = PlannedKill(
            round(at_s, 2), victim, random.choice(names), process, round(random.uniform(*pace.down_s), 2)
        )
        if kill.at_s + kill.down_s > end_s:
            break
        planned.append(kill)
        at_s += kill.down_s + random.uniform(*pace.gap_s)
    return planned
