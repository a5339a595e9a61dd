"""Random histories of a hub: whatever happens in whatever order, no token is lost and no block fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from abci_app.state import BULK, PROVABLE
from aggregation.model import model_root
from hub.models.state import read_model
from hub.registry.state import get_shard, list_shards
from hub.rounds.keys import AGGREGATE_PREFIX, PART_PREFIX, TAIL_PREFIX, TALLY_PREFIX
from hub.rounds.state import get_info, get_round, get_shard_round
from hub.rounds.types import RoundStatus, ShardStatus
from hub.settlement.keys import CARRIED_PREFIX, DUE_PREFIX, PENDING_PREFIX
from hub.settlement.payout import RELAY_PART, share_of_round
from hub.settlement.relays import get_relay_total
from hub.settlement.state import get_paid
from hub.tasks.state import count_tasks, get_spec, require_task
from hub.tasks.types import TaskStatus
from ibc.packet import ERROR_ACK
from tests.support.federation import (
    Checkpointed,
    ShardRound,
    draw_update,
    make_checkpoint,
    make_parts,
    make_updates,
    seal,
)
from tests.support.hub import (
    AUTHORITY,
    CREATOR,
    RELAYER,
    HubChain,
    body_message,
    make_model,
    make_spec,
    participant_key,
)
from tests.support.txs import SECOND_NS, build_key
from tx.paths import model_root_key
from wire.gradchain.fl.v1 import task_pb2
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from random import Random

SHARDS = ("shard-1", "shard-2", "shard-3")
PARAMETERS = 12
ENDED = {TaskStatus.COMPLETE, TaskStatus.FAILED, TaskStatus.CANCELLED}
WITHOUT_MODEL = {TaskStatus.UPLOADING, TaskStatus.CANCELLED}
RELAYERS = (RELAYER, build_key(905))
RULES = {
    "mean": task_pb2.Rule(mean=task_pb2.RuleMean()),
    "median": task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=0)),
    "clip": task_pb2.Rule(norm_clip=task_pb2.RuleNormClip(tau=50)),
}


class HubMachine(RuleBasedStateMachine):
    """A hub with a few tasks and shards of all characters."""

    @initialize(
        window_s=st.sampled_from([0, 0, 70]),
        limit=st.integers(1, 3),
        tasks=st.integers(1, 16),
        fee=st.sampled_from([0, 1, 3, 2**63 - 1]),
    )
    def start(self, window_s: int, limit: int, tasks: int, fee: int) -> None:
        self.chain = HubChain().start(
            challenge_window_ns=window_s * SECOND_NS,
            missing_limit=limit,
            tasks_per_block=tasks,
            keep_models=2,
            relay_fee=fee,
        )
        self.fee = fee
        self.chain.add_shards(*SHARDS[:2])
        self.pending: list[tuple[ShardRound, Checkpointed]] = []
        """What was not brought, or not whole."""

    def open_parts(self) -> list[ShardRound]:
        """Return all shards' parts of all rounds that are open."""
        numbers = range(1, count_tasks(self.chain.state) + 1)
        open_tasks = [number for number in numbers if require_task(self.chain.state, number).is_open]
        return [part for number in open_tasks for part in self.chain.parts(number)]

    @precondition(lambda self: count_tasks(self.chain.state) < 3)
    @rule(
        kind=st.sampled_from(sorted(RULES)),
        rounds=st.integers(1, 3),
        min_shards=st.integers(1, 2),
        staleness=st.integers(0, 2),
        attempts=st.integers(1, 3),
        sampled=st.sampled_from([0, 2, 3]),
        budget=st.integers(10, 1_000),
    )
    def create_task(
        self,
        kind: str,
        rounds: int,
        min_shards: int,
        staleness: int,
        attempts: int,
        sampled: int,
        budget: int,
    ) -> None:
        spec = make_spec(
            PARAMETERS,
            RULES[kind],
            rounds=rounds,
            min_shards=min_shards,
            max_staleness=staleness,
            max_attempts=attempts,
            participants_per_round=sampled,
            budget=budget,
        )
        task = self.chain.create_task(spec, make_model(PARAMETERS))
        self.chain.register(task, 0, 1)

    @precondition(lambda self: count_tasks(self.chain.state) < 3)
    @rule(seed=st.integers(0, 1), chunks=st.integers(0, 1))
    def create_task_without_its_whole_model(self, seed: int, chunks: int) -> None:
        """Create a task of two chunks, of which at most one is uploaded."""
        parts = make_parts(make_model(20_000, seed))
        root = model_root(make_model(20_000, seed))
        message = tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=make_spec(20_000), model_root=root)
        self.chain.send(CREATOR, message)
        upload = tx_pb2.MsgUploadModel(
            creator=CREATOR.public_key, task=count_tasks(self.chain.state), parts=parts[:chunks]
        )
        self.chain.send(CREATOR, upload)

    @rule(task=st.integers(1, 3))
    def cancel(self, task: int) -> None:
        self.chain.send(CREATOR, tx_pb2.MsgCancelTask(creator=CREATOR.public_key, task=task))

    @precondition(lambda self: len(list_shards(self.chain.state)) < len(SHARDS))
    @rule(trusting_s=st.sampled_from([400, 100_000]))
    def add_shard(self, trusting_s: int) -> None:
        self.chain.add_shards(SHARDS[len(list_shards(self.chain.state))], trusting_s=trusting_s)

    @rule(number=st.integers(0, 6), task=st.integers(1, 3))
    def register(self, number: int, task: int) -> None:
        key = participant_key(number)
        message = tx_pb2.MsgRegisterParticipant(participant=key.public_key, task=task)
        self.chain.send(key, message)

    @rule(amount=st.integers(0, 2_000_000), number=st.integers(0, 6))
    def transfer(self, amount: int, number: int) -> None:
        message = tx_pb2.MsgTransfer(to=participant_key(number).public_key, amount=amount)
        setattr(message, "from", CREATOR.public_key)
        self.chain.send(CREATOR, message)

    @precondition(lambda self: self.open_parts())
    @rule(
        pick=st.randoms(use_true_random=False),
        kind=st.sampled_from(["true", "true", "true", "some", "none", "lie"]),
        is_whole=st.booleans(),
    )
    def deliver(self, pick: Random, kind: str, *, is_whole: bool) -> None:
        """Bring the checkpoint of a shard, with its body or without it."""
        part = pick.choice(self.open_parts())
        relayer = pick.choice(RELAYERS)
        made = self.make(part, kind)
        self.chain.deliver(part.shard, made.packet(), relayer)
        if is_whole and made.parts:
            self.chain.send(relayer, body_message(part, made.parts, relayer))
        else:
            self.pending.append((part, made))

    @precondition(lambda self: self.open_parts())
    @rule(is_all=st.booleans())
    def deliver_round(self, *, is_all: bool) -> None:
        """Bring everything that the open rounds wait for, but perhaps for one shard."""
        parts = self.open_parts()
        for part in parts if is_all else parts[1:]:
            made = self.make(part, "true")
            self.chain.deliver(part.shard, made.packet())
            self.chain.send(RELAYER, body_message(part, made.parts))
        if not is_all:
            self.pending.append((parts[0], self.make(parts[0], "true")))

    @precondition(lambda self: self.pending)
    @rule(pick=st.randoms(use_true_random=False), is_again=st.booleans())
    def deliver_later(self, pick: Random, *, is_again: bool) -> None:
        """Bring what was left undone, late or not."""
        index = pick.randrange(len(self.pending))
        part, made = self.pending[index] if is_again else self.pending.pop(index)
        relayer = pick.choice(RELAYERS)
        self.chain.deliver(part.shard, made.packet(), relayer)
        if made.parts:
            self.chain.send(relayer, body_message(part, made.parts, relayer))

    def make(self, part: ShardRound, kind: str) -> Checkpointed:
        """Return a checkpoint of a shard: of all updates, of some, of none, or a lie."""
        updates = make_updates(part, {key.public_key: draw_update(key, PARAMETERS) for key in part.keys})
        kept = {"none": 0, "some": max(1, len(updates) - 1)}.get(kind, len(updates))
        made = make_checkpoint(part, updates[:kept])
        if kind == "lie":
            made.body.aggregate = bytes(3 * PARAMETERS)
            made = seal(part, made.body)
        return made

    @rule(answer=st.sampled_from([None, b"\x01", b"error"]))
    def answer_packets(self, answer: bytes | None) -> None:
        """Let the first packet of the last block time out, or be taken, or be refused."""
        for packet, _ in self.chain.sent()[:1]:
            self.chain.answer(packet, ERROR_ACK if answer == b"error" else answer)
        self.chain.block()

    @rule(seconds=st.sampled_from([1, 30, 101, 101, 300]))
    def let_time_pass(self, seconds: int) -> None:
        self.chain.block(after_s=seconds)

    @precondition(lambda self: not all(shard.is_active for shard in list_shards(self.chain.state)))
    @rule(index=st.integers(0, 2))
    def admit_again(self, index: int) -> None:
        shard = get_shard(self.chain.state, SHARDS[index])
        if shard is not None:
            message = tx_pb2.MsgRegisterShard(
                authority=AUTHORITY.public_key, chain_id=shard.chain_id, client_id=shard.client_id
            )
            self.chain.send(AUTHORITY, message)

    # --- what must always hold; the supply is checked by every block ------------------------------------------------

    @invariant()
    def tasks_are_sound(self) -> None:
        if not hasattr(self, "chain"):
            return
        state = self.chain.state
        for number in range(1, count_tasks(state) + 1):
            task = require_task(state, number)
            assert 0 <= task.reserved <= task.escrow
            if task.status not in WITHOUT_MODEL:
                encoded = read_model(state, task.model)
                assert model_root(encoded) == task.model.root == state.get(PROVABLE, model_root_key(number))
            if task.status in ENDED:
                assert not task.is_open
                assert task.reserved == task.escrow
            if task.round:
                self._check_round(number)

    @invariant()
    def relayers_are_paid_once_and_no_more_than_a_round_has(self) -> None:
        if not hasattr(self, "chain"):
            return
        state = self.chain.state
        packets = amount = 0
        for number in range(1, count_tasks(state) + 1):
            spec = get_spec(state, number)
            for round_number in range(1, require_task(state, number).rounds_done + 1):
                settled = get_paid(state, number, round_number)
                if settled is not None:
                    share = share_of_round(spec.budget, spec.rounds, round_number)
                    assert settled.paid + settled.relay_paid <= share
                    assert settled.relay_paid <= share // RELAY_PART
                    packets += sum(payment.packets for payment in settled.relay_payments)
                    amount += settled.relay_paid
        totals = [get_relay_total(state, relayer.public_key) for relayer in RELAYERS]
        assert (packets, amount) == (sum(t.packets for t in totals), sum(t.amount for t in totals))
        assert amount <= self.fee * packets

    def _check_round(self, number: int) -> None:
        state = self.chain.state
        task, round_id = require_task(state, number), self.chain.newest(number)
        record = get_round(state, round_id)
        assert record is not None
        assert (record.status is RoundStatus.OPEN) == task.is_open
        assert task.next_round in {task.round, task.round + 1}
        for entry in get_info(state, round_id).shards:
            shard_round = get_shard_round(state, round_id, entry.shard)
            assert shard_round is not None
            assert shard_round.assigned == entry.assigned >= 1
            if record.status is RoundStatus.VOID:
                assert shard_round.status not in {ShardStatus.WAITING, ShardStatus.LATE}

    def teardown(self) -> None:
        """Let all time pass that matters: what can end, ends, and leaves nothing behind."""
        if not hasattr(self, "chain"):
            return
        for _ in range(12):
            self.chain.block(after_s=150)
        state = self.chain.state
        for number in range(1, count_tasks(state) + 1):
            self.cancel(number)
        numbers = range(1, count_tasks(state) + 1)
        if all(require_task(state, number).status in ENDED for number in numbers):
            for prefix in (
                PART_PREFIX,
                TALLY_PREFIX,
                AGGREGATE_PREFIX,
                TAIL_PREFIX,
                DUE_PREFIX,
                PENDING_PREFIX,
                CARRIED_PREFIX,
            ):
                assert list(state.scan(BULK, prefix)) == []
            assert sum(require_task(state, number).escrow for number in numbers) == 0
        before = dict(state.stores[BULK])
        self.chain.block(after_s=1)
        assert {key for key in state.stores[BULK] if before.get(key) != state.stores[BULK][key]} == set()


TestHub = HubMachine.TestCase
TestHub.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
