"""The demo counts the updates that its participants gave up, and says why."""

from __future__ import annotations

from localnet.demo.audit import check_given_up
from localnet.demo.watch import Progress

SUBMITTED = {"event": "submitted", "participant": 1, "round": 2}
REFUSED = {"event": "refused", "participant": 3, "round": 2, "error": "round 2 ended [node/55]"}


def test_an_update_that_a_participant_gave_up_fails_the_demo_with_its_reason() -> None:
    progress = Progress()
    progress.take(SUBMITTED)
    progress.take(REFUSED)
    check = check_given_up(progress.reports_of("refused"))
    assert not check.passed
    assert check.count == 1
    assert check.detail == "participant 3, round 2: round 2 ended [node/55]"


def test_updates_that_are_all_in_blocks_pass() -> None:
    progress = Progress()
    progress.take(SUBMITTED)
    check = check_given_up(progress.reports_of("refused"))
    assert check.passed
    assert check.count == 0
