"""Two linked chains with an application each, and everything that a relayer does between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from abci_app.state import BULK, Overlay
from ibc.channel import handle_acknowledgement, handle_recv_packet, handle_timeout, send_packet
from ibc.client_updates import handle_update_client
from ibc.errors import UnknownPort
from ibc.identifiers import Height, height_to_wire
from ibc.keys import packet_ack_key, packet_commitment_key, packet_receipt_key
from ibc.ports import ENCODING, HUB_PORT, SHARD_PORT, VERSION
from ibc.state import get_acknowledgement, require_client
from tests.support.ibc import SECOND_NS, SimulatedChain
from tests.support.ibc_evidence import fork_block
from tests.support.ibc_host import RELAYER, HostChain, connect, make_evidence
from tx.keys import format_address
from wire.ibc.core.channel.v2 import packet_pb2, tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from ibc.host import HostContext, HostState, PortApp
    from ibc.results import RelayResult
    from wire.gradchain.ibc.v1 import query_pb2

SIGNER = format_address(RELAYER.public_key)


@dataclass
class RecordingApp:
    """An application that records what happens to it, and refuses the payload `refuse` after it has written."""

    received: list[bytes] = field(default_factory=list)
    relayers: list[bytes] = field(default_factory=list)
    """Who brought each payload that was received."""

    packets: list[packet_pb2.Packet] = field(default_factory=list)
    """The packet of each payload that was received."""

    answers: list[tuple[bytes, bytes]] = field(default_factory=list)
    returned: list[bytes] = field(default_factory=list)

    def on_recv(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        relayer: bytes,
    ) -> bytes:
        state.set(BULK, b"app/" + payload.value, b"received")
        ctx.emit("app_received", value=payload.value.hex())
        if payload.value == b"refuse":
            raise UnknownPort("expected another payload, got this one")
        if payload.value == b"say nothing":
            return b""
        self.received.append(payload.value)
        self.relayers.append(relayer)
        self.packets.append(packet)
        return b"ack of " + payload.value

    def on_ack(
        self,
        ctx: HostContext,
        state: HostState,
        packet: packet_pb2.Packet,
        payload: packet_pb2.Payload,
        ack: bytes,
    ) -> None:
        self.answers.append((payload.value, ack))

    def on_timeout(
        self, ctx: HostContext, state: HostState, packet: packet_pb2.Packet, payload: packet_pb2.Payload
    ) -> None:
        self.returned.append(payload.value)


def make_payload(value: bytes, destination_port: str = SHARD_PORT) -> packet_pb2.Payload:
    """Return a payload from the hub."""
    return packet_pb2.Payload(
        source_port=HUB_PORT,
        destination_port=destination_port,
        version=VERSION,
        encoding=ENCODING,
        value=value,
    )


@dataclass
class Link:
    """A hub that sends to a shard."""

    hub: HostChain = field(default_factory=lambda: HostChain(SimulatedChain("hub-1")))
    shard: HostChain = field(default_factory=lambda: HostChain(SimulatedChain("shard-2")))
    hub_app: RecordingApp = field(default_factory=RecordingApp)
    shard_app: RecordingApp = field(default_factory=RecordingApp)
    hub_client: str = field(init=False)
    """The hub's client of the shard."""
    shard_client: str = field(init=False)
    """The shard's client of the hub."""

    def __post_init__(self) -> None:
        self.hub_client, self.shard_client = connect(self.hub, self.shard)

    @property
    def hub_ports(self) -> dict[str, PortApp]:
        return {HUB_PORT: self.hub_app}

    @property
    def shard_ports(self) -> dict[str, PortApp]:
        return {SHARD_PORT: self.shard_app}

    def timeout_s(self, after_s: int = 60) -> int:
        return self.hub.sim.time_ns // SECOND_NS + after_s

    def send(self, *values: bytes, after_s: int = 60) -> packet_pb2.Packet:
        """Send from the hub and return the packet."""
        payloads = [make_payload(value) for value in values or (b"hello",)]
        return self.send_payloads(payloads, self.timeout_s(after_s))

    def send_payloads(self, payloads: list[packet_pb2.Payload], timeout_s: int) -> packet_pb2.Packet:
        sequence = send_packet(self.hub.ctx, self.hub.state, self.hub_client, timeout_s, payloads)
        return packet_pb2.Packet(
            sequence=sequence,
            source_client=self.hub_client,
            destination_client=self.shard_client,
            timeout_timestamp=timeout_s,
            payloads=payloads,
        )

    def teach_shard(self) -> Height:
        """Let the shard's client learn the hub's present state, and return the height to prove at."""
        return teach(self.shard, self.shard_client, self.hub)

    def teach_hub(self) -> Height:
        """Let the hub's client learn the shard's present state, and return the height to prove at."""
        return teach(self.hub, self.hub_client, self.shard)

    def recv_message(self, packet: packet_pb2.Packet, height: Height | None = None) -> tx_pb2.MsgRecvPacket:
        at = self.teach_shard() if height is None else height
        key = packet_commitment_key(packet.source_client, packet.sequence)
        return tx_pb2.MsgRecvPacket(
            packet=packet,
            proof_commitment=self.hub.prove(key, at.height - 1),
            proof_height=height_to_wire(at),
            signer=SIGNER,
        )

    def recv(self, msg: tx_pb2.MsgRecvPacket) -> RelayResult:
        return handle_recv_packet(
            self.shard.ctx, self.shard.state, msg, ports=self.shard_ports, branch=Overlay
        )

    def ack_message(self, packet: packet_pb2.Packet) -> tx_pb2.MsgAcknowledgement:
        at = self.teach_hub()
        key = packet_ack_key(packet.destination_client, packet.sequence)
        return tx_pb2.MsgAcknowledgement(
            packet=packet,
            acknowledgement=get_acknowledgement(self.shard.state, packet.destination_client, packet.sequence),
            proof_acked=self.shard.prove(key, at.height - 1),
            proof_height=height_to_wire(at),
            signer=SIGNER,
        )

    def acknowledge(self, msg: tx_pb2.MsgAcknowledgement) -> RelayResult:
        return handle_acknowledgement(self.hub.ctx, self.hub.state, msg, ports=self.hub_ports)

    def timeout_message(self, packet: packet_pb2.Packet) -> tx_pb2.MsgTimeout:
        at = self.teach_hub()
        key = packet_receipt_key(packet.destination_client, packet.sequence)
        return tx_pb2.MsgTimeout(
            packet=packet,
            proof_unreceived=self.shard.prove(key, at.height - 1),
            proof_height=height_to_wire(at),
            signer=SIGNER,
        )

    def time_out(self, msg: tx_pb2.MsgTimeout) -> RelayResult:
        return handle_timeout(self.hub.ctx, self.hub.state, msg, ports=self.hub_ports)

    def pass_time(self, seconds: int) -> None:
        """Let both chains' next blocks be later."""
        self.hub.sim.time_ns += seconds * SECOND_NS
        self.shard.sim.time_ns += seconds * SECOND_NS


def teach(learner: HostChain, client_id: str, teacher: HostChain) -> Height:
    """Finish the teacher's block, and update the learner's client to the header that commits it."""
    teacher.commit()
    teacher.commit()
    known = require_client(learner.state, client_id).latest_height
    learner.update_client(client_id, teacher.sim.update(known.height, teacher.sim.height))
    return Height(known.revision, teacher.sim.height)


def freeze(learner: HostChain, client_id: str, teacher: HostChain) -> None:
    """Show the learner's client two blocks of one height."""
    sim = teacher.sim
    start = require_client(learner.state, client_id).latest_height.height
    teacher.commit()
    evidence = tendermint_pb2.Misbehaviour(
        header_1=sim.wrap(fork_block(sim, sim.height), start), header_2=sim.update(start, sim.height)
    )
    handle_update_client(learner.ctx, learner.state, make_evidence(client_id, evidence))
    assert require_client(learner.state, client_id).is_frozen


def pending_sequences(response: query_pb2.ListPendingPacketsResponse) -> list[int]:
    """Return the sequences of an answer."""
    return [pending.packet.sequence for pending in response.packets]
