"""A small hub and a small shard on the real execution path: real clients, packets and proofs, toy applications."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.context import BlockContext, TxContext
from abci_app.definition import AppDefinition, MessageHandler, build_handler_table
from abci_app.ibc_handlers import build_ibc_handlers
from abci_app.state import BULK, StateWriter
from aggregation.merkle import merkle_root, verify_merkle_path
from ibc.channel import send_packet
from ibc.clients import init_genesis
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, SUCCESS_ACK, VERSION
from ibc.relay_rules import check_not_redundant, check_updates_needed
from relayer.bodywork import BODY_PART_BYTES, count_parts
from tx.errors import AppError
from tx.keys import SigningKey
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ibc.host import HostContext, HostState

AUTHORITY = SigningKey.from_seed(b"A" * 32)
RELAYER = SigningKey.from_seed(b"R" * 32)


class ToyError(AppError):
    """A refusal of the toy applications."""

    CODESPACE = "toy"
    CODE = 1
    CURE = "None: only played chains refuse so."


@dataclass
class ToyPort:
    """Keeps in the state what the chain has received, and how its own packets have ended."""

    refuses: set[int] = field(default_factory=set)
    """Sequences of packets that it refuses."""

    def on_recv(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        relayer: bytes,
    ) -> bytes:
        """Note a packet, and keep the checkpoint that it may hold."""
        if packet.sequence in self.refuses:
            raise ToyError("expected another packet")
        state.set(
            BULK, b"got/" + packet.destination_client.encode() + packet.sequence.to_bytes(8, "big"), b"\x01"
        )
        if payload.source_port == SHARD_PORT:
            content = fl_pb2.ShardPacket.FromString(payload.value)
            if content.HasField("checkpoint"):
                checkpoint = content.checkpoint
                key = checkpoint_key(checkpoint.task, checkpoint.round, checkpoint.attempt)
                state.set(BULK, key, checkpoint.SerializeToString(deterministic=True))
        return SUCCESS_ACK

    def on_ack(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        ack: bytes,
    ) -> None:
        """Note how a packet ended."""
        outcome = "acknowledged" if ack == SUCCESS_ACK else "refused"
        state.set(BULK, b"ended/" + packet.sequence.to_bytes(8, "big"), outcome.encode())

    def on_timeout(
        self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
    ) -> None:
        """Note that a packet ended late."""
        state.set(BULK, b"ended/" + packet.sequence.to_bytes(8, "big"), b"timed out")


def checkpoint_key(task: int, round_number: int, attempt: int) -> bytes:
    """Return where the hub keeps a checkpoint."""
    return b"checkpoint/%d/%d/%d" % (task, round_number, attempt)


def part_key(task: int, round_number: int, attempt: int, index: int) -> bytes:
    """Return where the hub keeps a part of a body."""
    return b"part/%d/%d/%d/%d" % (task, round_number, attempt, index)


def register_shard(ctx: TxContext, state: StateWriter, msg: hub_tx.MsgRegisterShard) -> None:
    """Admit a shard, once."""
    if state.get(BULK, b"shard/" + msg.chain_id.encode()) is not None:
        raise ToyError("expected a new shard")
    state.set(BULK, b"shard/" + msg.chain_id.encode(), msg.client_id.encode())


def submit_body(ctx: TxContext, state: StateWriter, msg: hub_tx.MsgSubmitBody) -> None:
    """Keep parts of a body that verify against the checkpoint."""
    data = state.get(BULK, checkpoint_key(msg.task, msg.round, msg.attempt))
    if data is None:
        raise ToyError("expected a known checkpoint")
    checkpoint = fl_pb2.Checkpoint.FromString(data)
    for part in msg.parts:
        count = count_parts(checkpoint.body_bytes)
        verify_merkle_path(checkpoint.body_root, part.data, part.index, count, list(part.path))
        state.set(BULK, part_key(msg.task, msg.round, msg.attempt, part.index), part.data)


def _accept(_message: object) -> None:
    """Check nothing."""


@dataclass
class ToyChain:
    """What the player controls of a chain's application."""

    kind: str
    outbox: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Packets that the next block sends: client, timeout in seconds, payload value."""
    port: ToyPort = field(default_factory=ToyPort)
    bodies: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    """Bodies that a shard serves, by task, round and attempt."""
    balances: dict[bytes, int] = field(default_factory=lambda: {RELAYER.public_key: 1_000})
    """What accounts hold, as the hub's nodes say."""

    def build(self) -> AppDefinition:
        """Return the application, as the chain kit runs it."""
        own, other = (HUB_PORT, SHARD_PORT) if self.kind == "hub" else (SHARD_PORT, HUB_PORT)

        def send(block: BlockContext, state: StateWriter) -> None:
            ctx = TxContext(block=block)
            while self.outbox:
                client_id, timeout_s, value = self.outbox.pop(0)
                payload = packet_pb2.Payload(
                    source_port=own, destination_port=other, version=VERSION, encoding=ENCODING, value=value
                )
                send_packet(ctx, state, client_id, timeout_s, [payload])
            block.events.extend(ctx.events)

        def start(block: BlockContext, state: StateWriter, app_state: Mapping[str, object]) -> None:
            init_genesis(state, AUTHORITY.public_key)

        handlers = [*build_ibc_handlers({own: self.port})]
        if self.kind == "hub":
            handlers.append(
                MessageHandler(hub_tx.MsgRegisterShard, lambda m: (m.authority,), _accept, register_shard)
            )
            handlers.append(
                MessageHandler(hub_tx.MsgSubmitBody, lambda m: (m.submitter,), _accept, submit_body)
            )
        free = self.kind == "shard"
        return AppDefinition(
            kind=self.kind,
            handlers=build_handler_table(*handlers),
            begin_hooks=(),
            end_hooks=(send,),
            init_genesis=start,
            check_messages=(lambda b, s, m: check_updates_needed(s, b.time_ns, m)) if free else None,
            check_admission=lambda b, s, m: check_not_redundant(s, m),
        )

    def add_body(self, task: int, round_number: int, body: bytes) -> fl_pb2.Checkpoint:
        """Let a shard serve a body, and return the checkpoint that commits to it."""
        self.bodies[task, round_number, 0] = body
        return fl_pb2.Checkpoint(
            task=task,
            round=round_number,
            updates=3,
            total_weight=3,
            body_root=merkle_root(cut_parts(body)),
            body_bytes=len(body),
        )


def cut_parts(body: bytes) -> list[bytes]:
    """Return the parts of a body."""
    return [body[start : start + BODY_PART_BYTES] for start in range(0, len(body), BODY_PART_BYTES)]
