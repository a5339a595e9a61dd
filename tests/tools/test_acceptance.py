"""What the acceptance runs conclude from the demos' results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tools import acceptance
from tools.acceptance import DemoResult, Run

FOLDER = Path("nowhere")


def build_run(**changes: object) -> Run:
    result: dict[str, object] = {
        "verified": True,
        "model": {"root": "aa"},
        "curves": {"equal-weight": [70.0, 91.0]},
        "gap_to_float_points": 0.5,
        "kills": [{}] * 6,
        "balances_after": {"alice": 1},
        "tamper": {"check": "MerklePathError"},
    }
    return Run(0, 1.0, "the last line", DemoResult(**(result | changes)))  # type: ignore[typeddict-item]


def play(monkeypatch: pytest.MonkeyPatch, *runs: Run) -> None:
    """Let the next demos end as told."""
    played = list(runs)
    monkeypatch.setattr(acceptance, "run_demo", lambda *_: played.pop(0))


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, [True, True, True, True]),
        ({"gap_to_float_points": 1.1}, [True, True, True, False]),
        ({"curves": {"equal-weight": [87.9]}}, [False, False, False, True]),
        ({"verified": False}, [False]),
    ],
)
def test_seeds_hold_while_gap_and_accuracy_do(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object], holds: list[bool]
) -> None:
    play(monkeypatch, *[build_run(**changes)] * 3)
    assert [verdict.holds for verdict in acceptance.check_seeds(FOLDER)] == holds


def test_another_root_on_more_shards_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, build_run(), build_run(), build_run(model={"root": "bb"}))
    monkeypatch.setattr(acceptance, "prove_root", lambda _: "aa")
    assert [verdict.holds for verdict in acceptance.check_shards(FOLDER)] == [True, True, False]


def test_a_root_that_is_not_the_proven_one_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    play(monkeypatch, build_run(), build_run(), build_run())
    monkeypatch.setattr(acceptance, "prove_root", lambda _: "bb")
    assert not any(verdict.holds for verdict in acceptance.check_shards(FOLDER))


@pytest.mark.parametrize(
    "changes", [{"model": {"root": "bb"}}, {"balances_after": {"alice": 2}}, {"kills": [{}] * 5}]
)
def test_kills_that_change_something_or_did_not_happen_do_not_hold(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, object]
) -> None:
    play(monkeypatch, build_run(), build_run(**changes), build_run(), build_run())
    assert [verdict.holds for verdict in acceptance.check_chaos(FOLDER)] == [False, True]


def test_a_fault_that_is_not_caught_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    caught = replace(build_run(), exit_code=4)
    missed = replace(build_run(tamper={"check": ""}), exit_code=1)
    play(monkeypatch, caught, build_run(), missed, caught, caught)
    assert [verdict.holds for verdict in acceptance.check_tamper(FOLDER)] == [True, False, False, True, True]


def test_the_command_fails_when_a_case_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["acceptance", "seeds"])
    play(monkeypatch, *[build_run(gap_to_float_points=2.0)] * 3)
    assert acceptance.main() == 1
    assert "mean over seeds        FAILED" in capsys.readouterr().out
