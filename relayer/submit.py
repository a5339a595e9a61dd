"""Submitting one transaction and waiting for it: for commands, which a person watches."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.grpc_errors import RemoteError
from relayer.types import NS_PER_SECOND, Height, TxHash
from tx.envelope import make_tx
from wire.gradchain.node.v1 import query_pb2 as node_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from relayer.nodes import ChainNodes
    from tx.keys import SigningKey

NONCE_BYTES: Final = 16
WAIT_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Executed:
    """A transaction that a block has executed."""

    tx_hash: TxHash
    height: Height


@dataclass(frozen=True, slots=True)
class Submitter:
    """Signs transactions, sends them, and waits until they are in a block."""

    clock_ns: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    tx_life_s: int

    async def submit(self, chain: ChainNodes, messages: Sequence[Message], key: SigningKey) -> Executed:
        """Return the transaction that executed the messages.

        Raises:
          RemoteError: the chain refused them.
          AppError: the nodes cannot be asked, or it is in no block in time.

        """
        expires_at_ns = self.clock_ns() + self.tx_life_s * NS_PER_SECOND
        tx = make_tx(chain.chain_id, messages, [key], expires_at_ns, self.random_bytes(NONCE_BYTES))
        request = node_pb2.BroadcastTxRequest(tx=tx, wait=True)
        outcome = (await chain.ask(lambda node: node.node.BroadcastTx(request, timeout=WAIT_S))).outcome
        if outcome.code:
            raise RemoteError(outcome.codespace, outcome.code, outcome.log)
        return Executed(TxHash(sha256(tx).digest()), Height(outcome.height))
