"""A shard in memory: its app, rounds with participants who sign, and the hub's packets brought by hand.

The hub's packets are handed to the port inside a block, as if they had been proven; the link itself is tested
elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.context import BlockContext, Services
from abci_app.execution import (
    BlockOutcome,
    check_tx,
    execute_block,
    select_for_proposal,
    verify_ahead,
)
from abci_app.state import STORES, Overlay
from ibc.client_state import make_client_state, pack_client_state, pack_consensus_state
from ibc.events import packets_from_events
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.proof_spec import DEFAULT_SPECS
from shards.app import build_shard_app
from shards.checkpoints.state import get_body
from shards.port import ShardPort
from tests.support.aggregation import shared_setup
from tests.support.ibc import SimulatedChain
from tests.support.shard_rounds import HUB_CHAIN, SHARD_CHAIN, TestRound, bundle
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.codec import encode
from tx.envelope import make_tx
from tx.errors import AppError
from tx.keys import format_address
from wire.gradchain.fl.v1 import packet_pb2, update_pb2
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from abci_app.definition import AppDefinition
    from abci_app.state import StateReader, StateWriter
    from shards.rounds.types import RoundId

HUB_CLIENT: Final = "07-tendermint-0"
SHARD_CLIENT: Final = "07-tendermint-7"
"""Id of the shard's client on the hub."""
AUTHORITY: Final = build_key(900)


class MemoryState:
    """Committed state in dictionaries."""

    def __init__(self) -> None:
        self.stores: dict[str, dict[bytes, bytes]] = {name: {} for name in STORES}
        self.blobs: dict[tuple[bytes, bytes], bytes] = {}

    def get(self, store: str, key: bytes) -> bytes | None:
        return self.stores[store].get(key)

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        values = self.stores[store]
        yield from sorted((key, value) for key, value in values.items() if key.startswith(prefix))

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        return self.blobs.get((segment, digest))

    def apply(self, overlay: Overlay) -> None:
        for store, writes in overlay.writes.items():
            for key, value in writes.items():
                if value is None:
                    self.stores[store].pop(key, None)
                else:
                    self.stores[store][key] = value
        self.blobs.update(overlay.blobs)
        for name in [name for name in self.blobs if name[0] in overlay.dropped_segments]:
            del self.blobs[name]

    def digest(self) -> str:
        """Return a digest of everything: two states with the same one are the same."""
        total = sha256()
        for store, values in sorted(self.stores.items()):
            for key, value in sorted(values.items()):
                total.update(repr((store, key, value)).encode())
        for name, data in sorted(self.blobs.items()):
            total.update(repr((name, data)).encode())
        return total.hexdigest()


def link_tx(time_ns: int, chain_id: str = SHARD_CHAIN) -> bytes:
    """Return the transaction by which the authority creates the client of a hub at its first block."""
    hub = SimulatedChain(chain_id=HUB_CHAIN, time_ns=time_ns)
    hub.add_block()
    client = make_client_state(hub.options(), 21 * 86_400 * SECOND_NS, hub.height, DEFAULT_SPECS)
    signer = format_address(AUTHORITY.public_key)
    create = client_tx_pb2.MsgCreateClient(
        client_state=pack_client_state(client),
        consensus_state=pack_consensus_state(hub.trusted_state(hub.height)),
        signer=signer,
    )
    register = client_v2_tx_pb2.MsgRegisterCounterparty(
        client_id=HUB_CLIENT,
        counterparty_merkle_prefix=[b"provable", b""],
        counterparty_client_id=SHARD_CLIENT,
        signer=signer,
    )
    return make_tx(chain_id, [create, register], [AUTHORITY], time_ns + 60 * SECOND_NS, b"12345678")


def genesis_state() -> dict[str, object]:
    """Return a valid `app_state`."""
    return {
        "authority": format_address(AUTHORITY.public_key),
        "hub_chain_id": HUB_CHAIN,
        "hub_client_id": HUB_CLIENT,
        "params": {},
    }


