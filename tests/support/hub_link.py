"""A shard's side of the hub's link, with real headers and real proofs of made-up content."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from abci_app.multistore import chain_proofs, hash_stores, prove_store
from abci_app.state import BULK, PROVABLE
from abci_app.trie import Trie
from ibc.client_state import (
    make_client_state,
    pack_client_state,
    pack_consensus_state,
    pack_header,
    pack_misbehaviour,
)
from ibc.identifiers import Height, height_to_wire
from ibc.keys import packet_ack_key, packet_commitment_key, packet_receipt_key
from ibc.packet import commit_acknowledgement, commit_packet
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.proof_spec import DEFAULT_SPECS
from tests.support.hub import AUTHORITY, HubChain
from tests.support.ibc import DAY_NS, SimulatedChain
from tests.support.ibc_evidence import fork_block
from tests.support.txs import NOW_NS, SECOND_NS, build_key
from tx.codec import encode
from tx.keys import format_address
from wire.gradchain.hub.v1 import tx_pb2
from wire.ibc.core.channel.v2 import packet_pb2 as channel_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2
from wire.ibc.core.client.v1 import client_pb2
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.core.client.v2 import tx_pb2 as client_v2_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.message import Message

    from wire.gradchain.fl.v1 import packet_pb2

RELAYER: Final = build_key(904)
HUB_CLIENT: Final = "07-tendermint-5"
"""Id of the hub's client on the shard."""


