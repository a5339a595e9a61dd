"""The application on the hub's port: packets of shards, and what became of the hub's own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.errors import AlreadyCheckpointed, CheckpointTooLate, UnknownPacket
from hub.registry.state import get_chain_of_client, note_alive, note_delivery, require_shard_of_client
from hub.rounds.events import emit_checkpoint_received, emit_checkpoint_useless, emit_shard_missing
from hub.rounds.header import check_header
from hub.rounds.late import Timing, judge_timing
from hub.rounds.state import (
    get_info,
    get_shard_round,
    put_contribution,
    put_shard_round,
    require_round,
    require_shard_round,
)
from hub.rounds.types import RoundId, ShardStatus, Tally
from hub.schedule import wake
from hub.settlement.relays import count_delivery
from hub.tasks.state import get_spec, require_task
from ibc.packet import ERROR_ACK
from ibc.ports import ENCODING, SUCCESS_ACK, VERSION
from tx.codec import decode_canonical, encode
from wire.gradchain.fl.v1 import packet_pb2

if TYPE_CHECKING:
    from abci_app.state import StateWriter
    from hub.registry.types import ShardRecord
    from hub.rounds.types import ShardRoundRecord
    from ibc.host import HostContext
    from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2


class HubPort:
    """Receives checkpoints, and learns from timeouts and refusals which shards will not deliver."""

    def on_recv(
        self,
        ctx: HostContext,
        state: StateWriter,
        packet: channel_pb2.Packet,
        payload: channel_pb2.Payload,
        relayer: bytes,
    ) -> bytes:
        """Take the header of a checkpoint and return the acknowledgement.

        Raises:
          UnknownPacket: the payload is none that the hub takes.
          TxError: its value is no canonical message.
          HubError: see `receive_checkpoint`.

        """
        if payload.version != VERSION or payload.encoding != ENCODING:
            raise UnknownPacket(f"expected {VERSION} in {ENCODING}, got another version or encoding")
        message = decode_canonical(packet_pb2.ShardPacket, payload.value)
        if message.WhichOneof("kind") != "checkpoint":
            raise UnknownPacket("expected a checkpoint, got another packet")
        shard = require_shard_of_client(state, packet.destination_client)
        receive_checkpoint(ctx, state, shard, message.checkpoint, relayer)
        return SUCCESS_ACK

    def on_ack(
        self,
        ctx: HostContext,
        state: StateWriter,
        packet: channel_pb2.Packet,
        payload: channel_pb2.Payload,
        ack: bytes,
    ) -> None:
        """Give up a shard that has refused to open a round."""
        if ack == ERROR_ACK:
            _give_up(ctx, state, packet, payload)

    def on_timeout(
        self,
        ctx: HostContext,
        state: StateWriter,
        packet: channel_pb2.Packet,
        payload: channel_pb2.Payload,
    ) -> None:
        """Give up a shard that was not told of a round in time."""
        _give_up(ctx, state, packet, payload)


def receive_checkpoint(
    ctx: HostContext, state: StateWriter, shard: ShardRecord, header: packet_pb2.Checkpoint, relayer: bytes
) -> None:
    """Take the header of a checkpoint that a shard has sent.

    A checkpoint that is of no use shows at least that the shard works; so does one that is.  One that is too late is
    refused, unless that is all that an inactive shard can show: it is assigned nothing that it could answer in time.
    Whoever brings one that is of no use earns nothing by it.

    Raises:
      TaskNotFound, RoundNotFound: no such task or round, or the shard has no part in it.
      AlreadyCheckpointed, InvalidField, InvalidCheckpoint, CheckpointTooLate: as their names say.

    """
    round_id = RoundId(header.task, header.round, header.attempt)
    task = require_task(state, round_id.task)
    status = require_round(state, round_id).status
    record = require_shard_round(state, round_id, shard.chain_id)
    if record.header:
        raise AlreadyCheckpointed(
            f"expected the first checkpoint of {shard.chain_id} for this round, got another"
        )
    spec, info = get_spec(state, task.number), get_info(state, round_id)
    check_header(header, info, record.assigned, spec.parameters)
    timing = judge_timing(task, spec, round_id, status, info, ctx.time_ns)
    if timing is Timing.TOO_LATE and shard.is_active:
        raise CheckpointTooLate(
            f"expected a checkpoint at most {spec.max_staleness} rounds late, got an older one"
        )
    note_alive(ctx, state, shard)
    if timing in {Timing.USELESS, Timing.TOO_LATE}:
        emit_checkpoint_useless(ctx, round_id, shard.chain_id)
        return
    count_delivery(state, round_id.task, relayer, 1)
    record = replace(record, header=encode(header))
    if header.updates:
        put_shard_round(state, round_id, shard.chain_id, replace(record, status=ShardStatus.CHECKPOINTED))
    else:
        _complete_without_body(ctx, state, round_id, shard.chain_id, record, timing)
    emit_checkpoint_received(ctx, round_id, shard.chain_id, header)


def _complete_without_body(
    ctx: HostContext,
    state: StateWriter,
    round_id: RoundId,
    shard: str,
    record: ShardRoundRecord,
    timing: Timing,
) -> None:
    """Take a checkpoint without updates as delivered: there is nothing to verify."""
    status = ShardStatus.COMPLETE if timing is Timing.ON_TIME else ShardStatus.LATE
    put_shard_round(state, round_id, shard, replace(record, status=status))
    put_contribution(state, round_id, shard, Tally(()), b"")
    note_delivery(ctx, state, shard)
    wake(state, round_id.task)


def _give_up(
    ctx: HostContext, state: StateWriter, packet: channel_pb2.Packet, payload: channel_pb2.Payload
) -> None:
    """Mark a shard as missing in the round that our packet was to open; other packets leave nothing behind."""
    message = packet_pb2.HubPacket.FromString(payload.value)
    shard = get_chain_of_client(state, packet.source_client)
    if message.WhichOneof("kind") != "round_opened" or shard is None:
        return
    opened = message.round_opened
    round_id = RoundId(opened.task, opened.round, opened.attempt)
    record = get_shard_round(state, round_id, shard)
    if record is not None and record.status is ShardStatus.WAITING:
        put_shard_round(state, round_id, shard, replace(record, status=ShardStatus.MISSING))
        emit_shard_missing(ctx, round_id, shard)
        wake(state, round_id.task)
