"""What the hub's packets do to rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from abci_app.state import BULK
from shards.config import shard_params
from shards.errors import RoundExists
from shards.rounds.events import emit_round_opened
from shards.rounds.keys import retire_key
from shards.rounds.msgs import parse_round
from shards.rounds.state import get_round, put_round, require_round, set_status
from shards.rounds.types import RoundStatus

if TYPE_CHECKING:
    from abci_app.state import StateReader, StateWriter
    from ibc.host import HostContext
    from shards.rounds.types import Round, RoundId
    from wire.gradchain.fl.v1 import packet_pb2


def handle_round_opened(ctx: HostContext, state: StateWriter, opened: packet_pb2.RoundOpened) -> None:
    """Open a round.  Earlier rounds and attempts of the task stay as they are, until their own close.

    Raises:
      InvalidRound: a value is one that no round can have.
      RoundExists: this round and attempt was opened before.

    """
    opening = parse_round(opened, shard_params(state))
    if get_round(state, opening.round_id) is not None:
        raise RoundExists(f"expected a new round, got {opening.round_id} again")
    put_round(state, opened, opening.round_id, retire_at_ns(state, opening))
    emit_round_opened(ctx, opening)


def retire_at_ns(state: StateReader, opening: Round) -> int:
    """Return the block time from which a round's payloads are kept no longer, settled or not."""
    return opening.deadline_ns + shard_params(state).retention_s * 1_000_000_000


def retire_round(state: StateWriter, round_id: RoundId) -> None:
    """Mark a round as one whose payloads are gone; it takes no updates and is not looked at any more.

    Raises:
      UnknownRound: the hub has not opened it here.

    """
    opening = require_round(state, round_id)
    set_status(state, round_id, RoundStatus.PRUNED)
    state.delete(BULK, retire_key(retire_at_ns(state, opening), round_id))
