"""The hub's side of a shard's link, with real headers and real proofs of made-up content."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.multistore import chain_proofs, hash_stores, prove_store
from abci_app.state import BULK, PROVABLE
from abci_app.trie import Trie
from ibc.client_state import make_client_state, pack_client_state, pack_consensus_state, pack_header
from ibc.identifiers import Height, height_to_wire
from ibc.keys import packet_ack_key, packet_commitment_key
from ibc.packet import commit_acknowledgement, commit_packet
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.proof_spec import DEFAULT_SPECS
from tests.support.ibc import SimulatedChain
from tests.support.shard_rounds import HUB_CHAIN, SHARD_CHAIN
from tests.support.shards import AUTHORITY, HUB_CLIENT, SHARD_CLIENT
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.codec import encode
from tx.envelope import make_tx
from tx.keys import format_address
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import client_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from tx.keys import SigningKey
    from wire.gradchain.fl.v1 import packet_pb2

RELAYER: Final = build_key(903)


@dataclass(slots=True)
class SimulatedHub:
    """A chain that signs headers over whatever its provable store is said to hold."""

    sim: SimulatedChain = field(
        default_factory=lambda: SimulatedChain(chain_id=HUB_CHAIN, time_ns=NOW_NS - SECOND_NS)
    )
    pairs: dict[bytes, bytes] = field(default_factory=dict)
    sequence: int = 0
    nonce: int = 0
    start: int = 1
    """A height that the client on the shard knows."""

    def __post_init__(self) -> None:
        self.sim.add_block()

    def link(self, *, client_id: str = HUB_CLIENT) -> bytes:
        """Return the transaction by which the shard's authority creates the next client, one of this hub."""
        client = make_client_state(
            self.sim.options(), 21 * 86_400 * SECOND_NS, self.sim.height, DEFAULT_SPECS
        )
        signer = format_address(AUTHORITY.public_key)
        create = client_tx_pb2.MsgCreateClient(
            client_state=pack_client_state(client),
            consensus_state=pack_consensus_state(self.sim.trusted_state(self.sim.height)),
            signer=signer,
        )
        register = client_v2_tx_pb2.MsgRegisterCounterparty(
            client_id=client_id,
            counterparty_merkle_prefix=[b"provable", b""],
            counterparty_client_id=SHARD_CLIENT,
            signer=signer,
        )
        return self.sign(AUTHORITY, create, register)

    def send(
        self, content: packet_pb2.HubPacket, *, timeout_s: int, client_id: str = HUB_CLIENT
    ) -> channel_pb2.Packet:
        """Send a packet to the shard and return it."""
        self.sequence += 1
        payload = channel_pb2.Payload(
            source_port=HUB_PORT,
            destination_port=SHARD_PORT,
            version=VERSION,
            encoding=ENCODING,
            value=encode(content),
        )
        packet = channel_pb2.Packet(
            sequence=self.sequence,
            source_client=SHARD_CLIENT,
            destination_client=client_id,
            timeout_timestamp=timeout_s,
            payloads=[payload],
        )
        self.pairs[packet_commitment_key(SHARD_CLIENT, self.sequence)] = commit_packet(packet)
        return packet

    def relay(self, packet: channel_pb2.Packet) -> bytes:
        """Return the transaction that brings a packet to the shard, with the header that proves it."""
        key = packet_commitment_key(packet.source_client, packet.sequence)
        update, proof, height = self._prove(packet.destination_client, key)
        message = channel_tx_pb2.MsgRecvPacket(
            packet=packet,
            proof_commitment=proof,
            proof_height=height,
            signer=format_address(RELAYER.public_key),
        )
        return self.sign(RELAYER, update, message)

    def answer(self, packet: channel_pb2.Packet, element: bytes) -> bytes:
        """Return the transaction that brings the hub's acknowledgement of a shard's packet."""
        ack = channel_pb2.Acknowledgement(app_acknowledgements=[element])
        key = packet_ack_key(packet.destination_client, packet.sequence)
        self.pairs[key] = commit_acknowledgement(ack)
        update, proof, height = self._prove(packet.source_client, key)
        message = channel_tx_pb2.MsgAcknowledgement(
            packet=packet,
            acknowledgement=ack,
            proof_acked=proof,
            proof_height=height,
            signer=format_address(RELAYER.public_key),
        )
        return self.sign(RELAYER, update, message)

    def sign(self, key: SigningKey, *messages: Message) -> bytes:
        """Return a transaction for the shard."""
        self.nonce += 1
        expires_at_ns = self.sim.time_ns + 120 * SECOND_NS
        return make_tx(SHARD_CHAIN, messages, [key], expires_at_ns, self.nonce.to_bytes(8, "big"))

    def _prove(
        self, client_id: str, key: bytes
    ) -> tuple[client_tx_pb2.MsgUpdateClient, bytes, client_pb2.Height]:
        """Make a block over the present content; return the client update to it, a proof of the key, and its height."""
        trie = Trie.build(sorted(self.pairs.items()))
        roots = {PROVABLE: trie.root(), BULK: sha256(b"bulk").digest()}
        self.sim.add_block(hash_stores(roots))
        height = self.sim.height
        proof = chain_proofs(trie.prove(key), prove_store(roots, PROVABLE))
        update = client_tx_pb2.MsgUpdateClient(
            client_id=client_id,
            client_message=pack_header(self.sim.update(self.start, height)),
            signer=format_address(RELAYER.public_key),
        )
        return update, proof, height_to_wire(Height(self.sim.revision, height))
