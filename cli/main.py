"""`gradchain`: the command line.  Noun, then verb.

This module imports nothing but click: whatever a command needs is imported when it runs.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from cli.errors import Exit
from cli.lazy import LazyCommand, LazyGroup
from cli.text import clean
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEBUG_VARIABLE: Final = "GRADCHAIN_DEBUG"

COMMANDS: Final = {
    "key": LazyCommand("cli.keys:key_group", "Make and show keys."),
    "faucet": LazyCommand("cli.accounts:faucet_command", "Give an account tokens of a localnet."),
    "account": LazyCommand("cli.accounts:account_group", "Look at balances."),
    "transfer": LazyCommand("cli.accounts:transfer_command", "Send tokens to another account."),
    "task": LazyCommand("cli.tasks:task_group", "Create and look at tasks."),
    "participant": LazyCommand("cli.participants:participant_group", "Take part in a task."),
    "update": LazyCommand("cli.updates:update_group", "Make, submit and look at updates."),
    "round": LazyCommand("cli.rounds:round_group", "Look at the rounds of a task, or follow them."),
    "model": LazyCommand("cli.models:model_group", "Fetch a task's model, or verify it."),
    "node": LazyCommand("cli.nodes:node_group", "Run a node and look after it."),
    "relayer": LazyCommand("relayer.cli:relayer_group", "Link chains and carry packets between them."),
    "localnet": LazyCommand("localnet.cli:localnet_group", "Run a whole network on this machine."),
    "demo": LazyCommand("localnet.demo.command:demo_command", "Train, verify and pay across real chains."),
    "bench": LazyCommand("bench.main:bench_command", "Measure beside the yardsticks."),
}

OS_CURE: Final = "Check that the path exists, that you may use it, and that the disk has room."

PACKAGE_CURE: Final = (
    "In a checkout `./run setup` installs everything, and `pip install '.[participant]'` what training needs; `bench` is "
    "in no installed package."
)

HELP: Final = """Federated learning without a trusted server, on sharded CometBFT chains.

Commands take --json: their result, and nothing else, then goes to standard output (`demo` and `bench` write it to a
FILE; `node start` has none).  Errors go to standard error: a line `error: ... [codespace/code]` and a line `cure: ...`.
"""

EPILOG: Final = """\b
Exit codes:
    0  done
    1  refused by a chain, or invalid data
    2  wrong use of the command line
    3  no node answered, or not in time
    4  verification failed
    5  something on this machine: files, ports, tools
   70  a bug; --debug shows where
  130  interrupted
  141  who read the output stopped reading
"""


class RootGroup(LazyGroup):
    """The group that turns every failure into one line, a cure and an exit code."""

    def invoke(self, ctx: click.Context) -> None:
        """Run the command line.

        Raises:
          Exit: with the code of what failed.

        """
        try:
            super().invoke(ctx)
        except AppError as error:
            from cli.faults import cure_of, exit_of  # noqa: PLC0415 - paid for by failures alone

            _fail(ctx, error, str(error), cure_of(error), exit_of(error))
        except BrokenPipeError:
            ctx.exit(Exit.PIPE_CLOSED)
        except OSError as error:
            message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            _fail(ctx, error, message, OS_CURE, Exit.ENVIRONMENT)
        except ModuleNotFoundError as error:
            _fail(ctx, error, f"expected the package {error.name}, got none", PACKAGE_CURE, Exit.ENVIRONMENT)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last resort of the process
            message = f"unexpected {type(error).__name__}: {error}"
            cure = "this is a bug; `gradchain --debug ...` shows where it happened"
            _fail(ctx, error, message, cure, Exit.BUG)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: object,
    ) -> click.Context:
        """Parse a command line; help is printed here already.

        Raises:
          Exit: nobody reads the help.

        """
        try:
            return super().make_context(info_name, args, parent, **extra)
        except BrokenPipeError:
            raise click.exceptions.Exit(Exit.PIPE_CLOSED) from None

    def main(  # type: ignore[override]  # click's catch-all keywords are of no use here
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
    ) -> int:
        """Run a command line and end the process with its exit code."""
        try:
            code = super().main(args, prog_name or self.name, complete_var, standalone_mode=False)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            code = Exit.USAGE
        except click.UsageError as error:
            path = error.ctx.command_path if error.ctx else self.name
            _write_error(error.format_message(), f"`{path} --help` explains the options")
            code = Exit.USAGE
        except click.ClickException as error:
            _write_error(error.format_message(), "")
            code = Exit.ENVIRONMENT
        except click.Abort:
            click.echo("interrupted", err=True)
            code = Exit.INTERRUPTED
        code = code if isinstance(code, int) else Exit.OK
        if standalone_mode:
            sys.exit(int(code))
        return int(code)


def _write_error(message: str, cure: str) -> None:
    click.echo(f"error: {clean(message)}", err=True)
    if cure:
        click.echo(f"cure: {clean(cure)}", err=True)


def _fail(ctx: click.Context, error: Exception, message: str, cure: str, code: Exit) -> NoReturn:
    if ctx.params.get("debug"):
        import traceback  # noqa: PLC0415

        traceback.print_exception(error, file=sys.stderr)
    _write_error(message, cure)
    ctx.exit(code)


def _start(*, debug: bool) -> None:
    """Take the options that stand before the noun; `invoke` looks at them."""
    del debug


def _show_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from abci_app.version import VERSION  # noqa: PLC0415

        click.echo(f"gradchain {VERSION}")
        ctx.exit()


root = RootGroup(
    "gradchain",
    COMMANDS,
    help=HELP,
    epilog=EPILOG,
    callback=_start,
    params=[
        click.Option(
            ["--debug"], is_flag=True, envvar=DEBUG_VARIABLE, help="Show a traceback when something fails."
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Print the version and exit.",
        ),
    ],
)


def main() -> None:
    """Run the command line of this process."""
    code = root.main(prog_name="gradchain", standalone_mode=False)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more; keep the interpreter from complaining when it flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = Exit.PIPE_CLOSED
    sys.exit(int(code))


if __name__ == "__main__":
    main()
