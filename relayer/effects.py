"""Doing what the machine wants: one coroutine for each action, each of which ends in the event that answers it.

No failure leaves this module except a bug: every expected one becomes an event with its code.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final, assert_never

from aggregation.errors import MerklePathError
from aggregation.merkle import verify_merkle_path
from relayer import actions, events, open_packets, queries
from relayer.discovery import get_body
from relayer.errors import BatchTooLarge, BodyForged
from relayer.messages import build_batch, build_parts
from relayer.policy import failure_of
from relayer.types import NS_PER_SECOND, ChainId, TimeNs, TxHash
from tx.envelope import make_tx
from tx.errors import AppError
from tx.keys import format_address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from relayer.keyring import KeyRing
    from relayer.nodes import ChainNodes
    from relayer.prover import Prover
    from relayer.types import BodyKey, Link, LinkEnd
    from tx.keys import SigningKey

NONCE_BYTES: Final = 16
MAX_QUESTIONS: Final = 32
"""Questions about single packets that are put to the nodes at once."""


@dataclass(slots=True)
class Effects:
    """Executes actions."""

    nodes: Mapping[ChainId, ChainNodes]
    keys: KeyRing
    links: Mapping[LinkEnd, Link]
    """Every link that is ready, under both of its ends; shared with the driver, which fills it."""
    prover: Prover
    clock_ns: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    tx_life_s: int
    max_tx_bytes: int
    _questions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_QUESTIONS))

    async def perform(self, action: actions.EffectAction) -> events.RelayEvent:
        """Do what an action says, and return the event that answers it."""
        match action:
            case actions.ProveBatch():
                return await self._prove(action)
            case actions.SignBatch():
                return self._sign(action)
            case actions.SignParts():
                return await self._sign_parts(action)
            case actions.BroadcastTx():
                return await self._broadcast(action)
            case actions.LookUpTx():
                return await self._look_up(action)
            case actions.QueryPacket():
                return await self._query_packet(action)
            case actions.QueryClient():
                return await self._query_client(action)
            case actions.ListPending():
                return await self._list_pending(action)
            case actions.QueryCheckpoint():
                return await self._query_checkpoint(action)
            case _:
                assert_never(action)

    # --- batches ----------------------------------------------------------------------------------------------------

    async def _prove(self, action: actions.ProveBatch) -> events.RelayEvent:
        try:
            return await self.prover.prove(action)
        except AppError as error:
            return events.BatchFailed(action.batch, failure_of(error))

    def _sign(self, action: actions.SignBatch) -> events.RelayEvent:
        chain = action.lane.chain
        origin = self.links[action.lane].opposite(action.lane).chain
        key = self.keys.next_key(chain)
        messages = build_batch(action, origin, format_address(key.public_key))
        try:
            tx, expires_at_ns = self._make_tx(chain, messages, key)
        except AppError as error:
            return events.BatchFailed(action.batch, failure_of(error))
        return events.BatchSigned(action.batch, _hash_tx(tx), tx, expires_at_ns)

    def _make_tx(self, chain: ChainId, messages: Sequence[Message], key: SigningKey) -> tuple[bytes, TimeNs]:
        expires_at_ns = TimeNs(self.clock_ns() + self.tx_life_s * NS_PER_SECOND)
        tx = make_tx(chain, messages, [key], expires_at_ns, self.random_bytes(NONCE_BYTES))
        if len(tx) > self.max_tx_bytes:
            raise BatchTooLarge(f"expected a transaction of at most {self.max_tx_bytes} bytes, got {len(tx)}")
        return tx, expires_at_ns

    # --- transactions -----------------------------------------------------------------------------------------------

    async def _broadcast(self, action: actions.BroadcastTx) -> events.RelayEvent:
        try:
            refusal = await queries.broadcast(self.nodes[action.chain], action.tx_bytes)
        except AppError as error:
            return events.TxUnsent(action.tx_hash, failure_of(error))
        return (
            events.TxAccepted(action.tx_hash)
            if refusal is None
            else events.TxRefused(action.tx_hash, refusal)
        )

    async def _look_up(self, action: actions.LookUpTx) -> events.RelayEvent:
        try:
            found = await queries.look_up_tx(self.nodes[action.chain], action.tx_hash, action.since_ns)
        except AppError:
            return events.TxUnknown(action.tx_hash, asked=False)
        if found is None:
            return events.TxUnknown(action.tx_hash, asked=True)
        return events.TxIncluded(action.tx_hash, *found)

    # --- questions --------------------------------------------------------------------------------------------------

    async def _query_packet(self, action: actions.QueryPacket) -> events.RelayEvent:
        source, target = self.nodes[action.key.sender.chain], self.nodes[action.receiver.chain]
        try:
            async with self._questions:
                return await open_packets.get_packet_status(source, target, action)
        except AppError as error:
            return events.PacketStatusUnknown(action.key, failure_of(error))

    async def _query_client(self, action: actions.QueryClient) -> events.RelayEvent:
        try:
            info = await queries.get_client(self.nodes[action.end.chain], action.end.client)
        except AppError as error:
            return events.ClientUnknown(action.end, failure_of(error))
        return events.ClientSeen(action.end, info.view)

    async def _list_pending(self, action: actions.ListPending) -> events.RelayEvent:
        try:
            source, target = self.nodes[action.end.chain], self.nodes[action.receiver.chain]
            link = self.links[action.end]
            return await open_packets.list_some_pending(source, target, link, action)
        except AppError as error:
            return events.PendingUnknown(action.end, failure_of(error))

    async def _query_checkpoint(self, action: actions.QueryCheckpoint) -> events.RelayEvent:
        try:
            return await queries.get_checkpoint(self.nodes[action.hub.chain], action.key)
        except AppError as error:
            return events.CheckpointUnknown(action.key, failure_of(error))

    # --- bodies -----------------------------------------------------------------------------------------------------

    async def _sign_parts(self, action: actions.SignParts) -> events.RelayEvent:
        key, hub = action.key, action.hub.chain
        shard = self.nodes[key.shard.chain]
        try:
            parts = await queries.get_body_parts(shard, key, action.indices)
            for part in parts:
                try:
                    verify_merkle_path(action.body_root, part.data, part.index, action.parts, list(part.path))
                except MerklePathError as error:
                    shard.demote(error.message)
                    raise BodyForged(f"part {part.index} of {key}: {error.message}") from error
            signer = self.keys.next_key(hub)
            tx, expires_at_ns = self._make_tx(hub, [build_parts(key, parts, signer.public_key)], signer)
        except BodyForged as error:
            # It may be the root that a node has lied about.
            return events.PartsFailed(key, action.group, failure_of(error), await _ask_body_again(shard, key))
        except AppError as error:
            return events.PartsFailed(key, action.group, failure_of(error))
        return events.PartsSigned(key, action.group, _hash_tx(tx), tx, expires_at_ns)


async def _ask_body_again(shard: ChainNodes, key: BodyKey) -> events.BodyWanted | None:
    try:
        return await get_body(shard, key)
    except AppError:
        return None


def _hash_tx(tx: bytes) -> TxHash:
    return TxHash(sha256(tx).digest())
