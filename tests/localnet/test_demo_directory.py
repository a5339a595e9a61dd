"""The demo empties its directory, so it must not take one that is somebody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from localnet.demo.directory import LOCK_NAME, claim_directory
from localnet.errors import DemoRunning, DirectoryNotOurs
from tests.support.cli import Cli, fails

if TYPE_CHECKING:
    from pathlib import Path


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_a_directory_that_is_missing_is_made(tmp_path: Path) -> None:
    with claim_directory(tmp_path / "a" / "b"):
        assert names_in(tmp_path / "a" / "b") == {LOCK_NAME}


def test_what_a_demo_left_is_removed(tmp_path: Path) -> None:
    with claim_directory(tmp_path):
        (tmp_path / "chains" / "nodes").mkdir(parents=True)
        (tmp_path / "more.json").write_text("{}")
        (tmp_path / "link").symlink_to(tmp_path.parent)
    with claim_directory(tmp_path):
        assert names_in(tmp_path) == {LOCK_NAME}
    assert tmp_path.parent.exists()


def test_a_directory_with_other_files_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DirectoryNotOurs, match="logs"), claim_directory(tmp_path):
        pass
    assert names_in(tmp_path) == {"logs", "thesis.tex"}


def test_a_second_demo_does_not_take_the_directory_of_one_that_runs(tmp_path: Path) -> None:
    with claim_directory(tmp_path):
        (tmp_path / "chains").mkdir()
        with pytest.raises(DemoRunning), claim_directory(tmp_path):
            pass
        assert (tmp_path / "chains").exists()


def test_the_command_keeps_what_is_not_a_demos(tmp_path: Path) -> None:
    (tmp_path / "chains").mkdir()
    (tmp_path / "notes").write_text("")
    fails(Cli(tmp_path).run("demo", "--dir", str(tmp_path)), 5, "[localnet/15]")
    assert names_in(tmp_path) == {"chains", "notes"}


@pytest.mark.parametrize("option", ["--json", "--svg"])
def test_the_command_asks_at_once_for_a_place_for_its_results(tmp_path: Path, option: str) -> None:
    missing = tmp_path / "missing" / "file"
    result = Cli(tmp_path).run("demo", "--dir", str(tmp_path / "demo"), option, str(missing))
    fails(result, 5, f"{missing.parent}: No such file or directory")
    assert not (tmp_path / "demo").exists()
