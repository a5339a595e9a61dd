from __future__ import annotations

import pytest

from localnet.errors import NotReady
from localnet.stages import Stage, StageDone, run_stages


def test_stages_run_in_order_and_report_how_long_each_took() -> None:
    seen: list[str] = []
    reported: list[StageDone] = []
    ticks = iter((0.0, 2.0, 5.0, 5.5))
    stages = [Stage("keys", lambda: seen.append("keys")), Stage("blocks", lambda: seen.append("blocks"))]
    done = run_stages(stages, reported.append, lambda: next(ticks))
    assert seen == ["keys", "blocks"]
    assert done == reported == [StageDone("keys", 2.0), StageDone("blocks", 0.5)]


def test_the_first_failure_ends_the_run() -> None:
    seen: list[str] = []

    def fail() -> None:
        raise NotReady("expected blocks, got none")

    with pytest.raises(NotReady):
        run_stages([Stage("a", fail), Stage("b", lambda: seen.append("b"))])
    assert seen == []
