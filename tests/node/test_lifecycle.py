"""The life of a node's processes, with an operating system and a clock that the test plays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app.lifecycle import (
    AppReady,
    Exited,
    Kill,
    LifeAction,
    LifeEvent,
    LifePolicy,
    NodeMachine,
    Phase,
    Spawn,
    StartRequested,
    StopRequested,
    Terminate,
    Ticked,
    describe_status,
)

if TYPE_CHECKING:
    from abci_app.nodehome import ProcessKind
from abci_app.supervisor import PROCESS_KINDS

POLICY = LifePolicy(
    start_timeout=60, stop_timeout=10, stable_after=15, first_pause=1, longest_pause=4, max_failures=3
)


@dataclass
class World:
    """Carries out actions, and remembers them with the processes that live."""

    machine: NodeMachine = field(default_factory=lambda: NodeMachine(POLICY))
    now: float = 100.0
    alive: set[str] = field(default_factory=set)
    actions: list[LifeAction] = field(default_factory=list)

    def send(self, event: LifeEvent) -> list[LifeAction]:
        fresh = list(self.machine.handle(event, self.now))
        for action in fresh:
            if isinstance(action, Spawn):
                assert action.process not in self.alive, "two processes of a kind"
                assert action.process == "app" or "app" in self.alive, "CometBFT without an app"
                self.alive.add(action.process)
            else:
                assert action.process in self.alive, "a signal to a dead process"
                if isinstance(action, Terminate) and action.process == "app":
                    assert "comet" not in self.alive, "the app is stopped before CometBFT"
        self.actions += fresh
        return fresh

    def end(self, process: ProcessKind, status: int = 0) -> list[LifeAction]:
        self.alive.discard(process)
        return self.send(Exited(process, status))

    def wait(self, seconds: float) -> list[LifeAction]:
        self.now += seconds
        return self.send(Ticked())


def running_world() -> World:
    world = World()
    world.send(StartRequested())
    world.send(AppReady())
    return world


def test_the_app_starts_first_and_cometbft_when_the_app_is_ready() -> None:
    world = World()
    assert world.send(StartRequested()) == [Spawn("app")]
    assert world.wait(1) == []
    assert world.send(AppReady()) == [Spawn("comet")]
    assert world.machine.phase is Phase.RUNNING


def test_a_stop_ends_cometbft_and_then_the_app() -> None:
    world = running_world()
    assert world.send(StopRequested()) == [Terminate("comet")]
    assert world.end("comet") == [Terminate("app")]
    assert world.end("app") == []
    assert world.machine.phase is Phase.IDLE
    assert world.wait(1_000) == []


def test_a_process_that_does_not_end_is_killed() -> None:
    world = running_world()
    world.send(StopRequested())
    assert world.wait(9) == []
    assert world.wait(1) == [Kill("comet")]
    assert world.wait(10) == [Kill("comet")]
    world.end("comet", -9)
    assert world.wait(10) == [Kill("app")]


@pytest.mark.parametrize(("dead", "other"), [("app", "comet"), ("comet", "app")])
def test_the_death_of_one_restarts_both_with_the_app_first(dead: ProcessKind, other: ProcessKind) -> None:
    world = running_world()
    assert world.end(dead, -9) == [Terminate(other)]
    world.end(other)
    assert world.machine.phase is Phase.PAUSING
    assert world.wait(1) == [Spawn("app")]
    assert world.send(AppReady()) == [Spawn("comet")]
    assert world.machine.restarts == 1
    assert "signal 9" in world.machine.reason


def test_an_app_that_never_gets_ready_is_a_failure() -> None:
    world = World()
    world.send(StartRequested())
    assert world.wait(60) == [Terminate("app")]
    world.end("app")
    assert world.machine.failures == 1
    assert "took no connections" in world.machine.reason


def test_pauses_grow_to_a_bound_and_the_node_is_given_up() -> None:
    world = World()
    world.send(StartRequested())
    pauses = []
    while world.machine.phase is not Phase.GIVEN_UP:
        world.end("app", 1)
        if world.machine.deadline is not None:
            pauses.append(world.machine.deadline - world.now)
            world.wait(pauses[-1])
    assert pauses == [1, 2, 4]
    assert world.wait(1_000) == []
    assert world.send(StartRequested()) == [Spawn("app")]
    assert world.machine.failures == 0


def test_a_long_life_forgives_earlier_failures() -> None:
    world = running_world()
    for _ in range(10):
        world.end("comet", 1)
        world.end("app")
        world.wait(1)
        world.send(AppReady())
        world.wait(15)
    assert world.machine.phase is Phase.RUNNING
    assert world.machine.restarts == 10


def test_a_stop_during_the_pause_stays_stopped() -> None:
    world = running_world()
    world.end("app", -9)
    world.end("comet")
    assert world.send(StopRequested()) == []
    assert world.machine.phase is Phase.IDLE
    assert world.wait(100) == []


def test_a_start_during_the_stop_starts_again_afterwards() -> None:
    world = running_world()
    world.send(StopRequested())
    assert world.send(StartRequested()) == []
    world.end("comet")
    world.end("app")
    assert world.wait(1) == [Spawn("app")]


def test_late_readiness_of_an_app_that_is_being_stopped_changes_nothing() -> None:
    world = World()
    world.send(StartRequested())
    world.send(StopRequested())
    assert world.send(AppReady()) == []


def test_exit_statuses_are_described_in_words() -> None:
    assert describe_status(-9) == "signal 9"
    assert describe_status(3) == "exit status 3"


steps = st.lists(
    st.sampled_from(["start", "stop", "ready", "app dies", "comet dies", "tick", "long tick"]), max_size=60
)


def play(world: World, step: str) -> None:
    if step == "start":
        world.send(StartRequested())
    elif step == "stop":
        world.send(StopRequested())
    elif step == "ready" and "app" in world.alive:
        world.send(AppReady())
    elif step == "app dies" and "app" in world.alive:
        world.end("app", -9)
    elif step == "comet dies" and "comet" in world.alive:
        world.end("comet", -9)
    else:
        world.wait(20 if step == "long tick" else 0.5)


@given(steps)
def test_whatever_happens_processes_are_paired_and_known(story: list[str]) -> None:
    # `World.send` asserts the order of starts and stops.
    world = World()
    for step in story:
        play(world, step)
        assert world.machine.alive == world.alive
        assert world.machine.failures <= POLICY.max_failures + 1


@given(steps)
def test_after_a_stop_everything_ends(story: list[str]) -> None:
    world = World()
    for step in story:
        play(world, step)
    world.send(StopRequested())
    for _ in range(4):
        for process in PROCESS_KINDS:
            if Terminate(process) in world.actions and process in world.alive:
                world.end(process)
    assert world.alive == set()
    assert world.machine.phase is Phase.IDLE


@given(steps)
def test_a_wanted_node_runs_again_once_nothing_fails(story: list[str]) -> None:
    world = World()
    for step in story:
        play(world, step)
    world.send(StartRequested())
    for _ in range(20):
        if world.machine.phase in {Phase.COMET_STOPPING, Phase.APP_STOPPING}:
            world.end("comet" if "comet" in world.alive else "app")
        elif world.machine.phase is Phase.APP_STARTING:
            world.send(AppReady())
        elif world.machine.phase is Phase.GIVEN_UP:
            world.send(StartRequested())
        else:
            world.wait(5)
    assert world.machine.phase is Phase.RUNNING
    assert world.alive == {"app", "comet"}
