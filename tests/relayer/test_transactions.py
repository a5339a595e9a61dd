"""A transaction whose answer is lost is neither forgotten nor paid for twice."""

from __future__ import annotations

from abci_app.errors import EndpointUnreachable, TxReplayed
from relayer import actions, events
from relayer.policy import failure_of
from relayer.types import TxHash, TxState
from tests.support.relayer_world import SHARD, World


def run_to_broadcast(world: World) -> actions.BroadcastTx:
    """Let everything happen until a packet from the hub is to be sent, and return that action."""
    world.settle()
    world.send_from_hub()
    while True:
        sending = [e for e in world.effects if isinstance(e, actions.BroadcastTx)]
        if sending:
            world.effects.remove(sending[0])
            return sending[0]
        if world.inbox:
            world.hear_next()
        elif world.effects:
            world.do_next()
        else:
            world.make_blocks()


def broadcasts(world: World) -> list[TxHash]:
    """Return what was handed to chains from now on."""
    found: list[TxHash] = []
    perform = world.perform

    def watch(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.BroadcastTx):
            found.append(action.tx_hash)
        return perform(action)

    world.perform = watch  # type: ignore[method-assign]
    return found


def test_an_answer_that_is_lost_after_arrival_costs_nothing() -> None:
    world = World()
    sending = run_to_broadcast(world)
    world.perform(sending)
    world.inbox.append(events.TxUnsent(sending.tx_hash, failure_of(EndpointUnreachable("cut"))))
    world.run_until_idle(60)
    assert len(world.shard.received) == 1
    assert world.shard.noops == 0
    assert list(world.shard.outcomes) == [sending.tx_hash]


def test_a_transaction_that_never_arrived_is_sent_again_with_the_same_bytes() -> None:
    world = World()
    sending = run_to_broadcast(world)
    found = broadcasts(world)
    world.inbox.append(events.TxUnsent(sending.tx_hash, failure_of(EndpointUnreachable("cut"))))
    world.run_until_idle(60)
    assert found[0] == sending.tx_hash
    assert len(world.shard.received) == 1


def test_a_mempool_that_is_forgotten_gets_the_same_bytes_again() -> None:
    world = World()
    sending = run_to_broadcast(world)
    world.inbox.append(world.perform(sending))
    world.shard.mempool.clear()
    found = broadcasts(world)
    world.run_until_idle(60)
    assert found[0] == sending.tx_hash
    assert len(world.shard.received) == 1


def test_a_replay_means_that_the_first_copy_is_on_its_way() -> None:
    world = World()
    sending = run_to_broadcast(world)
    world.perform(sending)
    world.hear(events.TxRefused(sending.tx_hash, failure_of(TxReplayed("pending"))))
    assert sending.tx_hash in world.machine.state.txs
    world.run_until_idle(60)
    assert list(world.shard.outcomes) == [sending.tx_hash]


def test_the_blocks_tell_what_nodes_that_were_restarted_have_forgotten() -> None:
    world = World()
    sending = run_to_broadcast(world)
    world.inbox.append(world.perform(sending))
    world.shard.forgotten.add(sending.tx_hash)
    world.run(60)
    assert not world.machine.state.txs
    assert not world.machine.state.lanes[SHARD].batches
    assert world.journal.txs[sending.tx_hash].state is TxState.INCLUDED  # type: ignore[attr-defined]
    assert len(world.shard.received) == 1


def test_another_transaction_is_made_only_when_the_first_has_expired() -> None:
    world = World()
    sending = run_to_broadcast(world)
    contents = set(world.contents)
    chain_perform = world.perform

    def never_arrives(action: actions.EffectAction) -> events.RelayEvent:
        if isinstance(action, actions.BroadcastTx) and action.tx_hash == sending.tx_hash:
            return events.TxUnsent(action.tx_hash, failure_of(EndpointUnreachable("cut")))
        return chain_perform(action)

    world.perform = never_arrives  # type: ignore[method-assign]
    world.inbox.append(events.TxUnsent(sending.tx_hash, failure_of(EndpointUnreachable("cut"))))
    world.run(110)
    assert set(world.contents) == contents
    world.run_until_idle(60)
    assert world.journal.txs[sending.tx_hash].state is TxState.EXPIRED  # type: ignore[attr-defined]
    assert len(world.shard.received) == 1


def test_nothing_is_sent_again_after_its_expiry() -> None:
    world = World()
    sending = run_to_broadcast(world)
    found = broadcasts(world)
    world.now_ns += 500 * 10**9
    world.make_blocks()
    world.settle()
    assert sending.tx_hash not in found


def test_a_transaction_without_any_effect_counts_as_relayed_before() -> None:
    world = World()
    sending = run_to_broadcast(world)
    rival = World(hub=world.hub, shard=world.shard)
    world.perform(sending)
    rival.nonce = 1_000
    rival.run(1)
    world.now_ns = rival.now_ns
    for chain in world.chains:
        world.read_blocks(chain)
    world.inbox.append(events.TxAccepted(sending.tx_hash))
    world.run_until_idle(60)
    assert len(world.shard.received) == 1


def test_an_executed_transaction_frees_its_place_in_the_lane() -> None:
    world = World()
    world.send_from_hub()
    world.run_until_idle(60)
    assert not world.machine.state.lanes[SHARD].batches
    assert not world.machine.state.txs
    assert not world.machine.state.batches


def test_a_node_that_never_takes_a_transaction_is_believed() -> None:
    from abci_app.errors import TxTooLarge

    world = World()
    sending = run_to_broadcast(world)
    world.hear(events.TxUnsent(sending.tx_hash, failure_of(TxTooLarge("4 MiB"))))
    assert sending.tx_hash not in world.machine.state.txs
