"""A small hub and a small shard on the real execution path: real clients, packets and proofs, toy applications."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import Message

from abci_app.context import BlockContext, TxContext
from abci_app.definition import AppDefinition, MessageHandler, build_handler_table
from abci_app.grpc_errors import abort
from abci_app.ibc_handlers import build_ibc_handlers
from abci_app.state import BULK, StateReader, StateWriter
from aggregation.merkle import merkle_paths, merkle_root, verify_merkle_path
from ibc.channel import send_packet
from ibc.clients import init_genesis
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, SUCCESS_ACK, VERSION
from ibc.relay_rules import check_not_redundant, check_updates_needed
from relayer.bodywork import BODY_PART_BYTES, count_parts
from tx.codec import encode
from tx.errors import AppError
from tx.keys import SigningKey
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ibc.host import HostContext, HostState

AUTHORITY = SigningKey.from_seed(b"A" * 32)
RELAYER = SigningKey.from_seed(b"R" * 32)


class ToyError(AppError):
    """A refusal of the toy applications."""

    CODESPACE = "toy"
    CODE = 1
    CURE = "None: it is made for tests."


@dataclass
class ToyPort:
    """Remembers in memory what the chain received and how its own packets ended."""

    received: list[int] = field(default_factory=list)
    ended: list[tuple[int, str]] = field(default_factory=list)
    refuses: set[int] = field(default_factory=set)

    def on_recv(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        relayer: bytes,
    ) -> bytes:
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
        outcome = "acknowledged" if ack == SUCCESS_ACK else "refused"
        state.set(BULK, b"ended/" + packet.sequence.to_bytes(8, "big"), outcome.encode())

    def on_timeout(
        self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
    ) -> None:
        state.set(BULK, b"ended/" + packet.sequence.to_bytes(8, "big"), b"timed out")


def checkpoint_key(task: int, round_number: int, attempt: int) -> bytes:
    return b"checkpoint/%d/%d/%d" % (task, round_number, attempt)


def part_key(task: int, round_number: int, attempt: int, index: int) -> bytes:
    return b"part/%d/%d/%d/%d" % (task, round_number, attempt, index)


def register_shard(ctx: TxContext, state: StateWriter, msg: hub_tx.MsgRegisterShard) -> None:
    if state.get(BULK, b"shard/" + msg.chain_id.encode()) is not None:
        raise ToyError("expected a new shard")
    state.set(BULK, b"shard/" + msg.chain_id.encode(), msg.client_id.encode())


def submit_body(ctx: TxContext, state: StateWriter, msg: hub_tx.MsgSubmitBody) -> None:
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
    """What a test controls of a chain's application."""

    kind: str
    outbox: list[tuple[str, int, bytes]] = field(default_factory=list)
    """Packets that the next block sends: client, timeout in seconds, payload value."""
    port: ToyPort = field(default_factory=ToyPort)
    bodies: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    """Bodies that a shard serves, by task, round and attempt."""
    balances: dict[bytes, int] = field(default_factory=lambda: {RELAYER.public_key: 1_000})
    """What accounts hold, as the hub's nodes say."""

    def build(self) -> AppDefinition:
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
    return [body[start : start + BODY_PART_BYTES] for start in range(0, len(body), BODY_PART_BYTES)]


Methods = dict[str, "grpc.RpcMethodHandler[Any, Any]"]
Request = TypeVar("Request", bound=Message)
Answer = TypeVar("Answer", bound=Message)


def _handler(
    method: Callable[[Request, grpc.ServicerContext], Answer], request_class: type[Request]
) -> grpc.RpcMethodHandler[Request, Answer]:
    return grpc.unary_unary_rpc_method_handler(
        method, request_deserializer=request_class.FromString, response_serializer=encode
    )


