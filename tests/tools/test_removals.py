"""The audit of checks that are taken out, on a repository made for it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from tools import removals
from tools.removal_list import read_items

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = """\
def check_size(size: int) -> None:
    if size < 0:
        raise ValueError("negative")
    if size > 9:
        raise ValueError("large")
"""

TESTS: Final = """\
import pytest
from program import check_size

@pytest.mark.parametrize("size", [-1, -9])
def test_a_negative_size_is_refused(size):
    with pytest.raises(ValueError):
        check_size(size)

def test_a_good_size_is_taken():
    check_size(1)
"""

LIST: Final = """\
[[item]]
name = "negative size"
outcome = "Nothing is written."

[[item.removal]]
check = "the sign of a size"
code = "tx/1"
file = "program.py"
text = "if size < 0:"
instead = "if False:"
tests = ["tests/test_sizes.py::test_a_negative_size_is_refused[-1]", "tests/test_sizes.py::test_a_negative_size_is_refused"]
"""

SURVIVOR: Final = """
[[item]]
name = "large size"

[[item.removal]]
check = "the largest size"
code = "tx/2"
file = "program.py"
text = "if size > 9:"
instead = "if False:"
tests = ["tests/test_sizes.py::test_a_good_size_is_taken"]
"""

ERRORS: Final = """\
## tx

| code | name | cause | cure |
|---|---|---|---|
| 1 | Negative | A size a \\| b below zero. | Send one above. |
| 2 | Large | A size above nine. | Send one below. |
"""


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def track(root: Path) -> None:
    for command in (["git", "init", "-q"], ["git", "add", "."]):
        subprocess.run(command, cwd=root, check=True)


def write_list(root: Path, text: str) -> None:
    write(root, "tests/bad_input/removals/1_sizes.toml", text)


def change_list(root: Path, old: str, new: str) -> None:
    assert old in LIST
    write_list(root, LIST.replace(old, new))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with two checks, of which the tests guard one."""
    write(tmp_path, "pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n")
    write(tmp_path, "program.py", PROGRAM)
    write(tmp_path, "tests/test_sizes.py", TESTS)
    write(tmp_path, "docs/errors.md", ERRORS)
    write_list(tmp_path, LIST)
    assert audit(tmp_path, "--write-docs") == 0
    track(tmp_path)
    return tmp_path


def audit(root: Path, *options: str) -> int:
    return removals.main(["--root", str(root), *options])


