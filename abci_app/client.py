"""gRPC clients of hub and shard nodes: several addresses a chain, tried in order, with the registered errors back.

What a node answers here is not trusted: who relies on it checks it against light-client headers.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import grpc

from abci_app.errors import NodeUnavailable
from abci_app.grpc_errors import CANNOT_NOW, RemoteError, error_of
from tx.envelope import make_tx
from wire.gradchain.hub.v1 import query_pb2_grpc as hub_grpc
from wire.gradchain.ibc.v1 import query_pb2_grpc as ibc_grpc
from wire.gradchain.node.v1 import query_pb2, query_pb2_grpc
from wire.gradchain.shard.v1 import query_pb2_grpc as shard_grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from tx.keys import SigningKey

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
TX_LIFE_NS: Final = 120 * 1_000_000_000
DEFAULT_TIMEOUT_S: Final = 30.0

_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
)
_UNREACHABLE: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)

_CAUSE: Final = re.compile(r".*(?:Failed to connect to remote host: |address lookup failed for )(.*?)\]?")
"""The end of gRPC's account of a connection, after the addresses and attempts that it lists."""

T = TypeVar("T")


def explain(error: grpc.RpcError) -> str:
    """Return why a call failed, in few words."""
    if not isinstance(error, grpc.Call):
        return str(error)
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    details = error.details() or ""
    cause = _CAUSE.fullmatch(details)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        return cause.group(1) if cause else details
    return f"{error.code().name} {details}"


@dataclass(slots=True)
class ChainConnection:
    """Channels to the nodes of one chain.  The node that answered last is asked first."""

    addresses: Sequence[str]
    """`host:port` of the gRPC service of one or more nodes."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)
    _preferred: int = 0

    @property
    def address(self) -> str:
        """Address of the node that answered last."""
        return self.addresses[self._preferred]

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.insecure_channel(address, options=_OPTIONS)
        return self._channels[address]

    def call(self, ask: Callable[[grpc.Channel], T]) -> T:
        """Ask the nodes in turn until one answers; one that cannot take a transaction now is passed over.

        Raises:
          RemoteError: a node answered with a registered error.
          NodeUnavailable: no node answered.

        """
        reasons: dict[str, list[str]] = {}
        for offset in range(len(self.addresses)):
            index = (self._preferred + offset) % len(self.addresses)
            try:
                answer = ask(self._channel(self.addresses[index]))
            except grpc.RpcError as error:
                registered = error_of(error)
                if registered is not None:
                    refused = RemoteError(*registered)
                    if offset == len(self.addresses) - 1 or not any(map(refused.is_error, CANNOT_NOW)):
                        raise refused from error
                    reasons.setdefault(str(refused), []).append(self.addresses[index])
                    continue
                reasons.setdefault(explain(error), []).append(self.addresses[index])
                if not isinstance(error, grpc.Call) or error.code() not in _UNREACHABLE:
                    break
                continue
            self._preferred = index
            return answer
        if not reasons:
            raise NodeUnavailable("expected the address of a node, got none")
        asked = [address for addresses in reasons.values() for address in addresses]
        told = [
            reason if len(reasons) == 1 else f"{reason} ({', '.join(addresses)})"
            for reason, addresses in reasons.items()
        ]
        raise NodeUnavailable(f"expected an answer from {', '.join(asked)}, got: {'; '.join(told)}")

    def hub(self, ask: Callable[[hub_grpc.HubServiceStub], T]) -> T:
        """Call the hub's service."""
        return self.call(lambda channel: ask(hub_grpc.HubServiceStub(channel)))

    def shard(self, ask: Callable[[shard_grpc.ShardServiceStub], T]) -> T:
        """Call a shard's service."""
        return self.call(lambda channel: ask(shard_grpc.ShardServiceStub(channel)))

    def node(self, ask: Callable[[query_pb2_grpc.NodeServiceStub], T]) -> T:
        """Call the service that every node has."""
        return self.call(lambda channel: ask(query_pb2_grpc.NodeServiceStub(channel)))

    def ibc(self, ask: Callable[[ibc_grpc.IbcServiceStub], T]) -> T:
        """Call the service for relayers that every node has."""
        return self.call(lambda channel: ask(ibc_grpc.IbcServiceStub(channel)))

    def status(self) -> query_pb2.GetStatusResponse:
        """Return the status of a node, waiting for one that starts if none answers at once.

        Raises:
          NodeUnavailable: none answers in time.

        """
        request = query_pb2.GetStatusRequest()
        try:
            return self.node(lambda stub: stub.GetStatus(request, timeout=self.timeout_s))
        except NodeUnavailable:
            return self.node(
                lambda stub: stub.GetStatus(request, timeout=self.timeout_s, wait_for_ready=True)
            )

    def send(
        self, chain_id: str, messages: Sequence[Message], keys: Sequence[SigningKey], *, wait: bool = True
    ) -> query_pb2.TxOutcome:
        """Sign messages, submit them, and by default wait until they are in a block.

        Raises:
          RemoteError: the transaction was refused or failed.
          NodeUnavailable: no node answered.

        """
        expires_at_ns = time.time_ns() + TX_LIFE_NS
        tx = make_tx(chain_id, messages, keys, expires_at_ns, secrets.token_bytes(16))
        request = query_pb2.BroadcastTxRequest(tx=tx, wait=wait)
        answer = self.node(lambda stub: stub.BroadcastTx(request, timeout=self.timeout_s))
        if answer.outcome.code:
            raise RemoteError(answer.outcome.codespace, answer.outcome.code, answer.outcome.log)
        return answer.outcome
