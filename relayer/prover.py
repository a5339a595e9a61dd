"""Headers and proofs, fetched and verified before anybody pays for them.

The relayer checks what it submits just as the chain will: the header with `verify_update` from the height that the
chain's client knows, each proof against the root in that header.  So a node that lies costs no transaction.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from abci_app.both import finish_both
from abci_app.context import VerificationCache
from abci_app.recent import RecentMap
from ibc.commitment import build_merkle_path, verify_chained_membership, verify_chained_non_membership
from ibc.errors import BisectionTooLong, HeaderFromFuture, IbcError, InvalidVote, TrustExpired
from ibc.keys import packet_ack_key, packet_commitment_key, packet_receipt_key
from ibc.light import Failed, LightClient, Need, without_unverifiable_votes
from ibc.packet import commit_acknowledgement, commit_packet
from relayer import queries
from relayer.errors import PacketForged, ProofUnusable
from relayer.events import BatchProved, ItemAbsent, ItemProved, ItemUnproved
from relayer.policy import failure_of
from relayer.types import Duty, Height, LinkEnd, TimeNs
from tx.codec import encode
from tx.envelope import MAX_MESSAGES
from wire.ibc.core.channel.v2 import packet_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ibc.client_state import ClientState
    from ibc.light import Done
    from ibc.tendermint import TrustedState
    from relayer.actions import ProofRequest, ProveBatch
    from relayer.nodes import ChainNodes
    from relayer.types import ChainId
    from wire.gradchain.node.v1 import query_pb2 as node_pb2
    from wire.tendermint.types import types_pb2

MERKLE_PREFIX: Final = (b"provable", b"")
"""Where a chain of ours keeps its IBC keys: `MsgRegisterCounterparty` names it, and paths start with it."""

_NOBODYS_FAULT: Final = (HeaderFromFuture, InvalidVote, TrustExpired)
"""Reasons why a header does not verify that do not speak against the node which served it."""

JUDGED_AT_ONCE: Final = 8
"""Proofs that are verified before others get their turn: a full batch takes as long as a question to a node."""

ASKED_AT_ONCE: Final = 8
"""Batches whose proofs are asked for at once of one chain.  Its node makes them one after the other anyway, and each
answer takes half a megabyte on its way."""

KEPT_BLOCKS: Final = 64
KEPT_STATES: Final = 256


@dataclass(slots=True)
class Prover:
    """Proves batches.  What it remembers only saves questions."""

    nodes: dict[ChainId, ChainNodes]
    clock_ns: Callable[[], int]
    _verdicts: VerificationCache = field(default_factory=VerificationCache)
    _clients: dict[LinkEnd, ClientState] = field(default_factory=dict)
    """What each client was created with; heights in it may be old."""
    _states: RecentMap[tuple[LinkEnd, Height], TrustedState] = field(
        default_factory=lambda: RecentMap(KEPT_STATES)
    )
    _blocks: RecentMap[tuple[ChainId, Height], types_pb2.LightBlock] = field(
        default_factory=lambda: RecentMap(KEPT_BLOCKS)
    )
    _turns: dict[ChainId, asyncio.Semaphore] = field(default_factory=dict)

    async def prove(self, action: ProveBatch) -> BatchProved:
        """Return header and proofs of a batch.

        Raises:
          AppError: the nodes cannot be asked, or the header cannot be verified.

        """
        origin = self.nodes[action.origin.chain]
        client = await self._get_client(action.lane)
        state_height = Height(action.target_height - 1)
        done, answers = await finish_both(
            self._verify_header(action, client), self._ask_proofs(origin, action.items, state_height)
        )
        # What the client will know of the target is what was verified here: the next batch need not ask.
        self._remember_state(action.lane, done.state)
        headers = tuple(encode(header) for header in done.headers)
        if len(headers) >= MAX_MESSAGES:
            raise BisectionTooLong(
                f"expected fewer than {MAX_MESSAGES} headers up to {action.target_height}, got {len(headers)}"
            )
        items = []
        for item, answer in zip(action.items, answers, strict=True):
            items.append(_judge(client, done.state, item, answer))
            if len(items) % JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
        if any(isinstance(item, ItemUnproved) for item in items):
            origin.demote("a proof does not verify")
        return BatchProved(action.batch, headers, TimeNs(done.state.time_ns), tuple(items))

    async def _ask_proofs(
        self, origin: ChainNodes, items: tuple[ProofRequest, ...], height: Height
    ) -> Sequence[node_pb2.ProveResponse]:
        """Return the proofs of all items at a height."""
        if not items:
            return ()
        async with self._turns.setdefault(origin.chain_id, asyncio.Semaphore(ASKED_AT_ONCE)):
            return await queries.prove_many(origin, [proof_key(item) for item in items], height)

    async def _get_client(self, end: LinkEnd) -> ClientState:
        if end not in self._clients:
            info = await queries.get_client(self.nodes[end.chain], end.client)
            self._clients[end] = info.state
        return self._clients[end]

    async def _get_state(self, end: LinkEnd, revision: int, height: Height) -> TrustedState:
        state = self._states.get((end, height))
        if state is None:
            state = await queries.get_consensus_state(self.nodes[end.chain], end.client, revision, height)
            self._remember_state(end, state)
        return state

    def _remember_state(self, end: LinkEnd, state: TrustedState) -> None:
        self._states.put((end, Height(state.height)), state)

    async def _get_block(self, chain: ChainId, height: Height, *, clean: bool) -> types_pb2.LightBlock:
        block = self._blocks.get((chain, height))
        if block is None:
            block = await queries.get_light_block(self.nodes[chain], height)
            self._blocks.put((chain, height), block)
        return without_unverifiable_votes(block, chain, self._verdicts) if clean else block

    async def _verify_header(self, action: ProveBatch, client: ClientState) -> Done:
        """Return the verified target, and the headers that lead to it from the trusted height."""
        trusted = await self._get_state(action.lane, client.revision, action.trusted_height)
        try:
            return await self._walk(action, client, trusted, clean=False)
        except InvalidVote:
            # CometBFT accepts a few signatures that libsodium refuses; without such votes the rest may suffice.
            return await self._walk(action, client, trusted, clean=True)

    async def _walk(
        self, action: ProveBatch, client: ClientState, trusted: TrustedState, *, clean: bool
    ) -> Done:
        chain = action.origin.chain
        light = LightClient(trusted, client.trust, self._verdicts)
        progress = light.begin(action.target_height)
        while isinstance(progress, Need):
            block = await self._get_block(chain, Height(progress.height), clean=clean)
            progress = light.step(block, self.clock_ns())
        if isinstance(progress, Failed):
            self._forget(action.lane, chain)
            if not isinstance(progress.error, _NOBODYS_FAULT):
                self.nodes[chain].demote(progress.error.message)
            raise progress.error
        return progress

    def _forget(self, end: LinkEnd, chain: ChainId) -> None:
        """Forget the blocks of a chain, one of which does not verify, and its client, which may have been recovered."""
        self._blocks.forget(key for key in self._blocks.list_keys() if key[0] == chain)
        self._states.forget(key for key in self._states.list_keys() if key[0] == end)
        self._clients.pop(end, None)


def proof_key(item: ProofRequest) -> bytes:
    """Return the provable key that shows what a packet's duty needs."""
    packet = packet_pb2.Packet.FromString(item.packet_bytes)
    if item.duty is Duty.RECEIVE:
        return packet_commitment_key(packet.source_client, packet.sequence)
    if item.duty is Duty.ACKNOWLEDGE:
        return packet_ack_key(packet.destination_client, packet.sequence)
    return packet_receipt_key(packet.destination_client, packet.sequence)


