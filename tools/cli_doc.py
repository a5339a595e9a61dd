"""Generate docs/cli.md from the help of every command; with --check, fail when the file is not current."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cli.main import root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.lazy import LazyGroup

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "cli.md"
WIDTH: Final = 100
HEAD = """\
# The command line

`./run gradchain ...`, or `gradchain ...` inside the environment: a noun, then a verb.  This page is generated from the
commands' own help by `./run docs`.

- `--json` prints the result, and nothing else, on standard output: stable keys, integers as numbers, bytes as hex,
  addresses as text.  `round watch` prints one object a line.
- An error is a line `error: ... [codespace/code]` on standard error and, where one is known, a line `cure: ...`;
  [errors.md](errors.md) lists all codes.
- On a localnet no option says where the network is: a command finds `.gradchain/localnet` in the current folder.
  Elsewhere `--hub`, `--shard` and `--genesis`, or their environment variables, say so.
- What is marked as verified was checked by light client from the genesis file; the rest is the word of the node that
  answered.
- After `eval "$(_GRADCHAIN_COMPLETE=bash_source gradchain)"` the shell completes verbs, options and choices; for zsh it
  is `zsh_source`, for fish `_GRADCHAIN_COMPLETE=fish_source gradchain | source`.
"""


def walk(command: click.Command, path: str, parent: click.Context | None) -> Iterator[tuple[str, str]]:
    """Yield (what is typed, help text) of a command and of all below it that are shown.

    Raises:
      ModuleNotFoundError: a command is listed, but not there.

    """
    context = click.Context(
        command,
        info_name=path.rpartition(" ")[2],
        parent=parent,
        terminal_width=WIDTH,
        max_content_width=WIDTH,
    )
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from walk(child, f"{path} {name}", context)


def render(group: LazyGroup) -> str:
    """Return the page."""
    sections = [HEAD]
    for path, text in walk(group, str(group.name), None):
        level = "##" if path.count(" ") <= 1 else "###"
        lines = "\n".join(line.rstrip() for line in text.splitlines())
        sections.append(f"{level} {path}\n\n```text\n{lines}\n```\n")
    return "\n".join(sections)


def main() -> int:
    """Write or check the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    text = render(root)
    if check:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            print("docs/cli.md is not current: ./run docs")
            return 1
        return 0
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
