"""What the relayer's commands share: options, reading the configuration, printing."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from _typeshed import DataclassInstance

    from relayer.config import RelayerConfig


CONFIG_NAME: Final = "relayer.toml"


def find_config() -> Path:
    """Return the configuration to take when none is named: that of this folder, or else that of the localnet."""
    own = Path(CONFIG_NAME)
    localnet = Path(os.environ.get("GRADCHAIN_LOCALNET") or ".gradchain/localnet") / "relayer" / own
    return localnet if localnet.exists() and not own.exists() else own


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=find_config,
    show_default="relayer.toml, or that of the localnet",
    help="Configuration file; relayer.example.toml explains every setting.",
)
shards_option = click.option(
    "--shard",
    "shards",
    multiple=True,
    help="Chain id of a shard; several may be given. All of them if left out.",
)


def load_quietly(config_path: Path) -> RelayerConfig:
    """Read the configuration of a command that prints its result, so that only trouble is logged."""
    from relayer.config import load_config  # noqa: PLC0415
    from relayer.logs import set_up_logs  # noqa: PLC0415

    config = load_config(config_path)
    set_up_logs(config.log_format, "warning")
    return config


def choose_shards(config: RelayerConfig, names: Sequence[str]) -> RelayerConfig:
    """Return a configuration for some of its shards; all of them if none is named.

    Raises:
      ShardUnknown: it serves no such shard.

    """
    from relayer.errors import ShardUnknown  # noqa: PLC0415

    served = [str(shard.chain_id) for shard in config.served_shards]
    for name in names:
        if name not in served:
            raise ShardUnknown(f"expected one of {', '.join(served) or 'no shards'}, got {name}")
    if not names:
        return config
    return dataclasses.replace(config, filter=dataclasses.replace(config.filter, shards=tuple(names)))


def check_chain(config: RelayerConfig, name: str) -> None:
    """Check that a configuration names a chain.

    Raises:
      ShardUnknown: it does not.

    """
    from relayer.errors import ShardUnknown  # noqa: PLC0415

    known = [str(chain.chain_id) for chain in config.chains]
    if name not in known:
        raise ShardUnknown(f"expected one of {', '.join(known)}, got {name}")


def print_json(value: DataclassInstance) -> None:
    """Print a frozen value as JSON; its fields' names are the keys."""
    click.echo(json.dumps(dataclasses.asdict(value), indent=2))


def print_rows(
    rows: Sequence[DataclassInstance],
    columns: Sequence[str],
    title: str = "",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Print some fields of values as a table, None as a dash, under `headers`, or their names with spaces for underscores."""
    from abci_app.table import print_table  # noqa: PLC0415

    table = [tuple(_format_cell(getattr(row, column)) for column in columns) for row in rows]
    names = tuple(headers.get(column, column.replace("_", " ")) for column in columns)
    print_table(names, table, title)


def _format_cell(value: object) -> str:
    return "-" if value is None else str(value)


def print_errors(errors: Iterable[tuple[str, str]]) -> None:
    """Print below a table what is too long for it: what each of its subjects has to say, if that is anything."""
    for subject, error in errors:
        if error:
            # That of a chain without a node that answers names the chain itself.
            click.echo(f"{subject}: {error.removeprefix(f'{subject}: ')}")
