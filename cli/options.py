"""The options that commands share, and how they become a session."""

from __future__ import annotations

import functools
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import structlog

from abci_app.option_types import NODE_ADDRESS, Seconds
from cli.context import DEFAULT_LOCALNET, DEFAULT_TIMEOUT_S, NetworkOptions, Session
from cli.params import CHAIN_ADDRESS, TASK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

json_option: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

task_option: Final = click.option("--task", type=TASK, required=True, metavar="N", help="Number of the task.")

_NETWORK: Final = (
    click.option(
        "--hub",
        multiple=True,
        type=NODE_ADDRESS,
        envvar="GRADCHAIN_HUB",
        show_envvar=True,
        help="gRPC address of a hub node; give several for failover.",
    ),
    click.option(
        "--shard",
        "shards",
        multiple=True,
        type=CHAIN_ADDRESS,
        envvar="GRADCHAIN_SHARDS",
        show_envvar=True,
        help="Chain id of a shard and gRPC address of one of its nodes; give it once for each node.",
    ),
    click.option(
        "--genesis",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="GRADCHAIN_GENESIS",
        show_envvar=True,
        help="The hub's genesis file, against which answers are verified.",
    ),
    click.option(
        "--localnet",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="GRADCHAIN_LOCALNET",
        show_envvar=True,
        help=f"Directory of a localnet, which knows all of the above. Without it and without --hub, "
        f"{DEFAULT_LOCALNET} is used if it exists.",
    ),
    click.option(
        "--timeout",
        "timeout_s",
        type=Seconds(0.1, 86_400),
        default=DEFAULT_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="How long to wait for an answer, or until what was sent is in a block.",
    ),
)

_KEY: Final = click.option(
    "--key",
    metavar="NAME|FILE",
    envvar="GRADCHAIN_KEY",
    show_envvar=True,
    help="The key: a name of `gradchain key list`, an account of the localnet, or a key file.",
)


def configure_logs() -> None:
    """Keep what libraries log off standard output, which is for results; --debug shows all of it."""
    level = logging.DEBUG if click.get_current_context().find_root().params.get("debug") else logging.WARNING
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def with_network(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that needs no key the options for the network, and a session made of them."""
    return _with_options(command, (*_NETWORK, json_option))


def with_key(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options for the network and a key, and a session made of them."""
    return _with_options(command, (_KEY, *_NETWORK, json_option))


def _with_options(
    command: Callable[..., None], options: Sequence[Callable[[Callable[..., None]], Callable[..., None]]]
) -> Callable[..., None]:
    @functools.wraps(command)
    def run(
        hub: tuple[str, ...],
        shards: tuple[tuple[str, str], ...],
        genesis: Path | None,
        localnet: Path | None,
        timeout_s: float,
        as_json: bool,
        key: str | None = None,
        **rest: object,
    ) -> None:
        configure_logs()
        network = NetworkOptions(hub, shards, genesis, localnet, timeout_s)
        session = Session(network, key, as_json=as_json)
        click.get_current_context().call_on_close(session.close)
        command(session, **rest)

    decorated: Callable[..., None] = run
    for option in reversed(options):
        decorated = option(decorated)
    return decorated