class ToyHubService:
    """The part of the hub's service that relayers use."""

    NAME = "gradchain.hub.v1.HubService"

    def __init__(self, latest: Callable[[], StateReader], chain: ToyChain) -> None:
        self._latest = latest
        self._chain = chain

    def add_to(self, server: grpc.Server) -> None:
        methods: Methods = {
            "ListShards": _handler(self.list_shards, hub_query.ListShardsRequest),
            "ListTasks": _handler(self.list_tasks, hub_query.ListTasksRequest),
            "GetCheckpoint": _handler(self.get_checkpoint, hub_query.GetCheckpointRequest),
            "GetAccount": _handler(self.get_account, hub_query.GetAccountRequest),
            "GetRelayPay": _handler(self.get_relay_pay, hub_query.GetRelayPayRequest),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self.NAME, methods),))

    def get_account(
        self, request: hub_query.GetAccountRequest, context: grpc.ServicerContext
    ) -> hub_query.GetAccountResponse:
        return hub_query.GetAccountResponse(balance=self._chain.balances.get(request.account, 0))

    def get_relay_pay(
        self, request: hub_query.GetRelayPayRequest, context: grpc.ServicerContext
    ) -> hub_query.GetRelayPayResponse:
        return hub_query.GetRelayPayResponse(packets=2, amount=7)

    def list_shards(
        self, request: hub_query.ListShardsRequest, context: grpc.ServicerContext
    ) -> hub_query.ListShardsResponse:
        pairs = self._latest().scan(BULK, b"shard/")
        shards = [
            hub_query.Shard(chain_id=key[6:].decode(), client_id=value.decode(), active=True)
            for key, value in pairs
        ]
        return hub_query.ListShardsResponse(shards=shards)

    def list_tasks(
        self, request: hub_query.ListTasksRequest, context: grpc.ServicerContext
    ) -> hub_query.ListTasksResponse:
        return hub_query.ListTasksResponse()

    def get_checkpoint(
        self, request: hub_query.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> hub_query.GetCheckpointResponse:
        state = self._latest()
        data = state.get(BULK, checkpoint_key(request.task, request.round, request.attempt))
        if data is None:
            waiting = hub_query.ShardRound(status=hub_query.SHARD_ROUND_STATUS_WAITING)
            return hub_query.GetCheckpointResponse(state=waiting)
        count = count_parts(fl_pb2.Checkpoint.FromString(data).body_bytes)
        missing = [
            index
            for index in range(count)
            if state.get(BULK, part_key(request.task, request.round, request.attempt, index)) is None
        ]
        status = (
            hub_query.SHARD_ROUND_STATUS_CHECKPOINTED if missing else hub_query.SHARD_ROUND_STATUS_COMPLETE
        )
        return hub_query.GetCheckpointResponse(
            state=hub_query.ShardRound(shard=request.shard, status=status, parts=count), missing=missing
        )


class ToyShardService:
    """The part of a shard's service that relayers use."""

    NAME = "gradchain.shard.v1.ShardService"

    def __init__(self, chain: ToyChain) -> None:
        self._chain = chain

    def add_to(self, server: grpc.Server) -> None:
        methods: Methods = {"GetBodyParts": _handler(self.get_body_parts, shard_query.GetBodyPartsRequest)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self.NAME, methods),))

    def get_body_parts(
        self, request: shard_query.GetBodyPartsRequest, context: grpc.ServicerContext
    ) -> shard_query.GetBodyPartsResponse:
        body = self._chain.bodies.get((request.task, request.round, request.attempt))
        if body is None:
            abort(context, ToyError("expected a known body"), grpc.StatusCode.NOT_FOUND)
        parts = cut_parts(body)
        paths = merkle_paths(parts)
        last = min(request.first + min(request.limit or 32, 32), len(parts))
        return shard_query.GetBodyPartsResponse(
            total_parts=len(parts),
            parts=[
                shard_query.BodyPart(index=index, data=parts[index], path=paths[index])
                for index in range(request.first, last)
            ],
        )
