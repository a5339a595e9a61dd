"""Chains in memory that host the IBC module, with real tries, proofs and headers, and clients of each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from abci_app.context import Event, VerificationCache
from abci_app.multistore import chain_proofs, hash_stores, prove_store
from abci_app.state import BULK, PROVABLE, Overlay
from abci_app.trie import Trie
from ibc.client_state import (
    ClientState,
    make_client_state,
    pack_client_state,
    pack_consensus_state,
    pack_header,
    pack_misbehaviour,
)
from ibc.client_updates import handle_update_client
from ibc.clients import handle_create_client, handle_register_counterparty, init_genesis
from ibc.proof_spec import DEFAULT_SPECS
from tests.support.ibc import DAY_NS, SimulatedChain
from tx.keys import SigningKey, format_address
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ibc.results import RelayResult
    from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

AUTHORITY = SigningKey.from_seed(bytes(31) + b"\xaa")
RELAYER = SigningKey.from_seed(bytes(31) + b"\xbb")


class EmptyState:
    """A state without anything."""

    def get(self, store: str, key: bytes) -> bytes | None:
        return None

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        return None


@dataclass
class FakeServices:
    """Helpers of a node."""

    verified: VerificationCache = field(default_factory=VerificationCache)


@dataclass
class FakeContext:
    """A block in execution."""

    chain_id: str
    height: int
    time_ns: int
    services: FakeServices = field(default_factory=FakeServices)
    events: list[Event] = field(default_factory=list)

    def emit(self, kind: str, **attributes: str) -> None:
        self.events.append(Event(kind, tuple(attributes.items())))


@dataclass
class HostChain:
    """A chain that hosts the module, with real tries, proofs and headers."""

    sim: SimulatedChain
    state: Overlay = field(default_factory=lambda: Overlay(EmptyState()))
    tries: dict[int, Trie] = field(default_factory=dict)
    """Provable store after each block."""
    services: FakeServices = field(default_factory=FakeServices)
    app_hash: bytes = bytes(32)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        init_genesis(self.state, AUTHORITY.public_key)
        self.commit()

    @property
    def ctx(self) -> FakeContext:
        """The next block; its events are collected in `events`."""
        return FakeContext(
            self.sim.chain_id, self.sim.height + 1, self.sim.time_ns, self.services, self.events
        )

    def commit(self) -> int:
        """Finish the block and return its height.  Its state is proven against the header above."""
        self.sim.add_block(self.app_hash)
        trie = Trie.build(self.state.scan(PROVABLE, b""))
        self.tries[self.sim.height] = trie
        self.app_hash = hash_stores(self._roots(trie))
        return self.sim.height

    @staticmethod
    def _roots(trie: Trie) -> dict[str, bytes]:
        return {PROVABLE: trie.root(), BULK: sha256(b"bulk").digest()}

    def prove(self, key: bytes, height: int) -> bytes:
        """Prove presence or absence after block `height`; the proof height is the one above."""
        trie = self.tries[height]
        return chain_proofs(trie.prove(key), prove_store(self._roots(trie), PROVABLE))

    def client_of(self, other: HostChain) -> ClientState:
        return make_client_state(other.sim.options(), 21 * DAY_NS, other.sim.height, DEFAULT_SPECS)

    def create_client(self, other: HostChain) -> str:
        msg = client_tx_pb2.MsgCreateClient(
            client_state=pack_client_state(self.client_of(other)),
            consensus_state=pack_consensus_state(other.sim.trusted_state(other.sim.height)),
            signer=format_address(AUTHORITY.public_key),
        )
        return handle_create_client(self.ctx, self.state, msg, signer=AUTHORITY.public_key)

    def register_counterparty(self, client_id: str, counterparty_id: str) -> None:
        msg = client_v2_tx_pb2.MsgRegisterCounterparty(
            client_id=client_id,
            counterparty_merkle_prefix=[b"provable", b""],
            counterparty_client_id=counterparty_id,
            signer=format_address(AUTHORITY.public_key),
        )
        handle_register_counterparty(self.ctx, self.state, msg, signer=AUTHORITY.public_key)

    def update_client(self, client_id: str, header: tendermint_pb2.Header) -> RelayResult:
        return handle_update_client(self.ctx, self.state, make_update(client_id, header))


def make_update(client_id: str, header: tendermint_pb2.Header) -> client_tx_pb2.MsgUpdateClient:
    """Return a client update of the relayer."""
    return client_tx_pb2.MsgUpdateClient(
        client_id=client_id, client_message=pack_header(header), signer=format_address(RELAYER.public_key)
    )


def make_evidence(client_id: str, evidence: tendermint_pb2.Misbehaviour) -> client_tx_pb2.MsgUpdateClient:
    """Return evidence of the relayer."""
    return client_tx_pb2.MsgUpdateClient(
        client_id=client_id,
        client_message=pack_misbehaviour(evidence),
        signer=format_address(RELAYER.public_key),
    )


def connect(one: HostChain, other: HostChain) -> tuple[str, str]:
    """Create clients of each other and tie them together; return their ids on the first and the second chain."""
    ours, theirs = one.create_client(other), other.create_client(one)
    one.register_counterparty(ours, theirs)
    other.register_counterparty(theirs, ours)
    one.commit()
    other.commit()
    return ours, theirs
