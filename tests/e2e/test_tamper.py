"""A fault planted in any place ends the demo with the name of the check that caught it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.e2e import run_demo

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.localnet

SMALL = ("--shards", "1", "--participants", "2", "--rounds", "1")


@pytest.mark.parametrize(
    ("place", "by", "check"),
    [
        ("header", "shard-0", "HeaderHashMismatch"),
        ("proof", "shard-0", "RootMismatch"),
        ("body", "hub", "MerklePathError"),
        ("sum", "hub", "AggregateOpeningError"),
        ("payload", "shard-0", "CommitmentMismatch"),
    ],
)
def test_a_planted_fault_is_caught_and_its_check_is_named(
    tmp_path: Path, place: str, by: str, check: str
) -> None:
    run = run_demo(tmp_path, "--tamper", place, *SMALL)
    assert run.done.exit_code == 4, run.done.describe()
    assert run.left == {}
    caught = run.section("tamper")
    assert (caught["place"], caught["by"], caught["check"]) == (place, by, check)
    said = " ".join(run.done.stdout.split())
    assert f"fault planted in {place}: caught by {by}, check {check} [{caught['codespace']}/" in said
    assert run.done.stderr == ""