def expected_value(item: ProofRequest) -> bytes:
    """Return the value that must stand under the key; empty if nothing must."""
    if item.duty is Duty.RECEIVE:
        return commit_packet(packet_pb2.Packet.FromString(item.packet_bytes))
    if item.duty is Duty.ACKNOWLEDGE:
        return commit_acknowledgement(packet_pb2.Acknowledgement.FromString(item.acknowledgement))
    return b""


def _judge(
    client: ClientState, state: TrustedState, item: ProofRequest, answer: node_pb2.ProveResponse
) -> ItemProved | ItemAbsent | ItemUnproved:
    """Verify one proof and say what it shows."""
    path = build_merkle_path(MERKLE_PREFIX, proof_key(item))
    try:
        if answer.value:
            verify_chained_membership(client.proof_specs, state.root, answer.proof, path, answer.value)
        else:
            verify_chained_non_membership(client.proof_specs, state.root, answer.proof, path)
    except IbcError as error:
        text = f"expected a proof of {path[-1].hex()} at height {state.height}, got: {error}"
        return ItemUnproved(item.key, failure_of(ProofUnusable(text)))
    expected = expected_value(item)
    if answer.value == expected:
        return ItemProved(item.key, answer.proof)
    if not answer.value or item.duty is Duty.TIMEOUT:
        return ItemAbsent(item.key)
    text = f"expected {expected.hex()} under {path[-1].hex()}, got {answer.value.hex()}"
    return ItemUnproved(item.key, failure_of(PacketForged(text)))