@dataclass(slots=True)
class SimulatedShard:
    """A chain that signs headers over whatever its provable store is said to hold."""

    hub: HubChain
    chain_id: str = "shard-1"
    client_id: str = "07-tendermint-0"
    """Id of the shard's client on the hub."""

    sim: SimulatedChain = field(init=False)
    pairs: dict[bytes, bytes] = field(default_factory=dict)
    sequence: int = 0
    start: int = 1
    """A height that the client on the hub knows."""

    def __post_init__(self) -> None:
        self.sim = SimulatedChain(chain_id=self.chain_id, time_ns=NOW_NS - SECOND_NS)
        self.sim.add_block()

    def link(self) -> list[Message]:
        """Return the messages by which the authority creates a client of this shard and admits it."""
        signer = format_address(AUTHORITY.public_key)
        return [
            self.create_client(),
            client_v2_tx_pb2.MsgRegisterCounterparty(
                client_id=self.client_id,
                counterparty_merkle_prefix=[b"provable", b""],
                counterparty_client_id=HUB_CLIENT,
                signer=signer,
            ),
            tx_pb2.MsgRegisterShard(
                authority=AUTHORITY.public_key, chain_id=self.chain_id, client_id=self.client_id
            ),
        ]

    def create_client(self) -> client_tx_pb2.MsgCreateClient:
        """Return the message by which the authority creates a client that knows the newest block."""
        client = make_client_state(self.sim.options(), 21 * DAY_NS, self.sim.height, DEFAULT_SPECS)
        return client_tx_pb2.MsgCreateClient(
            client_state=pack_client_state(client),
            consensus_state=pack_consensus_state(self.sim.trusted_state(self.sim.height)),
            signer=format_address(AUTHORITY.public_key),
        )

    def add_block(self) -> int:
        """Make a block and return its height."""
        self.sim.time_ns = max(self.sim.time_ns, self.hub.time_ns)
        self.sim.add_block()
        return self.sim.height

    def contradict(self) -> client_tx_pb2.MsgUpdateClient:
        """Return the client update to another block of the newest height."""
        other = fork_block(self.sim, self.sim.height)
        return self._update(pack_header(self.sim.wrap(other, self.start)))

    def show_fork(self) -> client_tx_pb2.MsgUpdateClient:
        """Make a block and another one of the same height; return the evidence."""
        height = self.add_block()
        evidence = tendermint_pb2.Misbehaviour(
            header_1=self.sim.wrap(fork_block(self.sim, height), self.start),
            header_2=self.sim.update(self.start, height),
        )
        return self._update(pack_misbehaviour(evidence))

    def _update(self, message: AnyMessage) -> client_tx_pb2.MsgUpdateClient:
        return client_tx_pb2.MsgUpdateClient(
            client_id=self.client_id, client_message=message, signer=format_address(RELAYER.public_key)
        )

    def send(
        self, content: packet_pb2.ShardPacket, *, port: str = HUB_PORT, life_s: int = 600
    ) -> channel_pb2.Packet:
        """Send a packet to the hub and return it."""
        self.sequence += 1
        payload = channel_pb2.Payload(
            source_port=SHARD_PORT,
            destination_port=port,
            version=VERSION,
            encoding=ENCODING,
            value=encode(content),
        )
        packet = channel_pb2.Packet(
            sequence=self.sequence,
            source_client=HUB_CLIENT,
            destination_client=self.client_id,
            timeout_timestamp=self.hub.time_ns // SECOND_NS + life_s,
            payloads=[payload],
        )
        self.pairs[packet_commitment_key(HUB_CLIENT, self.sequence)] = commit_packet(packet)
        return packet

    def relay(self, packet: channel_pb2.Packet) -> bytes:
        """Return the transaction that brings a packet to the hub, with the header that proves it."""
        return self.hub.sign(RELAYER, *self.relay_messages(packet))

    def relay_messages(self, packet: channel_pb2.Packet) -> tuple[Message, Message]:
        """Return the client update and the message that bring a packet to the hub."""
        update, proof, height = self._prove(packet_commitment_key(HUB_CLIENT, packet.sequence))
        message = channel_tx_pb2.MsgRecvPacket(
            packet=packet,
            proof_commitment=proof,
            proof_height=height,
            signer=format_address(RELAYER.public_key),
        )
        return update, message

    def answer(self, packet: channel_pb2.Packet, element: bytes) -> bytes:
        """Return the transaction that brings the shard's acknowledgement of one of the hub's packets."""
        ack = channel_pb2.Acknowledgement(app_acknowledgements=[element])
        key = packet_ack_key(packet.destination_client, packet.sequence)
        self.pairs[key] = commit_acknowledgement(ack)
        update, proof, height = self._prove(key)
        message = channel_tx_pb2.MsgAcknowledgement(
            packet=packet,
            acknowledgement=ack,
            proof_acked=proof,
            proof_height=height,
            signer=format_address(RELAYER.public_key),
        )
        return self.hub.sign(RELAYER, update, message)

    def time_out(self, packet: channel_pb2.Packet) -> bytes:
        """Return the transaction that shows that the shard did not receive one of the hub's packets in time."""
        self.pairs.setdefault(b"something/else", b"\x01")
        update, proof, height = self._prove(packet_receipt_key(packet.destination_client, packet.sequence))
        message = channel_tx_pb2.MsgTimeout(
            packet=packet,
            proof_unreceived=proof,
            proof_height=height,
            signer=format_address(RELAYER.public_key),
        )
        return self.hub.sign(RELAYER, update, message)

    def _prove(self, key: bytes) -> tuple[client_tx_pb2.MsgUpdateClient, bytes, client_pb2.Height]:
        """Make a block over the content of this moment; return the client update to it, a proof, and its height."""
        self.sim.time_ns = max(self.sim.time_ns, self.hub.time_ns)
        trie = Trie.build(sorted(self.pairs.items()))
        roots = {PROVABLE: trie.root(), BULK: sha256(b"bulk").digest()}
        self.sim.add_block(hash_stores(roots))
        height = self.sim.height
        proof = chain_proofs(trie.prove(key), prove_store(roots, PROVABLE))
        update = self._update(pack_header(self.sim.update(self.start, height)))
        return update, proof, height_to_wire(Height(self.sim.revision, height))
