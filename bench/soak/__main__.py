"""Long runs under faults: `./run soak`."""

from __future__ import annotations

import sys

import click

from bench.soak.command import link_command
from bench.soak.demo import demo_command
from tx.errors import AppError


@click.group()
def soak_group() -> None:
    """Run for long while processes are killed, and audit what is left."""


soak_group.add_command(link_command)
soak_group.add_command(demo_command)


def main() -> None:
    """Run a soak; an expected failure is a line with its cure."""
    try:
        soak_group(prog_name="./run soak")
    except AppError as error:
        click.echo(f"error: {error}\ncure: {error.CURE}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
