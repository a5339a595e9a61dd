"""A command group that imports a subcommand only when it is used.

`gradchain --help` must not pay for gRPC, numpy or torch; so a group knows of each lazy subcommand its name, one line
of help and where it is defined.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command is defined, and the line that stands beside its name."""

    target: str
    """`module:attribute`."""
    summary: str
    hidden: bool = False


class LazyGroup(click.Group):
    """A group of lazy commands, listed in the order in which they are declared."""

    def __init__(
        self,
        name: str,
        commands: Mapping[str, LazyCommand],
        *,
        help: str,  # noqa: A002 - click's name
        epilog: str | None = None,
        params: Sequence[click.Parameter] = (),
        callback: Callable[..., None] | None = None,
    ) -> None:
        super().__init__(
            name,
            # Placeholders: enough for the list of commands, and for suggestions after a misspelt name.
            {
                key: click.Command(key, help=lazy.summary, hidden=lazy.hidden)
                for key, lazy in commands.items()
            },
            help=help,
            epilog=epilog,
            params=list(params),
            callback=callback,
        )
        self.lazy = commands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of their declaration."""
        return list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        lazy = self.lazy.get(cmd_name)
        return super().get_command(ctx, cmd_name) if lazy is None else load_command(lazy)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        rows = [
            (name, command.get_short_help_str(formatter.width))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def load_command(lazy: LazyCommand) -> click.Command:
    """Import a lazy command.

    Raises:
      TypeError: what the target names is no command.

    """
    module, _, attribute = lazy.target.partition(":")
    command = getattr(import_module(module), attribute)
    if not isinstance(command, click.Command):
        raise TypeError(f"expected a command at {lazy.target}, got {type(command).__name__}")
    return command
