"""`python -m relayer.main --config FILE`: the same as `gradchain relayer start`, without the rest of the command line."""

from __future__ import annotations

import sys

import click

from relayer.cli import start_command
from tx.errors import REGISTRY, AppError


def main() -> None:
    """Run a relayer; an expected failure is one line, its cure, and exit code 1."""
    try:
        start_command(prog_name="relayer", standalone_mode=False)
    except AppError as error:
        click.echo(f"error: {error}", err=True)
        registered = REGISTRY.get((error.CODESPACE, error.CODE))
        if registered is not None:
            click.echo(f"cure: {registered.CURE}", err=True)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


if __name__ == "__main__":
    main()
