"""`gradchain relayer config|keys`: writing and checking the configuration, and the keys that it names."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from abci_app.option_types import NODE_ADDRESS
from relayer.cli_checks import examine_live, report
from relayer.cli_common import CONFIG_NAME, config_option, json_option, load_quietly, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from relayer.config import RelayerConfig


# --- config ----------------------------------------------------------------------------------------------------------


@click.group(name="config")
def config_group() -> None:
    """Write and check the configuration."""


@config_group.command(name="init")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path(CONFIG_NAME),
    show_default=True,
    help="File to write.",
)
@click.option(
    "--localnet",
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of a localnet whose chains and keys to take.",
)
@click.option(
    "--hub", multiple=True, type=NODE_ADDRESS, help="gRPC address of a hub node; several for failover."
)
@click.option(
    "--shard", "shards", multiple=True, type=NODE_ADDRESS, help="gRPC address of a node of a shard."
)
@click.option(
    "--key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("keys/relayer.json"),
    show_default=True,
    help="Key that signs; relative to the file.",
)
@click.option(
    "--authority-key-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Key of the chains' authority, for `link`; relative to the file.",
)
@json_option
def init_command(
    *,
    out: Path,
    localnet: Path | None,
    hub: Sequence[str],
    shards: Sequence[str],
    key_file: Path,
    authority_key_file: Path | None,
    as_json: bool,
) -> None:
    """Write a commented configuration, for a localnet or for the chains to which some nodes belong.

    Nodes are asked for the names of their chains and for the address of their CometBFT.
    """
    from relayer.config_text import write_new_config  # noqa: PLC0415
    from relayer.make_config import from_localnet, from_nodes  # noqa: PLC0415

    if bool(hub) != bool(shards) or (localnet is None) == (not hub):
        raise click.UsageError("expected --localnet, or --hub and --shard")
    config = (
        from_nodes(hub, shards, key_file, authority_key_file) if localnet is None else from_localnet(localnet)
    )
    write_new_config(out, config)
    chain_ids = [str(chain.chain_id) for chain in config.chains]
    if as_json:
        click.echo(json.dumps({"config": str(out), "chains": chain_ids}, indent=2))
        return
    click.echo(f"{out}: {', '.join(chain_ids)}")
    click.echo(f"next: {', '.join(list_next_steps(out, config))}")


def list_next_steps(path: Path, config: RelayerConfig) -> list[str]:
    """Return the commands that lead from a new configuration to a link that is healthy."""
    from relayer.keylist import DIRECTORY  # noqa: PLC0415

    option = "" if path == Path(CONFIG_NAME) else f" --config {shlex.quote(str(path))}"
    key = config.hub.key_files[0]
    steps: list[str] = []
    if key.parent == Path(DIRECTORY) and not (path.parent / key).exists():
        steps.append(f"keys add {key.stem}")
    if config.hub.authority_key_file is not None:
        steps.append("link")
    steps.append("config validate --live")
    return [f"gradchain relayer {step}{option}" for step in steps]


@config_group.command(name="validate")
@config_option
@click.option("--live", is_flag=True, help="Ask the chains too: everything that `relayer health` looks at.")
@json_option
def validate_command(*, config_path: Path, live: bool, as_json: bool) -> None:
    """Check the configuration and its keys; every problem is listed.

    With --live each node is asked whether it answers and belongs to the right chain, accounts must hold what
    min_balance says, the links' clients must exist and be active, and trusted headers are compared with nodes and clients.
    """
    config = load_quietly(config_path)
    if live:
        examination, problem = asyncio.run(examine_live(config))
    else:
        from relayer.examine import examine_files  # noqa: PLC0415

        examination, problem = examine_files(config)
    report(examination, problem, as_json=as_json)


# --- keys ------------------------------------------------------------------------------------------------------------


@click.group(name="keys")
def keys_group() -> None:
    """Make and show the keys that sign what is relayed.

    A key is a file that only its owner can read; the configuration names it in key_files of a chain.
    """


@keys_group.command(name="list")
@config_option
@json_option
def keys_list_command(*, config_path: Path, as_json: bool) -> None:
    """List the keys of all chains with their addresses."""
    from relayer.keylist import list_keys  # noqa: PLC0415

    found = list_keys(load_quietly(config_path))
    if as_json:
        print_json(found)
    else:
        print_rows(found.keys, ("chain", "role", "address", "file", "problem"))


@keys_group.command(name="add")
@config_option
@click.argument("name")
@click.option(
    "--chain", "chains", multiple=True, help="Chain id; several may be given. All chains if left out."
)
@json_option
def keys_add_command(*, config_path: Path, name: str, chains: Sequence[str], as_json: bool) -> None:
    """Make the key keys/NAME.json beside the configuration if it is not there, and name it in key_files of chains.

    What the configuration names already is left as it is, so the command also makes the key of a new configuration.
    """
    from relayer.keylist import add_key, is_key_name  # noqa: PLC0415

    if not is_key_name(name):
        raise click.BadParameter(
            f"expected 1 to 64 letters, digits, dots, dashes and underscores, got {name!r}"
        )
    added = add_key(config_path, load_quietly(config_path), name, chains)
    if as_json:
        print_json(added)
        return
    click.echo(f"{added.address} in {added.file}{' (made)' if added.made else ''}")
    click.echo(f"named for {', '.join(added.chains)}" if added.chains else "named already")


@keys_group.command(name="show")
@config_option
@click.argument("name")
@json_option
def keys_show_command(*, config_path: Path, name: str, as_json: bool) -> None:
    """Show address and public key of a key of the configuration, or of the file NAME; the secret stays in its file."""
    from relayer.keylist import show_key  # noqa: PLC0415

    view = show_key(config_path, load_quietly(config_path), name)
    if as_json:
        print_json(view)
        return
    click.echo(f"address     {view.address}")
    click.echo(f"public key  {view.public_key}")
    click.echo(f"file        {view.file}")
    click.echo(f"signs for   {', '.join(view.chains) or 'no chain of this configuration'}")
