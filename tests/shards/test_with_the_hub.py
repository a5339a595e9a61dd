"""Rounds of the real hub app on real shard apps: what one sends, the other takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shards.checkpoints.query import list_body_parts
from shards.rounds.state import require_progress
from shards.rounds.types import RoundId, RoundStatus
from tests.support.federation import ShardRound, make_checkpoint, make_statement, make_update
from tests.support.hub import RELAYER as CARRIER
from tests.support.hub import HubChain, body_message, make_spec
from tests.support.shard_rounds import bundle
from tests.support.shards import ShardChain, sent_checkpoints
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import packet_pb2, task_pb2
from wire.gradchain.hub.v1 import query_pb2, tx_pb2

if TYPE_CHECKING:
    from wire.gradchain.fl.v1 import update_pb2

SHARDS = ("shard-1", "shard-2")


@dataclass(slots=True)
class World:
    """A hub with two shards; packets travel when the test says so."""

    hub: HubChain = field(default_factory=lambda: HubChain().start())
    shards: dict[str, ShardChain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.hub.add_shards(*SHARDS)
        for name in SHARDS:
            self.shards[name] = ShardChain(chain_id=name).start()

    def start_task(self, rule: task_pb2.Rule | None = None, participants: int = 5) -> int:
        """Create a task whose first round opens; its shards learn of it."""
        spec = make_spec(60, rule, min_participants=participants, rounds=2)
        task = self.hub.create_task(spec)
        self.hub.register(task, *range(participants))
        self.bring_packets()
        return task

    def bring_packets(self) -> None:
        """Bring what the hub's last block sent to the shards, and let each make a block."""
        by_client = {client: name for name, client in self.hub.clients.items()}
        for packet, content in self.hub.sent():
            self.shards[by_client[packet.source_client]].inbox.append(content)
        for chain in self.shards.values():
            chain.time_ns = max(chain.time_ns, self.hub.time_ns)
            chain.block()

    def submit(self, part: ShardRound, *updates: update_pb2.Update) -> packet_pb2.Checkpoint:
        """Send updates to their shard, and return the header of the checkpoint that follows."""
        outcome = self.shards[part.shard].block(bundle(*updates))
        ((_, header),) = sent_checkpoints(outcome)
        return header

    def carry(self, part: ShardRound, header: packet_pb2.Checkpoint) -> None:
        """Bring a checkpoint and its body to the hub."""
        packet = packet_pb2.ShardPacket(checkpoint=header)
        assert self.hub.deliver(part.shard, packet) == b"\x01"
        self.bring_packets()
        if header.updates:
            info = part.info
            round_id = RoundId(info.task, info.round, info.attempt)
            page = list_body_parts(self.shards[part.shard].state, round_id, 0, 0)
            parts = [
                tx_pb2.DataPart(index=entry.index, data=entry.data, path=entry.path) for entry in page.parts
            ]
            self.hub.must_send(CARRIER, body_message(part, parts))
            self.bring_packets()


def all_updates(part: ShardRound) -> list[update_pb2.Update]:
    return [make_update(part, index).to_wire() for index in range(len(part.keys))]


def test_a_shard_makes_the_checkpoint_that_the_hub_expects() -> None:
    world = World()
    task = world.start_task()
    for part in world.hub.parts(task):
        header = world.submit(part, *all_updates(part))
        assert header == make_checkpoint(part).header


def test_rounds_run_from_opening_to_settlement() -> None:
    world = World()
    task = world.start_task()
    hub = world.hub
    first = hub.newest(task)
    for part in hub.parts(task):
        world.carry(part, world.submit(part, *all_updates(part)))
    assert [entry.status for entry in hub.round(first).shards] == [query_pb2.SHARD_ROUND_STATUS_COMPLETE] * 2
    for _ in range(10):
        hub.block(after_s=10)
        world.bring_packets()
    assert sum(entry.updates for entry in hub.round(first).result.shards) == 5
    assert hub.newest(task).round == 2
    for name in SHARDS:
        round_id = RoundId(first.task, first.round, first.attempt)
        assert require_progress(world.shards[name].state, round_id).status is RoundStatus.PRUNED
        assert world.shards[name].acks.count(b"\x01") == len(world.shards[name].acks)


def test_the_hub_takes_bodies_weighed_by_norm_clipping() -> None:
    world = World()
    task = world.start_task(task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0)))
    for part in world.hub.parts(task):
        world.carry(part, world.submit(part, *all_updates(part)))
    statuses = [entry.status for entry in world.hub.round(world.hub.newest(task)).shards]
    assert query_pb2.SHARD_ROUND_STATUS_REJECTED not in statuses


def test_the_hub_takes_a_checkpoint_without_updates() -> None:
    world = World()
    task = world.start_task()
    part = world.hub.parts(task)[0]
    outcome = world.shards[part.shard].block(after_s=90)
    ((_, header),) = sent_checkpoints(outcome)
    assert header.updates == 0
    world.carry(part, header)
    entry = world.hub.round(world.hub.newest(task)).shards[0]
    assert entry.status == query_pb2.SHARD_ROUND_STATUS_COMPLETE


def test_the_hub_takes_a_checkpoint_without_the_liars() -> None:
    world = World()
    task = world.start_task()
    part = max(world.hub.parts(task), key=lambda part: len(part.keys))
    updates = all_updates(part)
    lie = make_statement(part, part.keys[0], make_update(part, 0).q)
    lie.large += 1
    updates[0].signed.CopyFrom(sign_statement(lie, part.keys[0]))
    header = world.submit(part, *updates)
    assert header.updates == len(part.keys) - 1
    world.carry(part, header)
    entry = next(
        entry for entry in world.hub.round(world.hub.newest(task)).shards if entry.shard == part.shard
    )
    assert entry.status == query_pb2.SHARD_ROUND_STATUS_COMPLETE
