"""The demo as a whole: what it reports, that shards, validators and kills change nothing, and what it leaves behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from localnet.demo.options import BUDGET, RELAY_FEE
from tests.e2e.conftest import QUIET_ROUNDS
from tests.support.e2e import DemoRun, require_good, require_kinds, run_demo

pytestmark = pytest.mark.localnet

PARTICIPANTS = 8
CHANCE_PERCENT = 10.0
PROCESSES = ("cometbft start", "localnet.daemon", "relayer.main", "participant.worker")


def test_a_demo_verifies_everything_and_leaves_no_process_behind(quiet_demo: DemoRun) -> None:
    require_good(quiet_demo)
    require_kinds(quiet_demo.seen, *PROCESSES)
    checks = quiet_demo.items("checks")
    assert [check for check in checks if not check["passed"]] == []
    counts = {(str(check["by"]), str(check["name"]).split(":")[0]): check["count"] for check in checks}
    assert counts["shards", "updates"] == PARTICIPANTS * QUIET_ROUNDS
    assert counts["hub", "checkpoints"] == 2 * QUIET_ROUNDS
    assert counts["audit", "round results proven to the genesis validators"] == QUIET_ROUNDS
    assert counts["hub and shards", "bodies or updates refused"] == 0


def test_the_model_learns_about_as_fast_as_in_float(quiet_demo: DemoRun) -> None:
    curves = quiet_demo.section("curves")
    assert set(curves) == {"gradchain", "equal-weight", "example-weighted"}
    ours, floats = curves["gradchain"], curves["equal-weight"]
    assert isinstance(ours, list)
    assert isinstance(floats, list)
    assert len(ours) == len(floats) == QUIET_ROUNDS
    assert ours[1] > 5 * CHANCE_PERCENT
    assert ours[-1] > ours[0]
    assert abs(ours[-1] - floats[-1]) < 5.0


def test_the_budget_is_paid_out_and_no_token_appears(quiet_demo: DemoRun) -> None:
    before = {name: int(str(amount)) for name, amount in quiet_demo.section("balances_before").items()}
    after = quiet_demo.balances
    assert set(after) == set(before)
    assert sum(after.values()) - sum(before.values()) == BUDGET
    rows = quiet_demo.items("rows")
    relayed = sum(int(str(row["relay_paid"])) for row in rows)
    assert sum(int(str(row["paid"])) for row in rows) == BUDGET - relayed
    # under the rule `mean` all weigh the same, so all earn the same
    each = (BUDGET - relayed) // PARTICIPANTS
    assert {after[f"participant-{number}"] for number in range(PARTICIPANTS)} == {each}


def test_the_memory_of_all_processes_is_added_up(quiet_demo: DemoRun) -> None:
    peaks = {kind: float(str(size)) for kind, size in quiet_demo.section("memory_peak_mib").items()}
    assert {"app", "comet", "demo", "participants", "relayer", "supervisor"} <= set(peaks)
    total = float(str(quiet_demo.report["memory_total_mib"]))
    # Of nodes there are several, of which the largest is named.
    assert sum(peaks.values()) < total


def test_the_relayer_is_paid_for_each_packet_once(quiet_demo: DemoRun) -> None:
    pay = {name: int(str(value)) for name, value in quiet_demo.section("relay_pay").items()}
    assert pay["packets"] > 2 * QUIET_ROUNDS
    assert pay["amount"] == RELAY_FEE * pay["packets"]
    before = int(str(quiet_demo.section("balances_before")["relayer"]))
    assert quiet_demo.balances["relayer"] - before == pay["amount"]
    assert f"paid {pay['amount']:,} for {pay['packets']} packets" in quiet_demo.done.stdout


def test_the_last_round_ends_with_the_model_that_is_proven(quiet_demo: DemoRun) -> None:
    model = quiet_demo.section("model")
    assert model["root"] == quiet_demo.roots[-1]
    assert str(model["root"]) in quiet_demo.done.stdout
    assert len(set(quiet_demo.roots)) == QUIET_ROUNDS


def test_a_demo_keeps_its_logs_and_its_picture_but_not_its_chains(quiet_demo: DemoRun) -> None:
    paths = {name: Path(str(path)) for name, path in quiet_demo.section("paths").items()}
    assert paths["plot"].read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in paths["logs"].iterdir()} >= {"relayer.log", "participants-0.log"}
    assert not paths["chains"].exists()


def test_three_shards_end_with_the_model_of_two(quiet_demo: DemoRun, tmp_path: Path) -> None:
    three = require_good(run_demo(tmp_path, "--shards", "3", "--rounds", "2"))
    assert three.roots == quiet_demo.roots[:2]


def test_one_shard_and_four_validators_end_with_the_model_of_two_shards(
    quiet_demo: DemoRun, tmp_path: Path
) -> None:
    one = require_good(run_demo(tmp_path, "--shards", "1", "--validators", "4", "--rounds", "2"))
    assert one.roots == quiet_demo.roots[:2]
    names = [str(check["name"]) for check in one.items("checks")]
    assert [name for name in names if "on all 4 nodes" in name] == [
        "hub: same app hash on all 4 nodes, heights",
        "shard-0: same app hash on all 4 nodes, heights",
    ]


def test_kills_amid_work_change_neither_model_nor_balances(quiet_demo: DemoRun, tmp_path: Path) -> None:
    shaken = require_good(run_demo(tmp_path, "--chaos", "--rounds", str(QUIET_ROUNDS)))
    kills = [(str(kill["what"]), int(str(kill["pending_packets"]))) for kill in shaken.items("kills")]
    assert [what for what, _ in kills if what != "relayer"] == ["validator shard-0.0"]
    assert [what for what, _ in kills].count("relayer") == 5
    assert all(pending > 0 for _, pending in kills)
    assert shaken.roots == quiet_demo.roots
    assert shaken.balances == quiet_demo.balances
