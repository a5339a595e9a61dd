"""`gradchain node init|start|status|doctor`: one node of a chain.

Modules that only one command needs are imported by it: a shell completes and prints help without them.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from abci_app.errors import HomeInvalid
from abci_app.node_options import check_endpoint, check_listeners, check_peers, read_app_state, read_genesis
from abci_app.nodehome import KINDS, NodeConfig, NodeHome, load_config
from abci_app.table import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from abci_app.comet_home import Genesis, NodeKeys
    from abci_app.doctor import Examination

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
home_option = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".gradchain/node"),
    show_default=True,
    help="Directory of the node.",
)

DEFAULT_POWER: Final = 10

EXIT_ENVIRONMENT: Final = 5
"""Exit code of what is wrong on this machine, as `gradchain --help` lists it."""


@click.group(name="node")
def node_group() -> None:
    """Make, run and examine a node of a chain."""


@node_group.command(name="init")
@home_option
@click.option("--kind", type=click.Choice(KINDS), required=True, help="Which app the node runs.")
@click.option("--chain-id", required=True, help="Name of the chain, the same on all its nodes.")
@click.option("--name", default="node", show_default=True, help="Name of the node, for people.")
@click.option(
    "--rpc",
    default="127.0.0.1:26657",
    show_default=True,
    metavar="HOST:PORT",
    callback=check_endpoint,
    help="Where CometBFT's RPC listens.",
)
@click.option(
    "--p2p",
    default="127.0.0.1:26656",
    show_default=True,
    metavar="HOST:PORT",
    callback=check_endpoint,
    help="Where peers connect.",
)
@click.option(
    "--grpc",
    default="127.0.0.1:26658",
    show_default=True,
    metavar="HOST:PORT",
    callback=check_endpoint,
    help="Where the app's gRPC listens.",
)
@click.option(
    "--metrics",
    default="",
    metavar="HOST:PORT",
    callback=check_endpoint,
    help="Where the app's metrics are served; nowhere if left out.",
)
@click.option(
    "--external-p2p",
    default="",
    metavar="HOST:PORT",
    callback=check_endpoint,
    help="Address under which peers reach the node, if it is another one.",
)
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="ID@HOST:PORT",
    callback=check_peers,
    help="A peer that is always dialled; may be repeated.",
)
@click.option(
    "--backend", default="", help="Database of the app's state; chosen by what is installed if left out."
)
@click.option(
    "--genesis",
    "genesis_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="genesis.json of the chain; without it a new one is written.",
)
@click.option(
    "--app-state",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON file with the app_state of a new genesis; a hub or shard cannot start without one.",
)
@click.option(
    "--validator",
    "validators",
    multiple=True,
    metavar="KEY:POWER",
    help="A further validator of a new genesis, its public key in hexadecimal; may be repeated.",
)
@json_option
def init_command(
    home: Path,
    peers: Sequence[str],
    genesis_file: Path | None,
    app_state: Path | None,
    validators: Sequence[str],
    as_json: bool,  # click passes options by name
    **texts: str,
) -> None:
    """Make the home of a node, with new keys.

    For a chain on several hosts: make a home on each, make the genesis on one of them with a --validator for each
    other, and put that config/genesis.json on all.
    """
    from abci_app.comet_home import NodeKeys, format_genesis  # noqa: PLC0415
    from abci_app.keyfile import generate_key  # noqa: PLC0415
    from abci_app.nodehome import make_home  # noqa: PLC0415

    node_home = NodeHome(home.absolute())
    keys = NodeKeys(generate_key(), generate_key())
    config = _build_config(node_home, texts, peers)
    if genesis_file is None:
        genesis = format_genesis(_new_genesis(config, keys, app_state, validators), config.comet)
    else:
        genesis = read_genesis(genesis_file, config.chain_id)
    make_home(node_home, config, genesis, keys)
    made = {
        "home": str(node_home.path),
        "node_id": keys.node_id,
        "validator": keys.validator.public_key.hex(),
        "genesis": str(node_home.genesis_file),
    }
    _print_values(made, as_json=as_json)
    if config.kind != "kvstore" and genesis_file is None and app_state is None and not as_json:
        click.echo(f"next: put the chain's genesis into {node_home.genesis_file}: this one has no app_state")


def _build_config(home: NodeHome, texts: Mapping[str, str], peers: Sequence[str]) -> NodeConfig:
    """Return the configuration that the options of `init` describe."""
    from abci_app.endpoint import parse_endpoint  # noqa: PLC0415
    from abci_app.nodehome import check_chain_id, choose_socket  # noqa: PLC0415

    try:
        check_chain_id(texts["chain_id"], "--chain-id")
    except HomeInvalid as error:
        raise click.UsageError(error.message) from None
    has_services = texts["kind"] != "kvstore"
    config = NodeConfig(
        kind=texts["kind"],  # type: ignore[arg-type]  # click has checked it
        name=texts["name"],
        chain_id=texts["chain_id"],
        abci=choose_socket(home),
        rpc=parse_endpoint(texts["rpc"]),
        p2p=parse_endpoint(texts["p2p"]),
        grpc=parse_endpoint(texts["grpc"]) if has_services else None,
        metrics=parse_endpoint(texts["metrics"]) if has_services and texts["metrics"] else None,
        peers=tuple(peers),
        external_p2p=texts["external_p2p"],
        backend=texts["backend"],
    )
    check_listeners(config.listeners)
    return config


def _new_genesis(
    config: NodeConfig, keys: NodeKeys, app_state: Path | None, validators: Sequence[str]
) -> Genesis:
    from abci_app.comet_home import Genesis, GenesisValidator  # noqa: PLC0415

    own = GenesisValidator(keys.validator.public_key, DEFAULT_POWER, config.name)
    others = [_parse_validator(text) for text in validators]
    return Genesis(
        config.chain_id,
        int(time.time()),
        (own, *(GenesisValidator(key, power) for key, power in others)),
        read_app_state(app_state),
    )


def _parse_validator(text: str) -> tuple[bytes, int]:
    key, _, power = text.partition(":")
    try:
        parsed = bytes.fromhex(key), int(power)
    except ValueError:
        parsed = b"", 0
    if len(parsed[0]) != 32 or parsed[1] < 1:
        raise click.BadParameter(
            f"expected KEY:POWER with 64 hexadecimal digits and a power from 1, got {text!r}",
            param_hint="--validator",
        )
    return parsed


@node_group.command(name="start")
@home_option
def start_command(home: Path) -> None:
    """Run a node in the foreground until Ctrl-C or SIGTERM."""
    from abci_app.supervisor import run_node  # noqa: PLC0415

    node_home = NodeHome(home.absolute())
    config = load_config(node_home)

    def announce() -> None:
        click.echo(
            f"{config.name} of {config.chain_id} runs; RPC {config.rpc_url}, logs in {node_home.path / 'logs'}"
        )

    run_node(node_home, on_started=announce)


@node_group.command(name="status")
@home_option
@click.option(
    "--grpc", metavar="HOST:PORT", callback=check_endpoint, help="A node's gRPC, instead of a home."
)
@json_option
def status_command(home: Path, grpc: str | None, as_json: bool) -> None:
    """Show how a node does."""
    _print_values(_grpc_status(grpc) if grpc else _home_status(NodeHome(home.absolute())), as_json=as_json)


def _grpc_status(address: str) -> dict[str, str | int | bool]:
    from abci_app.client import ChainConnection  # noqa: PLC0415
    from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc  # noqa: PLC0415

    connection = ChainConnection([address])
    try:
        answer = connection.call(
            lambda channel: query_pb2_grpc.NodeServiceStub(channel).GetStatus(
                query_pb2.GetStatusRequest(), timeout=5
            )
        )
    finally:
        connection.close()
    return {
        "chain_id": answer.chain_id,
        "kind": answer.kind,
        "height": answer.height,
        "app_hash": answer.app_hash.hex(),
        "block_time_ns": answer.block_time_ns,
        "version": answer.version,
        "state_keys": answer.state_keys,
        "rpc": answer.rpc_address,
    }


def _home_status(home: NodeHome) -> dict[str, str | int | bool]:
    from abci_app.nodestate import read_state  # noqa: PLC0415
    from abci_app.rpc import CometRpc  # noqa: PLC0415

    config = load_config(home)
    state = read_state(home)
    values: dict[str, str | int | bool] = {
        "name": config.name,
        "chain_id": config.chain_id,
        "kind": config.kind,
        "phase": state.phase,
        "restarts": state.restarts,
        "reason": state.reason,
    }
    if not state.is_supervised:
        return values
    with CometRpc(config.rpc_url, timeout_s=5.0) as rpc:
        status, peers, mempool = rpc.status(), rpc.peer_count(), rpc.mempool_size()
    return values | {
        "cometbft": status.version,
        "node_id": status.node_id,
        "height": status.height,
        "app_hash": status.app_hash.hex(),
        "block_time_ns": status.block_time_ns,
        "catching_up": status.catching_up,
        "peers": peers,
        "mempool_txs": mempool.txs,
        "mempool_bytes": mempool.size_bytes,
    }


@node_group.command(name="doctor")
@home_option
@json_option
def doctor_command(home: Path, as_json: bool) -> None:
    """Examine a node's home and explain every limit in force; the exit code is 5 if a check failed."""
    from abci_app.doctor import examine  # noqa: PLC0415

    examination = examine(NodeHome(home.absolute()))
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(examination), indent=2))
    else:
        _print_examination(examination)
    if not examination.is_good:
        sys.exit(EXIT_ENVIRONMENT)


def _print_examination(examination: Examination) -> None:
    print_table(
        ("check", "verdict", "found"),
        [(check.name, "good" if check.is_good else "BAD", check.found) for check in examination.checks],
    )
    if examination.drift:
        rows = [(item.setting, str(item.expected), item.found) for item in examination.drift]
        click.echo()
        print_table(("setting", "expected", "found"), rows)
    click.echo()
    print_table(
        ("limit", "value", "set in", "above it"),
        [
            (limit.name, limit.value, f"{limit.file} {limit.setting}".strip() or "fixed", limit.exceeded)
            for limit in examination.limits
        ],
    )


def _print_values(values: dict[str, str | int | bool] | dict[str, str], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(values, indent=2))
        return
    width = max(map(len, values))
    for name, value in values.items():
        click.echo(f"{name.replace('_', ' '):<{width}}  {value}")
