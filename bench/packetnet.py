"""A hub and a shard on real nodes, linked, that send packets when asked."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from abci_app.client import ChainConnection
from abci_app.nodehome import save_config
from bench.packetapp import build_payload
from localnet.homes import FIRST_CLIENT_ID
from localnet.manifest import parse_manifest
from localnet.network import Localnet
from localnet.relay import write_relayer_config
from relayer.config import load_config
from relayer.service import link_chains
from tx.envelope import MAX_MESSAGES
from tx.keys import format_address
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from localnet.manifest import Manifest
    from localnet.nodes import ChainHandle
    from tx.keys import SigningKey

APP: Final = "bench.packet_node"
AMOUNT: Final = 1_000_000
SENDER: Final = "sender"
PAYLOAD_BYTES: Final = 256
TIMEOUT_S: Final = 4 * 3600
"""Longer than any benchmark takes."""


@dataclass(slots=True)
class PacketChain:
    """One of the two chains."""

    chain: ChainHandle
    connection: ChainConnection
    key: SigningKey
    sent: int = 0
    """Packets that it was asked to send; their sequences start at 1."""

    def send(self, count: int, payload_bytes: int = PAYLOAD_BYTES, timeout_s: int = TIMEOUT_S) -> None:
        """Ask for packets, as many to a transaction as it takes, and return when the last is in a block.

        All are then: a chain takes transactions in the order in which they come.

        Raises:
          RemoteError: the chain refuses.

        """
        timeout = int(time.time()) + timeout_s
        signer = format_address(self.key.public_key)
        while count:
            some = min(count, MAX_MESSAGES)
            messages = [
                channel_tx.MsgSendPacket(
                    source_client=FIRST_CLIENT_ID,
                    timeout_timestamp=timeout,
                    payloads=[build_payload((self.sent + number).to_bytes(payload_bytes, "big"))],
                    signer=signer,
                )
                for number in range(1, some + 1)
            ]
            self.sent += some
            count -= some
            self.connection.send(self.chain.chain_id, messages, [self.key], wait=not count)

    def count_pending(self) -> int:
        """Return how many packets of this chain are neither acknowledged nor timed out."""
        total, start = 0, 1
        while True:
            request = ibc_query.ListPendingPacketsRequest(client_id=FIRST_CLIENT_ID, start=start)
            page = self.connection.ibc(
                lambda stub, request=request: stub.ListPendingPackets(request, timeout=30.0)  # type: ignore[misc]
            ).packets
            if not page:
                return total
            total += len(page)
            start = page[-1].packet.sequence + 1

    def is_finished(self, sequence: int) -> bool:
        """Tell whether a packet that was sent has ended."""
        request = ibc_query.GetPacketStatusRequest(client_id=FIRST_CLIENT_ID, sequence=sequence)
        answer = self.connection.ibc(lambda stub: stub.GetPacketStatus(request, timeout=30.0))
        return not answer.committed


@dataclass(frozen=True, slots=True)
class PacketNet:
    """The running chains."""

    localnet: Localnet
    directory: Path
    config: Path
    """Of a relayer between them."""
    hub: PacketChain
    shard: PacketChain

    @property
    def chains(self) -> tuple[PacketChain, PacketChain]:
        """Both, the hub first."""
        return (self.hub, self.shard)


@contextmanager
def running_packet_net(directory: Path, block_time_ms: int = 150) -> Iterator[PacketNet]:
    """Run both chains with one validator each, linked, without a relayer; end them.

    `block_time_ms` is the pause after a block (`timeout_commit`), the floor of the block time.

    Raises:
      AppError: the chains do not start, or cannot be linked.

    """
    localnet = Localnet.create(_build_manifest(block_time_ms), directory / "chains")
    for node in localnet.nodes:
        save_config(node.home, replace(node.config, app=APP))
    hub, shard = localnet.chains["hub"], localnet.chains["shard"]
    connections = [ChainConnection(chain.grpc_addresses) for chain in (hub, shard)]
    key = localnet.key(SENDER)
    try:
        localnet.start(detach=False)
        localnet.wait_ready()
        config = write_relayer_config(localnet, directory / "relayer")
        asyncio.run(link_chains(load_config(config)))
        yield PacketNet(
            localnet,
            directory,
            config,
            PacketChain(hub, connections[0], key),
            PacketChain(shard, connections[1], key),
        )
    finally:
        for connection in connections:
            connection.close()
        localnet.stop()


def _build_manifest(block_time_ms: int) -> Manifest:
    values = {
        "name": "packets",
        "seed": "gradchain bench",
        "block_time_ms": block_time_ms,
        "accounts": {SENDER: AMOUNT, "faucet": AMOUNT, "relayer": AMOUNT},
        "chains": [{"name": kind, "kind": kind} for kind in ("hub", "shard")],
    }
    return parse_manifest(values, "the benchmark's manifest")
