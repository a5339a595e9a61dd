from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bench.demorun import DemoRun, KindMemory, RoundTimes, read_result, run_child, split_round
from bench.errors import DemoFailed
from bench.rows.demo import explain
from bench.rows.memory import is_torch

if TYPE_CHECKING:
    from pathlib import Path


def build_update(participant: int, round_number: int, seconds: float = 1.0) -> dict[str, float]:
    return {
        "participant": participant,
        "round": round_number,
        "train_seconds": seconds,
        "prepare_seconds": seconds / 2,
        "submit_seconds": seconds / 4,
    }


def test_participants_of_one_process_take_turns() -> None:
    updates = [build_update(0, 2), build_update(1, 2, 5.0), build_update(2, 2)]
    times = split_round(10.0, updates, 2)
    assert (times.whole, times.training, times.preparing) == (10.0, 5.0, 2.5)
    assert times.submitting == pytest.approx((0.25 + 1.25 + 0.25) / 3)
    assert times.rest == pytest.approx(10.0 - 5.0 - 2.5 - times.submitting)


def test_a_round_without_updates_is_an_error() -> None:
    with pytest.raises(DemoFailed):
        split_round(1.0, [], 2)


def test_the_first_round_is_not_counted() -> None:
    text = json.dumps(
        {
            "options": {"validators": 4, "workers": 2},
            "rows": [{"number": 1, "seconds": 99.0}, {"number": 2, "seconds": 3.0}],
            "updates": [build_update(0, 1), build_update(0, 2)],
            "memory_peak_mib": {"app": 75.5},
        }
    )
    run = read_result(text)
    assert (run.validators, run.workers, [times.whole for times in run.rounds]) == (4, 2, [3.0])
    assert run.memory == (KindMemory("app", 75.5),)


def test_the_note_says_where_the_time_of_a_round_goes() -> None:
    text = explain(DemoRun(1, 2, (RoundTimes(4.0, 1.0, 0.5, 0.25),), ()))
    for part in ("4.00 s", "train 1.00", "prepare 0.50", "submit 0.25", "rest 2.25"):
        assert part in text


def test_a_child_that_fails_is_reported_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(DemoFailed, match="No such command 'nonsense'"):
        run_child(["cli.main", "nonsense"], tmp_path / "log")


def test_a_child_that_succeeds_leaves_its_output_in_the_log(tmp_path: Path) -> None:
    run_child(["cli.main", "--version"], tmp_path / "log")
    assert "gradchain" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("7f00-7f01 r-xp 0 08:01 1 /lib/torch/lib/libtorch_cpu.so", True),
        ("7f00-7f01 r-xp 0 08:01 1 /lib/libtorchbearer/other.so", False),
        ("7f00-7f01 rw-p 0 00:00 0", False),
    ],
)
def test_libraries_of_torch_are_told_by_their_names(line: str, expected: bool) -> None:
    assert is_torch(line) is expected
