"""The steps that a block takes for rounds by itself.

A round closes in the very block that brings its last update or reaches its close time.  Its checkpoint is sent in the
same block if the client of the hub works; otherwise each later block tries again until the packet would be too late
for anything.  No step can fail: a refused packet leaves the round as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from abci_app.state import Overlay
from ibc.channel import send_packet
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from shards.checkpoints.body import build_checkpoint
from shards.checkpoints.events import emit_checkpoint_delivery, emit_round_closed
from shards.checkpoints.state import get_delivery, get_header, put_checkpoint, put_delivery
from shards.checkpoints.types import Delivery, DeliveryStatus
from shards.config import hub_client_id, shard_params
from shards.pruning import prune_round
from shards.rounds.state import list_due, list_live, require_progress, require_round, set_status
from shards.rounds.types import RoundStatus
from tx.codec import encode
from tx.errors import AppError
from wire.gradchain.fl.v1 import packet_pb2
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2

if TYPE_CHECKING:
    from abci_app.context import BlockContext
    from abci_app.state import StateReader, StateWriter
    from shards.rounds.types import Round, RoundId

_SECOND_NS: Final = 1_000_000_000
_MAX_TIMEOUT_S: Final = 86_400
"""IBC v2 sends no packet that times out later than this after the block (ibc-go, MaxTimeoutDelta)."""


def close_rounds(block: BlockContext, state: StateWriter) -> None:
    """Close the rounds whose time or last update has come, and send the checkpoints that wait."""
    for round_id in list_live(state):
        opening = require_round(state, round_id)
        if require_progress(state, round_id).status is RoundStatus.OPEN:
            if not is_over(block, state, opening):
                continue
            _close_round(block, state, opening)
        _send_checkpoint(block, state, opening)


def retire_rounds(block: BlockContext, state: StateWriter) -> None:
    """Drop the payloads of rounds whose settlement never came."""
    for round_id in list_due(state, block.time_ns):
        prune_round(block, state, round_id)


def is_over(block: BlockContext, state: StateReader, opening: Round) -> bool:
    """Whether a round closes in this block: its time has come, or every assigned slot is used."""
    progress = require_progress(state, opening.round_id)
    return block.time_ns >= opening.close_time_ns or progress.accepted + progress.spent >= opening.assigned


def timeout_s(state: StateReader, opening: Round, now_ns: int) -> int:
    """Return the block time of the hub, Unix seconds, from which a checkpoint's packet is useless."""
    useless_s = opening.deadline_ns // _SECOND_NS + shard_params(state).checkpoint_allowance_s
    return min(useless_s, now_ns // _SECOND_NS + _MAX_TIMEOUT_S)


def _close_round(block: BlockContext, state: StateWriter, opening: Round) -> None:
    built = build_checkpoint(state, opening)
    put_checkpoint(state, opening.round_id, built, block.height)
    set_status(state, opening.round_id, RoundStatus.CLOSED)
    emit_round_closed(block, opening.round_id, built.header)


def _send_checkpoint(block: BlockContext, state: StateWriter, opening: Round) -> None:
    round_id = opening.round_id
    header, delivery = get_header(state, round_id), get_delivery(state, round_id)
    if header is None or delivery is None:
        raise LookupError(f"round {round_id} is closed and has no checkpoint: the state is damaged")
    until_s = timeout_s(state, opening, block.time_ns)
    if until_s <= block.time_ns // _SECOND_NS:
        _finish(block, state, round_id, Delivery(DeliveryStatus.UNSENT, delivery.height))
        return
    payload = channel_pb2.Payload(
        source_port=SHARD_PORT,
        destination_port=HUB_PORT,
        version=VERSION,
        encoding=ENCODING,
        value=encode(packet_pb2.ShardPacket(checkpoint=header)),
    )
    overlay = Overlay(state)
    try:
        sequence = send_packet(block, overlay, hub_client_id(state), until_s, [payload])
    except AppError:
        return  # the next block tries again
    overlay.merge()
    _finish(block, state, round_id, Delivery(DeliveryStatus.SENT, delivery.height, sequence))


def _finish(block: BlockContext, state: StateWriter, round_id: RoundId, delivery: Delivery) -> None:
    """Note what became of the packet; blocks need not look at the round any more."""
    put_delivery(state, round_id, delivery)
    set_status(state, round_id, RoundStatus.CHECKPOINTED)
    emit_checkpoint_delivery(block, round_id, delivery.status)
