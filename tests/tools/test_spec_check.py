"""The check of docs/spec, on pages made for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools import spec_check

if TYPE_CHECKING:
    from pathlib import Path

RULE = "- **[TX-BODY-1]** The id is that of the chain (tx/8).\n  `tests/tx/test_it.py::test_it_holds`\n"

TABLE = "| rule | tests |\n|---|---|\n| it holds | `tests/tx/test_it.py::test_it_holds[twice]` |\n"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with one page of one good rule, its test and its error."""
    for folder in ("docs/spec", "tests/tx"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "docs/errors.md").write_text("## tx\n\n| code | cause |\n|---|---|\n| 8 | another chain |\n")
    (tmp_path / "tests/tx/test_it.py").write_text(
        "def test_it_holds(times: str = 'x') -> None: ...\n# \"twice\"\n"
    )
    (tmp_path / "docs/spec/page.md").write_text(RULE)
    (tmp_path / spec_check.TABLE).write_text(TABLE)
    return tmp_path


def test_a_rule_whose_test_and_error_exist_passes(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spec_check.main(["--root", str(repository)]) == 0
    assert (
        capsys.readouterr().out
        == "docs/spec: 1 rules, shown by 1 tests; docs/light-client-rules.md: 1 rows; 0 problems\n"
    )


def test_a_specification_without_rules_fails(repository: Path) -> None:
    (repository / "docs/spec/page.md").write_text("nothing\n")
    assert spec_check.main(["--root", str(repository)]) == 1


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("[TX-BODY-1]", "[body]", "expected a tag such as TX-BODY-2, got 'body'"),
        ("test_it_holds", "test_it_fails", "has no such test"),
        ("test_it.py", "test_other.py", "does not exist"),
        ("`tests/tx/test_it.py::test_it_holds`", "no test", "names no test"),
        ("the chain", "the chain, as in [TX-BODY-2]", "there is no rule [TX-BODY-2]"),
        ("tx/8", "tx/9", "there is no error tx/9"),
        (RULE, RULE + RULE, "[TX-BODY-1] is taken by page.md:1"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    (repository / "docs/spec/page.md").write_text(RULE.replace(old, new))
    assert spec_check.main(["--root", str(repository)]) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("test_it_holds", "test_it_fails", "has no such test"),
        ("[twice]", "[thrice]", "a case 'thrice' of tests/tx/test_it.py, which has no such case"),
        ("test_it.py", "test_other.py", "does not exist"),
        ("`tests/tx/test_it.py::test_it_holds[twice]`", "-", "names no test"),
        ("| it holds |", "it holds |", "there is no row"),
    ],
)
def test_what_is_wrong_with_a_row_of_the_table_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, problem: str
) -> None:
    (repository / spec_check.TABLE).write_text(TABLE.replace(old, new))
    assert spec_check.main(["--root", str(repository)]) == 1
    assert problem in capsys.readouterr().err
