"""Clients are kept alive while nothing is relayed, and no more often than the chains allow."""

from __future__ import annotations

from ibc.relay_rules import REFRESH_ADVANCE_DIVISOR, REFRESH_AGE_DIVISOR
from relayer import actions, events
from relayer.types import NS_PER_SECOND
from tests.support.relayer_chain import TRUSTING_PERIOD_NS
from tests.support.relayer_world import SHARD, World

THIRD_S = TRUSTING_PERIOD_NS // REFRESH_AGE_DIVISOR // NS_PER_SECOND


def sleep(world: World, seconds: int) -> None:
    """Let time pass without anything happening, and then a few blocks."""
    world.now_ns += seconds * NS_PER_SECOND
    world.run(3)


def test_an_idle_client_is_refreshed_after_a_third_of_its_life() -> None:
    world = World()
    world.run(5)
    assert world.shard.refreshes == 0
    sleep(world, THIRD_S)
    assert world.shard.refreshes == world.hub.refreshes == 1


def test_a_refresh_is_not_repeated_before_it_is_due_again() -> None:
    world = World()
    world.run(2)
    sleep(world, THIRD_S)
    world.run(60)
    assert world.shard.refreshes == 1
    sleep(world, THIRD_S)
    assert world.shard.refreshes == 2


def test_packets_refresh_a_client_by_the_way() -> None:
    world = World()
    for _ in range(6):
        sleep(world, THIRD_S // 2)
        world.send_from_hub()
        world.send_from_shard()
        world.run(6)
    assert world.shard.refreshes == world.hub.refreshes == 0


def test_a_refresh_waits_for_a_header_that_brings_the_client_forward() -> None:
    world = World()
    world.settle()
    world.now_ns += THIRD_S * NS_PER_SECOND
    # Time has passed, but the chains have made no block since.
    world.inbox.append(events.Tick())
    world.settle()
    assert not world.hub.mempool
    assert not world.shard.mempool
    assert THIRD_S * NS_PER_SECOND >= TRUSTING_PERIOD_NS // REFRESH_ADVANCE_DIVISOR


def test_a_refresh_waits_until_it_is_due_by_the_time_of_the_chain_that_takes_it() -> None:
    world = World()
    world.run(2)
    world.now_ns += (THIRD_S + 1) * NS_PER_SECOND
    # The hub has a header that would do, but to the shard, which has made no block since, no time has passed.
    world.hub.make_block(world.now_ns)
    world.read_blocks(world.hub)
    world.inbox.append(events.Tick())
    world.settle()
    assert not world.shard.mempool
    world.shard.make_block(world.now_ns)
    world.read_blocks(world.shard)
    world.settle()
    assert len(world.shard.mempool) == 1


def test_the_machine_asks_to_be_woken_for_a_refresh() -> None:
    world = World()
    world.settle()
    due = world.shard.view(SHARD.client).time_ns + TRUSTING_PERIOD_NS // 3
    wakes = world.machine.state.timers
    assert any(wake == due for wake in wakes)


def test_a_refresh_that_fails_is_tried_again_later() -> None:
    world = World()
    world.run(2)
    perform = world.perform
    failures = 3

    def fail(action: actions.EffectAction) -> events.RelayEvent:
        nonlocal failures
        if isinstance(action, actions.ProveBatch) and failures and action.lane == SHARD:
            failures -= 1
            from abci_app.errors import EndpointUnreachable
            from relayer.policy import failure_of

            return events.BatchFailed(action.batch, failure_of(EndpointUnreachable("down")))
        return perform(action)

    world.perform = fail  # type: ignore[method-assign]
    sleep(world, THIRD_S)
    world.run(20)
    assert failures == 0
    assert world.shard.refreshes == 1


def test_timers_do_not_pile_up() -> None:
    world = World()
    for _ in range(100):
        world.send_from_hub()
        world.send_from_shard()
        world.run(2)
    world.run(120)
    assert len(world.machine.state.timers) < 30
