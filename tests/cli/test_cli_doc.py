from __future__ import annotations

from typing import TYPE_CHECKING

from cli.lazy import LazyGroup
from cli.main import COMMANDS, EPILOG, HELP
from tools import cli_doc

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

SOME = LazyGroup(
    "gradchain", {name: COMMANDS[name] for name in ("key", "update", "node")}, help=HELP, epilog=EPILOG
)


def test_the_page_has_every_verb_and_option() -> None:
    text = cli_doc.render(SOME)
    for heading in ("## gradchain key", "### gradchain key new", "### gradchain update make"):
        assert f"\n{heading}\n" in text
    assert "--check-commitments" in text
    assert "130  interrupted" in text


def test_hidden_commands_are_left_out() -> None:
    assert "gradchain node app" not in cli_doc.render(SOME)


def test_the_page_depends_on_neither_terminal_nor_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = cli_doc.render(SOME)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("GRADCHAIN_HUB", "127.0.0.1:1")
    monkeypatch.setenv("GRADCHAIN_HOME", "/somewhere")
    assert cli_doc.render(SOME) == before


def test_no_line_is_wider_than_the_page_and_none_ends_in_blanks() -> None:
    lines = cli_doc.render(SOME).splitlines()
    assert all(line == line.rstrip() for line in lines)
    assert max(len(line) for line in lines) <= 120


def test_a_page_that_is_not_current_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "docs" / "cli.md"
    monkeypatch.setattr(cli_doc, "TARGET", target)
    monkeypatch.setattr(cli_doc, "root", SOME)

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["cli_doc.py", *arguments])
        return cli_doc.main()

    assert run("--check") == 1
    assert run() == 0
    assert run("--check") == 0
    target.write_text(target.read_text() + "more\n")
    assert run("--check") == 1
    assert "not current" in capsys.readouterr().out