def test_a_check_that_a_test_guards_is_caught(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(repository) == 0
    out = capsys.readouterr().out
    assert "negative size | tx/1 | the sign of a size | caught" in out
    assert "1 of 1 removals of 1 items caught" in out
    assert (repository / "program.py").read_text() == PROGRAM


def test_a_check_that_no_test_guards_survives(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(repository, LIST + SURVIVOR)
    assert audit(repository) == 1
    out = capsys.readouterr().out
    assert "large size | tx/2 | the largest size | survived: tests/test_sizes.py::test_a_good" in out
    assert "1 of 2 removals of 2 items caught" in out


def test_one_of_several_named_tests_that_passes_is_a_survivor(repository: Path) -> None:
    change_list(
        repository, 'is_refused[-1]"', 'is_refused[-1]", "tests/test_sizes.py::test_a_good_size_is_taken"'
    )
    (item,) = read_items(repository)
    (removal,) = item.removals
    output = "FAILED tests/test_sizes.py::test_a_negative_size_is_refused[-1] - Failed: DID NOT RAISE\n"
    verdict = removals.judge(removal, removals.Run(1, output))
    assert verdict == "survived: tests/test_sizes.py::test_a_good_size_is_taken"


def test_a_file_that_does_not_import_without_the_check_is_not_a_catch(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change_list(
        repository,
        'text = "if size < 0:"\ninstead = "if False:"',
        'text = "def check_size("\ninstead = "def check_nothing("',
    )
    assert audit(repository) == 1
    assert "pytest ended with " in capsys.readouterr().out


def test_a_test_without_end_is_not_a_catch(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removals, "TEST_TIMEOUT_S", 2.0)
    write(
        repository,
        "program.py",
        PROGRAM.replace("if size < 0:", "while size < 0:\n        pass\n    if size < 0:"),
    )
    (item,) = read_items(repository)
    (removal,) = item.removals
    run = removals.run_tests(repository, removal.tests)
    assert removals.judge(removal, run) == "pytest ended with -1: no end within 2.0 s"


def test_tests_that_fail_with_every_check_in_place_end_the_audit(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, "program.py", PROGRAM.replace("size < 0", "size < -5"))
    change_list(repository, "if size < 0:", "if size < -5:")
    assert audit(repository) == 1
    said = capsys.readouterr()
    assert "expected the tests to pass with every check in place, got 1" in said.err
    assert "item | code" not in said.out


def test_only_tracked_files_are_there_when_tests_run(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repository, "tests/conftest.py", "raise RuntimeError\n")
    assert audit(repository) == 0
    assert "1 of 1 removals" in capsys.readouterr().out


def test_only_the_items_that_are_asked_for_are_tried(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_list(repository, LIST + SURVIVOR)
    assert audit(repository, "--list", "--only", "large") == 0
    assert capsys.readouterr().out == "large size\n  tx/2: the largest size (program.py, 1 tests)\n"
    assert audit(repository, "--only", "medium") == 1
    assert "expected an item of ['medium'], got none" in capsys.readouterr().err


def test_a_good_list_passes_its_check(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit(repository, "--check") == 0
    assert capsys.readouterr().out == "removals: 1 items, 1 removals, 2 tests; 0 problems\n"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("if size < 0:", "if size <= 0:", "expected the text once in program.py, got it 0 times"),
        ("if size < 0:", "raise ValueError", "expected the text once in program.py, got it 2 times"),
        ("if False:", "if size < 0:", "expected another text instead, got the same"),
        ("if False:", "if", "expected Python without the text, got"),
        ("program.py", "other.py", "expected the file other.py, got none"),
        ("test_sizes.py", "test_other.py", "expected an existing test, got tests/test_other.py::"),
        ("test_a_negative_size_is_refused[", "test_a_size_is_refused[", "expected an existing test, got"),
        ("tx/1", "tx/3", "expected a code of docs/errors.md, got tx/3"),
        ("is_refused[-1]", "is_refused[-9]", "docs/bad-input.md is not current: ./run docs"),
    ],
)
def test_what_is_wrong_with_the_list_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    change_list(repository, old, new)
    assert audit(repository, "--check") == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name =", "title =", "1_sizes.toml: expected name of type str, got None"),
        ("check =", "checks =", "expected check of type str, got None"),
        ('code = "tx/1"', "code = 1", "expected code of type str, got 1"),
        ('code = "tx/1"', 'colour = "red"', "expected no other keys, got colour"),
        ("[[item]]", "[item]", "expected item of type list"),
        ("[[item]]", "[[item", "1_sizes.toml: expected TOML, got"),
    ],
)
def test_a_file_of_another_form_is_refused(
    repository: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    change_list(repository, old, new)
    assert audit(repository, "--check") == 1
    assert problem in capsys.readouterr().err


def test_a_code_belongs_to_one_item(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(repository, LIST + SURVIVOR.replace("tx/2", "tx/1"))
    assert audit(repository, "--check") == 1
    assert "tx/1: expected a code of one item, got it in more" in capsys.readouterr().err


def test_an_item_without_refusal_has_an_outcome(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_list(repository, LIST + SURVIVOR.replace('code = "tx/2"\n', ""))
    assert audit(repository, "--check") == 1
    assert "expected a code, or an outcome of the item, got neither" in capsys.readouterr().err


def test_the_page_says_cause_cure_and_tests_of_every_item(repository: Path) -> None:
    write_list(repository, LIST.replace('code = "tx/1"\n', "") + SURVIVOR)
    assert audit(repository, "--write-docs") == 0
    first, second = (repository / "docs/bad-input.md").read_text().splitlines()[-2:]
    test = "`test_sizes.py::test_a_negative_size_is_refused"
    assert first == (
        f"| negative size | - | Nothing is written. | Nothing has to be done. | {test}[-1]`<br>{test}` |"
    )
    assert second == (
        "| large size | tx/2 | A size above nine. | Send one below. | `test_sizes.py::test_a_good_size_is_taken` |"
    )
