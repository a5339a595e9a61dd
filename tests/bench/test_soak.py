"""The soak of the link: its schedule, its audit, its record, and a short one on real chains."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING, cast

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from abci_app.errors import CommitTimeout, NodeUnavailable, TxReplayed
from abci_app.grpc_errors import RemoteError
from bench.chainaudit import ChainAudit
from bench.errors import RelayerEnded
from bench.figures import Fact
from bench.packetnet import PacketChain
from bench.soak import load
from bench.soak.audit import DirectionAudit, Stored, count_asked, describe_latency
from bench.soak.chaos import MemorySample, RelayerRunner
from bench.soak.command import link_command
from bench.soak.faults import list_moves
from bench.soak.figures import FaultRecord, Latency, SoakCheck, SoakRecord
from bench.soak.link import SoakOptions, read_log, run_soak
from bench.soak.load import Ask, Fate, Sender
from bench.soak.report import print_record, record_to_json, record_to_markdown
from bench.soak.schedule import Pace, Victim, plan_kills
from ibc.errors import TimeoutElapsed
from ibc.events import PacketEventKind
from localnet.errors import DirectoryNotOurs
from localnet.nodes import ChainHandle
from tests.support.localnet import use_real_cometbft
from tests.support.waiting import eventually
from tx.keys import SigningKey
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from abci_app.client import ChainConnection
    from tx.errors import AppError

NODES: dict[Victim, Sequence[str]] = {
    Victim.RELAYER: [""],
    Victim.ENDPOINT: ["hub.4"],
    Victim.VALIDATOR: ["hub.0", "shard-0.0"],
}
PACE = Pace(gap_s=(5.0, 20.0), down_s=(1.0, 4.0), relayer_share=0.5)
SECOND_NS = 1_000_000_000


# --- the schedule ----------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32), st.floats(0, 2_000))
def test_the_schedule_follows_from_the_seed_and_keeps_its_pace(seed: int, seconds: float) -> None:
    plan = plan_kills(seed, seconds, NODES, PACE)
    assert plan == plan_kills(seed, seconds, NODES, PACE)
    assert list(plan) == sorted(plan, key=lambda kill: kill.at_s)
    for victim, names in NODES.items():
        back_s = 0.0
        for kill in plan:
            if kill.victim is victim:
                assert kill.node in names
                assert 1.0 <= kill.down_s <= 4.0
                assert 5.0 - 0.02 <= kill.at_s - back_s <= 20.0 + 0.02
                back_s = kill.at_s + kill.down_s
        assert back_s <= seconds * (0.5 if victim is Victim.RELAYER else 1.0)


def test_another_seed_gives_another_schedule() -> None:
    assert plan_kills(1, 300.0, NODES, PACE) != plan_kills(2, 300.0, NODES, PACE)


def test_a_kind_without_nodes_is_spared() -> None:
    plan = plan_kills(1, 300.0, {**NODES, Victim.ENDPOINT: []}, PACE)
    assert {kill.victim for kill in plan} == {Victim.RELAYER, Victim.VALIDATOR}


# --- the audit -------------------------------------------------------------------------------------------------------


def build_audit() -> DirectionAudit:
    """Return the audit of three packets of which the third timed out."""
    kinds = PacketEventKind
    here, there = ChainAudit(), ChainAudit()
    for audit in (here, there):
        audit.times_ns.update({height: height * SECOND_NS for height in range(1, 6)})
    for audit, kind, height, numbers in (
        (here, kinds.SEND, 1, (1, 2, 3)),
        (there, kinds.RECEIVE, 3, (1, 2)),
        (there, kinds.WRITE_ACK, 3, (1, 2)),
        (here, kinds.ACKNOWLEDGE, 4, (1, 2)),
        (here, kinds.TIME_OUT, 4, (3,)),
    ):
        for number in numbers:
            audit.events[kind][number] = 1
            audit.heights[kind, number] = height
    here.codes[b"asked"] = 0
    asked = [Ask(b"asked", 3, is_late=False, fate=Fate.COMMITTED)]
    stored = Stored(frozenset(), frozenset({1, 2}), frozenset({1, 2}))
    return DirectionAudit("hub", "shard", asked, here, there, stored)


def list_failing(audit: DirectionAudit) -> list[str]:
    return [check.name.removeprefix("hub to shard: ") for check in audit.check() if not check.passed]


def test_counters_that_are_equal_on_both_sides_pass() -> None:
    audit = build_audit()
    assert list_failing(audit) == []
    found = audit.describe()
    assert (found.sent, found.received, found.acknowledged, found.timed_out, found.open) == (3, 2, 2, 1, 0)
    assert found.latency == Latency(2.0, 2.0, 2.0)


def receive_late_packet(audit: DirectionAudit) -> None:
    audit.there.events[PacketEventKind.RECEIVE][3] = 1
    audit.there.heights[PacketEventKind.RECEIVE, 3] = 3


def lose_packet(audit: DirectionAudit) -> None:
    del audit.here.events[PacketEventKind.TIME_OUT][3]


def receive_twice(audit: DirectionAudit) -> None:
    audit.there.events[PacketEventKind.RECEIVE][1] = 2


def receive_unsent_packet(audit: DirectionAudit) -> None:
    audit.there.events[PacketEventKind.RECEIVE][9] = 1
    audit.there.heights[PacketEventKind.RECEIVE, 9] = 3
    audit.here.heights[PacketEventKind.SEND, 9] = 1


def lose_acknowledgement(audit: DirectionAudit) -> None:
    del audit.here.events[PacketEventKind.ACKNOWLEDGE][2]


def send_more_than_asked(audit: DirectionAudit) -> None:
    audit.here.codes.clear()


@pytest.mark.parametrize(
    ("harm", "check"),
    [
        (receive_late_packet, "each packet was received or timed out, none both"),
        (lose_packet, "each packet was received or timed out, none both"),
        (receive_twice, "steps that happened twice"),
        (receive_unsent_packet, "nothing else was"),
        (lose_acknowledgement, "acknowledgements taken that are not those of packets received"),
        (send_more_than_asked, "packets sent are those asked for"),
        (send_more_than_asked, "transactions whose senders were told the truth"),
    ],
)
def test_blocks_that_differ_fail_the_audit(harm: Callable[[DirectionAudit], None], check: str) -> None:
    audit = build_audit()
    harm(audit)
    assert check in list_failing(audit)


@pytest.mark.parametrize(
    ("stored", "check"),
    [
        (Stored(frozenset({2}), frozenset({1, 2}), frozenset({1, 2})), "commitments left in the state"),
        (
            Stored(frozenset(), frozenset({1}), frozenset({1, 2})),
            "receipts in the state that differ from the blocks",
        ),
        (
            Stored(frozenset(), frozenset({1, 2}), frozenset({1, 2, 3})),
            "acknowledgements in the state that differ",
        ),
    ],
)
def test_a_state_that_differs_fails_the_audit(stored: Stored, check: str) -> None:
    assert list_failing(replace(build_audit(), stored=stored)) == [check]


def test_what_a_sender_does_not_know_the_blocks_decide() -> None:
    asked = [
        Ask(name, 3, is_late=False, fate=fate)
        for name, fate in ((b"a", Fate.UNKNOWN), (b"b", Fate.UNKNOWN), (b"c", Fate.REFUSED))
    ]
    assert count_asked(asked, {b"a": 0, b"b": 7}) == (3, 0)
    assert count_asked(asked, {b"c": 0}) == (3, 1)


def test_a_latency_has_its_middle_and_its_slow_end() -> None:
    assert describe_latency([]) is None
    assert describe_latency([4.0]) == Latency(4.0, 4.0, 4.0)
    assert describe_latency([1.0, 2.0]) == Latency(1.0, 2.0, 2.0)
    assert describe_latency([float(number) for number in range(101)]) == Latency(50.0, 99.0, 100.0)


def test_moves_concern_both_chains_of_a_packet() -> None:
    moves = list_moves([build_audit()])
    # Received in block 3 there, ended in block 4 here; a block is committed at the time of the next one.
    assert moves == dict.fromkeys(("", "hub", "shard"), [4 * SECOND_NS] * 2 + [5 * SECOND_NS] * 3)


def test_the_log_of_a_relayer_has_warnings_and_errors(tmp_path: Path) -> None:
    log = tmp_path / "relayer.log"
    lines = [
        json.dumps({"level": level, "event": event})
        for level, event in (("info", "a"), ("warning", "b"), ("warning", "b"), ("error", "c"))
    ]
    log.write_text("\n".join([*lines, "Traceback"]) + "\n")
    assert read_log(log) == ({"b": 2}, 2)


# --- the load --------------------------------------------------------------------------------------------------------


class ScriptedConnection:
    """Answers each transaction with the next of some outcomes."""

    def __init__(self, *answers: query_pb2.TxOutcome | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[bytes] = []

    def node(self, ask: Callable[[ScriptedConnection], object]) -> object:
        return ask(self)

    def BroadcastTx(  # noqa: N802 - gRPC names
        self, request: query_pb2.BroadcastTxRequest, timeout: float
    ) -> query_pb2.BroadcastTxResponse:
        self.seen.append(request.tx)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return query_pb2.BroadcastTxResponse(outcome=answer)


def ask_once(monkeypatch: pytest.MonkeyPatch, connection: ScriptedConnection) -> Ask:
    """Let a sender ask for packets over a connection, and return what it makes of the answers."""
    monkeypatch.setattr(load, "PAUSE_S", 0.0)
    chain = ChainHandle("hub", "hub", "hub-1", ())
    end = PacketChain(chain, cast("ChainConnection", connection), SigningKey.from_seed(bytes(32)))
    return Sender(end, 3, Random(1))._ask(is_late=False)


def test_a_sender_hands_in_the_same_bytes_until_they_are_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    timeout = RemoteError(CommitTimeout.CODESPACE, CommitTimeout.CODE, "not yet")
    connection = ScriptedConnection(NodeUnavailable("down"), timeout, query_pb2.TxOutcome(height=7))
    ask = ask_once(monkeypatch, connection)
    assert (ask.fate, ask.packets) == (Fate.COMMITTED, 3)
    assert len(set(connection.seen)) == 1
    assert ask.tx_hash == sha256(connection.seen[0]).digest()


@pytest.mark.parametrize(("error", "fate"), [(TxReplayed, Fate.UNKNOWN), (TimeoutElapsed, Fate.REFUSED)])
def test_a_sender_knows_a_refusal_from_a_replay(
    monkeypatch: pytest.MonkeyPatch, error: type[AppError], fate: Fate
) -> None:
    refusal = query_pb2.TxOutcome(codespace=error.CODESPACE, code=error.CODE, log="no")
    assert ask_once(monkeypatch, ScriptedConnection(refusal)).fate is fate


def test_a_relayer_that_ends_by_itself_ends_the_soak(tmp_path: Path) -> None:
    runner = RelayerRunner(tmp_path / "missing.toml")
    runner.start()

    def has_ended() -> bool:
        try:
            runner.check()
        except RelayerEnded as error:
            assert "missing.toml" in error.message  # noqa: PT017 - it is waited for
            return True
        return False

    eventually(has_ended, "the end of the relayer")


# --- the record ------------------------------------------------------------------------------------------------------


def build_record(*checks: SoakCheck) -> SoakRecord:
    return SoakRecord(
        started="2000-01-01T00:00",
        seed=3,
        load_s=60.0,
        drain_s=2.5,
        rate=12.0,
        block_ms={"hub": 700.0},
        nodes=("hub.0",),
        machine=(Fact("cores", "2"),),
        directions=(build_audit().describe(),),
        faults=(
            FaultRecord("relayer", "", "", 5.0, 1.0, 2.0, 0),
            FaultRecord("validator", "hub.0", "app", 9.0, 3.0, 4.0, 17),
        ),
        relayer_warnings={"node does not answer": 2},
        memory=(MemorySample(1, 0.0, 60.0), MemorySample(2, 9.0, 61.0), MemorySample(2, 60.0, 62.5)),
        checks=checks,
    )


def test_a_record_is_good_when_every_check_is() -> None:
    good, bad = SoakCheck("a", "1", "1"), SoakCheck("b", "1", "2")
    assert build_record(good).passed
    assert not build_record(good, bad).passed


def test_the_page_names_seed_duration_counts_and_what_fails() -> None:
    page = record_to_markdown(build_record(SoakCheck("a", "1", "1"), SoakCheck("b", "1", "2")))
    assert "| seed | 3 |" in page
    assert "60 s, 12 packets a second" in page
    assert "| hub | shard | 3 | 3 | 2 | 2 | 1 |" in page
    assert "61.0 MiB at 9 s, 62.5 MiB at 60 s" in page
    assert "| validator | app | 1 | 3.0 | 4.0 | 4.0 | 17 |" in page
    assert "| b | 1 | 2 | FAILS |" in page
    assert "| a |" not in page


def test_json_and_screen_have_every_kill(capsys: pytest.CaptureFixture[str]) -> None:
    record = build_record(SoakCheck("a", "1", "1"))
    document = json.loads(record_to_json(record))
    assert document["passed"]
    assert [fault["relayed"] for fault in document["faults"]] == [0, 17]
    print_record(record)
    assert "hub.0" in capsys.readouterr().out


def test_a_directory_with_the_work_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years")
    done = CliRunner().invoke(link_command, ["--dir", str(tmp_path), "--minutes", "0.01"])
    assert isinstance(done.exception, DirectoryNotOurs)
    assert thesis.read_text() == "years"


# --- a short one -----------------------------------------------------------------------------------------------------


@pytest.mark.localnet
def test_packets_end_once_and_alike_on_both_sides_while_everything_is_killed(tmp_path: Path) -> None:
    use_real_cometbft()
    options = SoakOptions(
        tmp_path / "soak",
        seconds=16.0,
        hub_validators=1,
        block_time_ms=200,
        pace=Pace(gap_s=(2.0, 4.0), down_s=(0.5, 1.5), relayer_share=0.8),
    )
    record = run_soak(options, lambda _: None)
    assert [check for check in record.checks if not check.passed] == []
    assert {fault.victim for fault in record.faults} == {victim.value for victim in Victim}
    assert all(direction.sent for direction in record.directions)