@dataclass(slots=True)
class ShardChain:
    """A shard whose blocks the test makes."""

    app: AppDefinition = field(default_factory=build_shard_app)
    state: MemoryState = field(default_factory=MemoryState)
    services: Services = field(default_factory=lambda: Services(shared_setup()))
    chain_id: str = SHARD_CHAIN
    height: int = 0
    time_ns: int = NOW_NS
    inbox: list[packet_pb2.HubPacket] = field(default_factory=list)
    """What the hub sent; the next block delivers it."""
    acks: list[bytes] = field(default_factory=list)

    def start(self, app_state: Mapping[str, object] | None = None, *, linked: bool = True) -> ShardChain:
        """Execute the genesis, and a first block that ties the shard to its hub."""
        overlay = Overlay(self.state)
        self.app.init_genesis(self._block(0), overlay, genesis_state() if app_state is None else app_state)
        self.state.apply(overlay)
        if linked:
            self.link()
        return self

    def link(self) -> None:
        """Create the client of the hub, in a block at the time of the last one."""
        outcome = self.block(link_tx(self.time_ns, self.chain_id), after_s=0)
        if outcome.results[0].code:
            raise AssertionError(f"not linked: {outcome.results[0].log}")

    def submit(self, *updates: update_pb2.Update) -> BlockOutcome:
        """Make a block with one bundle of these updates."""
        return self.block(bundle(*updates))

    def block(self, *txs: bytes, after_s: float = 1) -> BlockOutcome:
        """Make the next block, so many seconds after the last one."""
        self.height += 1
        self.time_ns += int(after_s * SECOND_NS)
        outcome = execute_block(self._with_inbox(), self._block(self.height), self.state, txs)
        self.state.apply(outcome.state)
        self.inbox = []
        return outcome

    def propose(self, *txs: bytes) -> list[bytes]:
        """Return what a proposal of the next block takes of the transactions."""
        return select_for_proposal(self.app, self.services, txs, 1 << 24)

    def rehearse(self, *txs: bytes) -> None:
        """Execute the transactions of the next block and drop what they did: only caches have changed."""
        execute_block(self._with_inbox(), self._block(self.height + 1), self.state, txs)

    def look_ahead(self, *txs: bytes) -> None:
        """Check what a node checks of a proposal while it is voted on."""
        verify_ahead(self.app, self._block(self.height + 1), self.state, txs)

    def check(self, *updates: update_pb2.Update, pending: frozenset[bytes] = frozenset()) -> list[bytes]:
        """Run CheckTx on a bundle."""
        return self.check_tx(bundle(*updates), pending)

    def check_tx(self, tx: bytes, pending: frozenset[bytes] = frozenset()) -> list[bytes]:
        """Run CheckTx."""
        return check_tx(self.app, self._block(self.height + 1), self.state, tx, pending)

    def open(self, *rounds: TestRound) -> None:
        """Let the hub open rounds, in one block."""
        self.inbox += [packet_pb2.HubPacket(round_opened=item.opened) for item in rounds]
        self.block()
        if any(ack != b"\x01" for ack in self.acks[-len(rounds) :]):
            raise AssertionError(f"rounds refused: {self.acks}")

    def settle(self, item: TestRound) -> BlockOutcome:
        """Let the hub settle a round."""
        opened = item.opened
        self.inbox.append(
            packet_pb2.HubPacket(
                round_settled=packet_pb2.RoundSettled(
                    task=opened.task, round=opened.round, attempt=opened.attempt
                )
            )
        )
        return self.block()

    def answer(self, packet: channel_pb2.Packet, ack: bytes | None) -> None:
        """Let the hub acknowledge a packet, or have it time out, by hand and outside of a block."""
        overlay = Overlay(self.state)
        if ack is None:
            ShardPort().on_timeout(self._block(self.height), overlay, packet, packet.payloads[0])
        else:
            ShardPort().on_ack(self._block(self.height), overlay, packet, packet.payloads[0], ack)
        self.state.apply(overlay)

    def overlay(self) -> Overlay:
        """Return a throw-away overlay on the committed state."""
        return Overlay(self.state)

    def forget(self) -> None:
        """Empty the node's caches, as a restart does."""
        self.services = Services(self.services.kzg)

    def _block(self, height: int) -> BlockContext:
        return BlockContext(self.chain_id, height, self.time_ns, b"", self.services)

    def _with_inbox(self) -> AppDefinition:
        return deliver_first(self.app, list(self.inbox), self.acks)


def deliver_first(
    app: AppDefinition, packets: list[packet_pb2.HubPacket], acks: list[bytes]
) -> AppDefinition:
    """Return the app with a step before all transactions that takes packets of the hub; answers go to `acks`."""

    def deliver(block: BlockContext, state: StateWriter) -> None:
        acks.extend(receive(block, state, packet) for packet in packets)

    return replace(app, begin_hooks=(*app.begin_hooks, deliver))


def receive(
    block: BlockContext,
    state: StateWriter,
    content: packet_pb2.HubPacket,
    *,
    client: str = HUB_CLIENT,
    source_port: str = HUB_PORT,
    destination_port: str = SHARD_PORT,
    version: str = VERSION,
    encoding: str = ENCODING,
) -> bytes:
    """Hand a packet of the hub to the port; return the acknowledgement, or the name of the error."""
    payload = channel_pb2.Payload(
        source_port=source_port,
        destination_port=destination_port,
        version=version,
        encoding=encoding,
        value=encode(content),
    )
    packet = channel_pb2.Packet(
        sequence=1, source_client=SHARD_CLIENT, destination_client=client, payloads=[payload]
    )
    overlay = Overlay(state)
    try:
        ack = ShardPort().on_recv(block, overlay, packet, payload, AUTHORITY.public_key)
    except AppError as error:
        return type(error).__name__.encode()
    overlay.merge()
    return ack


def sent_checkpoints(outcome: BlockOutcome) -> list[tuple[channel_pb2.Packet, packet_pb2.Checkpoint]]:
    """Return the packets that a block has sent, with their contents."""
    packets = [event.packet for event in packets_from_events(outcome.events)]
    contents = [packet_pb2.ShardPacket.FromString(packet.payloads[0].value) for packet in packets]
    return [(packet, content.checkpoint) for packet, content in zip(packets, contents, strict=True)]


def codes(outcome: BlockOutcome) -> list[tuple[str, int]]:
    """Return (codespace, code) of every transaction of a block."""
    return [(result.codespace, result.code) for result in outcome.results]


def read_body(state: StateReader, round_id: RoundId) -> packet_pb2.CheckpointBody:
    """Return the body of a round's checkpoint."""
    parts = get_body(state, round_id)
    if parts is None:
        raise AssertionError(f"round {round_id} has no body")
    return packet_pb2.CheckpointBody.FromString(b"".join(parts))
