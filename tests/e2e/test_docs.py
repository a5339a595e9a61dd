"""What the documentation tells people to type, to import and to look at exists."""

from __future__ import annotations

import ast
import re
import shlex
from importlib import import_module
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from abci_app.metrics import Metrics
from cli.main import root
from relayer.metrics import RelayMetrics
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from prometheus_client import CollectorRegistry

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
OPERATIONS = ROOT / "docs" / "operations.md"
SDK = ROOT / "docs" / "sdk.md"
EXAMPLE = ROOT / "docs" / "examples" / "own_task.py"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^(?:\$ )?(?:\./run )?(gradchain .*?)(?: &)?$", re.MULTILINE)
_INLINE = re.compile(r"`(?:\./run )?(gradchain [a-z-]+(?: [a-z-]+)?)[^`]*`")
_METRIC = re.compile(r"`(gradchain_[a-z_]+)`")


def read_blocks(page: Path, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return [text for found, text in _FENCE.findall(page.read_text()) if found == language]


def find_commands(page: Path) -> list[str]:
    """Return the command lines in the shell blocks of a page."""
    return [line for block in read_blocks(page, "sh") for line in _COMMAND.findall(block)]


def resolve(words: list[str]) -> tuple[click.Command, list[str], set[str]]:
    """Return the command that words name, what is left of them, and the options that it knows."""
    command: click.Command = root
    known = {"--help"}
    context = click.Context(root)
    while True:
        known |= {name for parameter in command.params for name in parameter.opts}
        rest = [word for word in words if not (command is root and word in known)]
        if not isinstance(command, click.Group) or not rest:
            return command, rest, known
        found = command.get_command(context, rest[0])
        assert found is not None, f"no command {rest[0]!r} in {command.name}"
        command, words = found, rest[1:]


def all_commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for line in find_commands(page):
            yield page.name, line


@pytest.mark.parametrize(("page", "line"), sorted(set(all_commands())))
def test_a_command_of_the_documentation_exists_with_its_options(page: str, line: str) -> None:
    command, rest, known = resolve(shlex.split(line)[1:])
    options = [word.partition("=")[0] for word in rest if word.startswith("-") and len(word) > 1]
    assert set(options) <= known, f"{page}: {line}"
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.required:
            assert set(parameter.opts) & set(options), f"{page}: {line} lacks {parameter.opts[0]}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_command_named_in_the_text_has_help(page: Path) -> None:
    for path in sorted(set(_INLINE.findall(page.read_text()))):
        command, rest, _ = resolve(path.split()[1:])
        assert isinstance(command, click.Command)
        words = path.split()[1:][: len(path.split()) - 1 - len(rest)]
        result = CliRunner().invoke(root, [*words, "--help"])
        assert result.exit_code == 0, result.output


def test_the_pages_for_users_have_commands() -> None:
    assert len(find_commands(OPERATIONS)) > 20
    assert len(find_commands(SDK)) > 5


def list_metrics(registry: CollectorRegistry) -> set[str]:
    """Return the names under which Prometheus finds the metrics of a registry."""
    names = set()
    for metric in registry.collect():
        names.add(metric.name + ("_total" if metric.type == "counter" else ""))
    return names


def test_every_metric_is_documented_and_every_documented_metric_exists() -> None:
    known = list_metrics(Metrics("hub").registry) | list_metrics(RelayMetrics().registry)
    assert set(_METRIC.findall(OPERATIONS.read_text())) == known


def test_the_python_in_the_sdk_page_imports_and_calls_what_exists() -> None:
    (block,) = read_blocks(SDK, "python")
    tree = ast.parse(block)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = import_module(str(node.module))
            assert all(hasattr(module, name.name) for name in node.names)
    from participant.connect import Network
    from participant.sdk import Participant, RoundWork

    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called == {"join", "rounds", "load_into", "submit", "load_model"}
    assert all(any(hasattr(owner, name) for owner in (Network, Participant, RoundWork)) for name in called)


def test_the_example_needs_a_dozen_lines_of_the_sdk() -> None:
    """Count the lines inside the `with` statement, and those that import the SDK."""
    tree = ast.parse(EXAMPLE.read_text())
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.With)]
    assert len(blocks) == 1
    imports = [
        node
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("participant.")
    ]
    lines = (blocks[0].end_lineno or 0) - blocks[0].lineno + 1 + len(imports)
    assert lines <= 17
    assert "examples/own_task.py" in SDK.read_text()


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"
