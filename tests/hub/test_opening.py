"""When a round opens, and what it says."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from abci_app.state import BULK, PROVABLE
from aggregation.assignment import assignment_root, verify_assignment
from hub.errors import InvalidField, NotAssigned, RoundNotFound
from hub.rounds.query import read_assignment
from hub.rounds.state import get_assigned, get_info_bytes
from hub.schedule import QUEUE_PREFIX, TIMER_PREFIX, WAITING_PREFIX
from hub.tasks.state import get_spec, require_task
from hub.tasks.types import TaskStatus
from tests.support.federation import make_statement
from tests.support.hub import AUTHORITY, HubChain, make_spec, participant_key, start_training
from tests.support.txs import SECOND_NS
from tx.paths import round_info_key
from wire.gradchain.fl.v1 import task_pb2
from wire.gradchain.hub.v1 import query_pb2, tx_pb2


def test_a_round_opens_when_the_last_needed_participant_registers() -> None:
    chain = HubChain().start()
    chain.add_shards("shard-1")
    task = chain.create_task(make_spec(min_participants=3))
    chain.register(task, 0, 1)
    assert require_task(chain.state, task).status is TaskStatus.REGISTERING
    chain.register(task, 2)
    record = require_task(chain.state, task)
    assert (record.status, record.round, record.attempt) == (TaskStatus.TRAINING, 1, 0)


def test_a_round_opens_when_the_last_needed_shard_is_registered() -> None:
    chain = HubChain().start()
    task = chain.create_task(make_spec(min_shards=2))
    chain.register(task, 0, 1)
    chain.add_shards("shard-1")
    assert require_task(chain.state, task).status is TaskStatus.REGISTERING
    chain.add_shards("shard-2")
    assert require_task(chain.state, task).status is TaskStatus.TRAINING


def test_a_task_that_waits_for_shards_costs_blocks_nothing() -> None:
    chain = HubChain().start()
    task = chain.create_task(make_spec())
    chain.register(task, 0, 1)
    for prefix, count in ((WAITING_PREFIX, 1), (QUEUE_PREFIX, 0), (TIMER_PREFIX, 0)):
        assert len(list(chain.state.scan(BULK, prefix))) == count
    writes = chain.block(after_s=10_000).state.writes
    assert writes[PROVABLE] == {}
    assert all(key.startswith(b"tx/") for key in writes[BULK])


def test_the_opening_record_says_what_the_round_is_about() -> None:
    chain, task = start_training(3, 8)
    info = chain.round(chain.newest(task)).info
    record = require_task(chain.state, task)
    assert (info.task, info.round, info.attempt, info.scale) == (task, 1, 0, 10)
    assert (info.spec_digest, info.base_root) == (record.spec_digest, record.model.root)
    assert info.opened_at_ns == chain.time_ns
    assert info.close_time_ns == chain.time_ns + 80 * SECOND_NS
    assert info.deadline_ns == chain.time_ns + 100 * SECOND_NS
    assert [(entry.shard, entry.assigned) for entry in info.shards] == [
        ("shard-1", 3),
        ("shard-2", 3),
        ("shard-3", 2),
    ]
    assert info.unit_weight == 65_535 // 3


def test_the_digest_of_the_opening_record_can_be_proven() -> None:
    chain, task = start_training()
    digest = sha256(get_info_bytes(chain.state, chain.newest(task))).digest()
    assert chain.state.get(PROVABLE, round_info_key(task, 1, 0)) == digest


def test_every_registered_participant_is_assigned_once() -> None:
    chain, task = start_training(3, 8)
    assigned = [key for part in chain.parts(task) for key in part.participants]
    assert sorted(assigned) == sorted(participant_key(number).public_key for number in range(8))


def test_a_shard_that_would_get_nobody_is_left_out() -> None:
    chain, task = start_training(3, 2)
    info = chain.round(chain.newest(task)).info
    assert [(entry.shard, entry.assigned) for entry in info.shards] == [("shard-1", 1), ("shard-2", 1)]
    assert len(chain.sent()) == 2


def test_only_so_many_participants_are_sampled() -> None:
    chain, task = start_training(2, 8, participants_per_round=3)
    assert [len(part.participants) for part in chain.parts(task)] == [2, 1]
    first = {key for part in chain.parts(task) for key in part.participants}
    chain.run_round(task)
    second = {key for part in chain.parts(task) for key in part.participants}
    assert len(first) == len(second) == 3


def test_no_shard_gets_more_than_the_hub_allows() -> None:
    chain, task = start_training(2, 8, params={"max_assigned": 3})
    assert [len(part.participants) for part in chain.parts(task)] == [3, 3]


def test_each_shard_is_told_with_one_packet() -> None:
    chain, task = start_training(2, 3)
    info = chain.round(chain.newest(task)).info
    rule = get_spec(chain.state, task).rule
    for (packet, content), entry in zip(chain.sent(), info.shards, strict=True):
        opened = content.round_opened
        assert packet.source_client == chain.clients[entry.shard]
        assert packet.timeout_timestamp == -(-info.deadline_ns // SECOND_NS) + 60
        assert (opened.task, opened.round, opened.attempt) == (task, 1, 0)
        assert (opened.spec_digest, opened.base_root, opened.seed) == (
            info.spec_digest,
            info.base_root,
            info.seed,
        )
        assert (opened.scale, opened.unit_weight, opened.parameters) == (info.scale, info.unit_weight, 50)
        assert (opened.assigned, opened.assignment_root) == (entry.assigned, entry.assignment_root)
        assert (opened.close_time_ns, opened.deadline_ns) == (info.close_time_ns, info.deadline_ns)
        assert opened.rule == rule == task_pb2.Rule(mean=task_pb2.RuleMean())


def test_a_packet_of_a_long_round_times_out_as_late_as_the_protocol_allows() -> None:
    chain, task = start_training(1, 2, round_duration_ns=24 * 3600 * SECOND_NS)
    ((packet, _),) = chain.sent()
    assert packet.timeout_timestamp == chain.time_ns // SECOND_NS + 24 * 3600
    assert chain.round(chain.newest(task)).shards[0].status == query_pb2.SHARD_ROUND_STATUS_WAITING


def test_a_shard_whose_client_has_expired_is_missing_at_once() -> None:
    chain = HubChain().start()
    chain.add_shards("shard-1", trusting_s=60)
    chain.add_shards("shard-2")
    task = chain.create_task(make_spec())
    chain.block(after_s=60)
    chain.register(task, 0, 1)
    statuses = [entry.status for entry in chain.round(chain.newest(task)).shards]
    assert statuses == [query_pb2.SHARD_ROUND_STATUS_MISSING, query_pb2.SHARD_ROUND_STATUS_WAITING]
    assert len(chain.sent()) == 1


def test_a_shard_whose_client_has_no_counterparty_is_missing_at_once() -> None:
    chain = HubChain().start()
    client_id = chain.create_client("shard-1", tied=False)
    chain.must_send(
        AUTHORITY,
        tx_pb2.MsgRegisterShard(authority=AUTHORITY.public_key, chain_id="shard-1", client_id=client_id),
    )
    task = chain.create_task(make_spec())
    chain.register(task, 0, 1)
    assert chain.round(chain.newest(task)).shards[0].status == query_pb2.SHARD_ROUND_STATUS_MISSING


def test_a_participant_finds_its_shard_and_its_proof() -> None:
    chain, task = start_training(3, 8)
    for part in chain.parts(task):
        for key in part.keys:
            answer = read_assignment(chain.state, task, 0, key.public_key)
            assert (answer.shard, answer.info) == (part.shard, part.info)
            root = next(entry.assignment_root for entry in answer.info.shards if entry.shard == part.shard)
            statement = make_statement(part, key, np.zeros(50, np.int8))
            verify_assignment(root, answer.proof, statement)


def test_the_assignment_roots_are_those_of_the_stored_lists() -> None:
    chain, task = start_training(2, 5)
    round_id = chain.newest(task)
    for entry in chain.round(round_id).info.shards:
        assigned = get_assigned(chain.state, round_id, entry.shard)
        assert assignment_root(task, 1, 0, entry.shard, assigned) == entry.assignment_root


def test_a_question_about_an_assignment_that_does_not_exist_is_refused() -> None:
    chain, task = start_training(1, 2)
    with pytest.raises(NotAssigned):
        read_assignment(chain.state, task, 0, participant_key(9).public_key)
    with pytest.raises(RoundNotFound):
        read_assignment(chain.state, task, 2, participant_key(0).public_key)
    with pytest.raises(InvalidField):
        read_assignment(chain.state, task, 0, b"short")


def test_tasks_beyond_a_blocks_number_open_their_rounds_in_the_next_blocks() -> None:
    chain = HubChain().start(tasks_per_block=2)
    tasks = [chain.create_task(make_spec()) for _ in range(5)]
    for task in tasks:
        chain.register(task, 0, 1)
    chain.create_client("shard-1")
    chain.must_send(
        AUTHORITY,
        tx_pb2.MsgRegisterShard(
            authority=AUTHORITY.public_key, chain_id="shard-1", client_id=chain.clients["shard-1"]
        ),
    )
    opened = []
    for _ in range(4):
        opened.append(sum(require_task(chain.state, task).is_open for task in tasks))
        chain.block()
    assert opened == [2, 4, 5, 5]
