"""The hub app, assembled: every handler, hook and port that it has stands here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.definition import AppDefinition, build_handler_table
from abci_app.ibc_handlers import build_ibc_handlers
from hub.accounts.handlers import TRANSFER
from hub.accounts.state import init_balances
from hub.genesis import parse_genesis
from hub.models.handlers import UPLOAD_MODEL
from hub.params import init_params
from hub.registry.handlers import REGISTER_SHARD
from hub.registry.state import init_authority, note_frozen
from hub.rounds.admission import check_bodies_needed
from hub.rounds.handlers import SUBMIT_BODY
from hub.rounds.hooks import advance_rounds
from hub.rounds.port import HubPort
from hub.settlement.hooks import settle_rounds
from hub.settlement.state import init_treasury
from hub.tasks.handlers import CANCEL_TASK, CREATE_TASK, REGISTER_PARTICIPANT
from ibc.clients import init_genesis as init_ibc
from ibc.ports import HUB_PORT
from ibc.relay_rules import check_not_redundant, check_updates_needed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.message import Message

    from abci_app.context import BlockContext
    from abci_app.state import StateReader, StateWriter


def build_hub_app() -> AppDefinition:
    """Return the definition of the hub app."""
    return AppDefinition(
        kind="hub",
        handlers=build_handler_table(
            TRANSFER,
            CREATE_TASK,
            CANCEL_TASK,
            UPLOAD_MODEL,
            REGISTER_PARTICIPANT,
            REGISTER_SHARD,
            SUBMIT_BODY,
            *build_ibc_handlers({HUB_PORT: HubPort()}, note_frozen),
        ),
        begin_hooks=(),
        # Rounds first: without a challenge window a round is settled in the block that aggregates it.
        end_hooks=(advance_rounds, settle_rounds),
        init_genesis=init_genesis,
        # The hub has no fees yet: what is relayed to it is free, so it must be needed, as on a shard.
        check_messages=lambda block, state, messages: check_updates_needed(state, block.time_ns, messages),
        check_admission=check_admission,
    )


def check_admission(block: BlockContext, state: StateReader, messages: Sequence[Message]) -> None:  # noqa: ARG001
    """Refuse in CheckTx what would change nothing.

    Raises:
      RelayRedundant: it was relayed or delivered before.
      AppError: a client update is malformed, or for no client.

    """
    check_not_redundant(state, messages)
    check_bodies_needed(state, messages)


def init_genesis(block: BlockContext, state: StateWriter, app_state: Mapping[str, object]) -> None:  # noqa: ARG001
    """Write the state of height 0.

    Raises:
      InvalidGenesis: the genesis file's `app_state` is malformed; the node must not start.

    """
    genesis = parse_genesis(app_state)
    init_params(state, genesis.params)
    init_balances(state, genesis.balances)
    init_authority(state, genesis.authority)
    init_treasury(state, genesis.treasury)
    init_ibc(state, genesis.authority)
