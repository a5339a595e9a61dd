"""The shard app, assembled: every handler, hook and port that it has stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.definition import AppDefinition, build_handler_table
from abci_app.ibc_handlers import build_ibc_handlers
from ibc.clients import init_genesis as init_ibc
from ibc.ports import SHARD_PORT
from ibc.relay_rules import check_not_redundant, check_updates_needed
from shards.checkpoints.hooks import close_rounds, retire_rounds
from shards.config import put_config
from shards.genesis import parse_genesis
from shards.port import ShardPort
from shards.updates.handlers import UpdateItems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from abci_app.context import BlockContext
    from abci_app.state import StateWriter


def build_shard_app() -> AppDefinition:
    """Return the definition of the shard app."""
    return AppDefinition(
        kind="shard",
        handlers=build_handler_table(*build_ibc_handlers({SHARD_PORT: ShardPort()})),
        begin_hooks=(),
        # A round that retires in this block has been closed before, so that it never skips a step.
        end_hooks=(close_rounds, retire_rounds),
        init_genesis=init_genesis,
        items=UpdateItems(),
        # Relaying to a shard is free, so it must be needed.
        check_messages=lambda block, state, messages: check_updates_needed(state, block.time_ns, messages),
        check_admission=lambda _block, state, messages: check_not_redundant(state, messages),
    )


def init_genesis(block: BlockContext, state: StateWriter, app_state: Mapping[str, object]) -> None:  # noqa: ARG001
    """Write the state of height 0.

    Raises:
      InvalidGenesis: the genesis file's `app_state` is malformed; the node must not start.

    """
    genesis = parse_genesis(app_state)
    put_config(state, genesis.config)
    init_ibc(state, genesis.authority)
