"""What the log says of decisions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ibc.errors import ClientNotActive
from relayer.actions import LaneBlocked
from relayer.logs import current_level, set_up_logs
from relayer.observer import Observer
from relayer.policy import failure_of
from relayer.state import RelayOptions, RelayState
from relayer.types import Failure, TimeNs
from tests.support.relayer_world import SHARD

if TYPE_CHECKING:
    import pytest

    from relayer.actions import RelayAction


def log_of(decided: RelayAction, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """Return the one line that the log has for a decision."""
    before = current_level()
    try:
        set_up_logs("json", "info")
        Observer(None).note([decided], RelayState(RelayOptions()), TimeNs(0))
    finally:
        set_up_logs("text", before)
    line = json.loads(capsys.readouterr().err)
    assert isinstance(line, dict)
    return line


def test_a_blocked_lane_is_logged_with_its_reason_and_cure(capsys: pytest.CaptureFixture[str]) -> None:
    line = log_of(LaneBlocked(SHARD, failure_of(ClientNotActive("expired"))), capsys)
    assert (line["event"], line["level"], line["chain"]) == ("lane blocked", "warning", SHARD.chain)
    assert line["reason"] == "expired [ibc/52]"
    assert line["cure"] == ClientNotActive.CURE


def test_a_code_that_is_not_known_here_is_logged_without_a_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert "cure" not in log_of(LaneBlocked(SHARD, Failure("shard", 9_999, "new")), capsys)
