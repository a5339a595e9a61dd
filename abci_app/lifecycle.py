"""The life of a node's two processes, as a pure machine: `handle(event, now) -> actions`.

CometBFT opens four connections to the app and ends itself when one breaks, and an app that lost its CometBFT has
nothing to do: so both live and die together.  The app starts first, because CometBFT asks it for its height before
anything else, and stops last, because CometBFT may be in the middle of a block.

A node that keeps dying shortly after its start is given up after some attempts, with growing pauses between them: an
app hash that differs does not heal by trying again, and the log that explains it must not be buried.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from abci_app.nodehome import ProcessKind


class Phase(StrEnum):
    """Where a node is in its life."""

    IDLE = "stopped"
    APP_STARTING = "starting"
    RUNNING = "running"
    COMET_STOPPING = "stopping CometBFT"
    APP_STOPPING = "stopping the app"
    PAUSING = "waiting to restart"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class LifePolicy:
    """How patient the machine is; seconds."""

    start_timeout: float = 60.0
    """Time for the app to accept connections, on a machine where many start at once."""
    stop_timeout: float = 10.0
    """Time for a process to end after it was asked to, before it is killed."""
    stable_after: float = 10.0
    """A life of this length was a success: the count of failures starts again."""
    first_pause: float = 0.2
    """Pause before the first restart; each further one is twice as long."""
    longest_pause: float = 5.0
    max_failures: int = 5
    """Failed lives in a row after which the node is given up."""


@dataclass(frozen=True, slots=True)
class StartRequested:
    """Someone wants the node to run."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Someone wants the node to stop."""


@dataclass(frozen=True, slots=True)
class AppReady:
    """The app accepts connections."""


@dataclass(frozen=True, slots=True)
class Exited:
    """A process ended."""

    process: ProcessKind
    status: int
    """Exit status; negative is the number of the signal that ended it."""


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed."""


LifeEvent = StartRequested | StopRequested | AppReady | Exited | Ticked


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a process."""

    process: ProcessKind


@dataclass(frozen=True, slots=True)
class Terminate:
    """Ask a process to end."""

    process: ProcessKind


@dataclass(frozen=True, slots=True)
class Kill:
    """End a process that did not follow."""

    process: ProcessKind


LifeAction = Spawn | Terminate | Kill


@dataclass(slots=True)
class NodeMachine:
    """One node.  The only mutator is `handle`."""

    policy: LifePolicy = field(default_factory=LifePolicy)
    phase: Phase = Phase.IDLE
    deadline: float | None = None
    """When `Ticked` will change something; None if only another event can."""
    alive: set[ProcessKind] = field(default_factory=set)
    restarts: int = 0
    """How often the processes were started again, in all."""
    failures: int = 0
    """Failed lives in a row."""
    reason: str = ""
    """Why the node was last restarted or given up."""
    _wanted: bool = field(default=False, init=False)
    _running_since: float = field(default=0.0, init=False)

    def handle(self, event: LifeEvent, now: float) -> tuple[LifeAction, ...]:
        """Take in what happened at `now` (seconds of any steady clock) and return what to do."""
        match event:
            case StartRequested():
                return self._start(now)
            case StopRequested():
                return self._stop(now)
            case AppReady():
                return self._start_comet(now)
            case Exited(process, status):
                return self._note_exit(process, status, now)
            case Ticked():
                return self._tick(now)

    def _start(self, now: float) -> tuple[LifeAction, ...]:
        self._wanted = True
        if self.phase not in {Phase.IDLE, Phase.GIVEN_UP}:
            return ()
        self.failures = 0
        self.reason = ""
        return self._start_app(now)

    def _stop(self, now: float) -> tuple[LifeAction, ...]:
        self._wanted = False
        if self.phase in {Phase.APP_STARTING, Phase.RUNNING}:
            return self._bring_down(now)
        if self.phase in {Phase.PAUSING, Phase.GIVEN_UP}:
            self._enter(Phase.IDLE, None)
        return ()

    def _start_app(self, now: float) -> tuple[LifeAction, ...]:
        self._enter(Phase.APP_STARTING, now + self.policy.start_timeout)
        self.alive.add("app")
        return (Spawn("app"),)

    def _start_comet(self, now: float) -> tuple[LifeAction, ...]:
        if self.phase is not Phase.APP_STARTING:
            return ()
        self._enter(Phase.RUNNING, None)
        self._running_since = now
        self.alive.add("comet")
        return (Spawn("comet"),)

    def _note_exit(self, process: ProcessKind, status: int, now: float) -> tuple[LifeAction, ...]:
        self.alive.discard(process)
        if self.phase is Phase.APP_STARTING:
            return self._fail(f"{process} ended while it started ({describe_status(status)})", now)
        if self.phase is Phase.RUNNING:
            if now - self._running_since >= self.policy.stable_after:
                self.failures = 0
                self.reason = f"{process} ended ({describe_status(status)})"
                return self._bring_down(now)
            return self._fail(f"{process} ended soon after its start ({describe_status(status)})", now)
        if self.phase in {Phase.COMET_STOPPING, Phase.APP_STOPPING}:
            return self._bring_down(now)
        return ()

    def _fail(self, reason: str, now: float) -> tuple[LifeAction, ...]:
        self.failures += 1
        self.reason = reason
        return self._bring_down(now)

    def _bring_down(self, now: float) -> tuple[LifeAction, ...]:
        """Stop what lives, CometBFT first, one step at a time."""
        steps: tuple[tuple[ProcessKind, Phase], ...] = (
            ("comet", Phase.COMET_STOPPING),
            ("app", Phase.APP_STOPPING),
        )
        for process, phase in steps:
            if process in self.alive:
                if self.phase is phase:
                    return ()
                self._enter(phase, now + self.policy.stop_timeout)
                return (Terminate(process),)
        if not self._wanted:
            self._enter(Phase.IDLE, None)
        elif self.failures > self.policy.max_failures:
            self._enter(Phase.GIVEN_UP, None)
        else:
            self._enter(Phase.PAUSING, now + self._pause())
        return ()

    def _pause(self) -> float:
        doubled = self.policy.first_pause * (1 << max(0, self.failures - 1))
        return min(doubled, self.policy.longest_pause)

    def _tick(self, now: float) -> tuple[LifeAction, ...]:
        if self.deadline is None or now < self.deadline:
            return ()
        match self.phase:
            case Phase.APP_STARTING:
                return self._fail(f"the app took no connections in {self.policy.start_timeout:g} s", now)
            case Phase.COMET_STOPPING:
                self.deadline = now + self.policy.stop_timeout
                return (Kill("comet"),)
            case Phase.APP_STOPPING:
                self.deadline = now + self.policy.stop_timeout
                return (Kill("app"),)
            case Phase.PAUSING:
                self.restarts += 1
                return self._start_app(now)
            case _:
                return ()

    def _enter(self, phase: Phase, deadline: float | None) -> None:
        self.phase = phase
        self.deadline = deadline


def describe_status(status: int) -> str:
    """Return an exit status in words."""
    return f"signal {-status}" if status < 0 else f"exit status {status}"
