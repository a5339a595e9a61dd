"""A hub and shards on real nodes, linked, that send packets when asked."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack, contextmanager
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
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from localnet.manifest import Manifest
    from localnet.nodes import ChainHandle
    from relayer.link import LinkedShard
    from tx.keys import SigningKey

APP: Final = "bench.packet_node"
AMOUNT: Final = 1_000_000
SENDER: Final = "sender"
PAYLOAD_BYTES: Final = 256
TIMEOUT_S: Final = 4 * 3600
"""Longer than any benchmark takes."""


@dataclass(slots=True)
class PacketChain:
    """One end of a link: a chain, with its client of the other one."""

    chain: ChainHandle
    connection: ChainConnection
    key: SigningKey
    client_id: str = FIRST_CLIENT_ID
    sent: int = 0
    """Packets that it was asked to send; their sequences start at 1."""

    def build_sends(self, count: int, payload_bytes: int, timeout: int) -> list[channel_tx.MsgSendPacket]:
        """Return messages that ask for packets with a timeout in Unix seconds, each with its number as payload."""
        signer = format_address(self.key.public_key)
        numbers = range(self.sent + 1, self.sent + count + 1)
        self.sent += count
        return [
            channel_tx.MsgSendPacket(
                source_client=self.client_id,
                timeout_timestamp=timeout,
                payloads=[build_payload(number.to_bytes(payload_bytes, "big"))],
                signer=signer,
            )
            for number in numbers
        ]

    def send(self, count: int, payload_bytes: int = PAYLOAD_BYTES, timeout_s: int = TIMEOUT_S) -> None:
        """Ask for packets, as many to a transaction as it takes, and return when the last is in a block.

        All are then: a chain takes transactions in the order in which they come.

        Raises:
          RemoteError: the chain refuses.

        """
        timeout = int(time.time()) + timeout_s
        while count:
            some = min(count, MAX_MESSAGES)
            messages = self.build_sends(some, payload_bytes, timeout)
            count -= some
            self.connection.send(self.chain.chain_id, messages, [self.key], wait=not count)

    def count_pending(self) -> int:
        """Return how many packets of this end are neither acknowledged nor timed out."""
        total, start = 0, 1
        while True:
            request = ibc_query.ListPendingPacketsRequest(client_id=self.client_id, start=start)
            page = self.connection.ibc(
                lambda stub, request=request: stub.ListPendingPackets(request, timeout=30.0)  # type: ignore[misc]
            ).packets
            if not page:
                return total
            total += len(page)
            start = page[-1].packet.sequence + 1

    def is_finished(self, sequence: int) -> bool:
        """Tell whether a packet that was sent has ended."""
        request = ibc_query.GetPacketStatusRequest(client_id=self.client_id, sequence=sequence)
        answer = self.connection.ibc(lambda stub: stub.GetPacketStatus(request, timeout=30.0))
        return not answer.committed


@dataclass(frozen=True, slots=True)
class PacketLink:
    """The two ends of a link."""

    hub: PacketChain
    shard: PacketChain


@dataclass(frozen=True, slots=True)
class PacketNet:
    """The running chains."""

    localnet: Localnet
    directory: Path
    config: Path
    """Of a relayer between them."""
    links: tuple[PacketLink, ...]
    """In the order of the shards."""

    @property
    def hub(self) -> PacketChain:
        """The hub's end of the first link."""
        return self.links[0].hub

    @property
    def shard(self) -> PacketChain:
        """The shard's end of the first link."""
        return self.links[0].shard

    @property
    def chains(self) -> tuple[PacketChain, ...]:
        """The ends of all links, the hub's first."""
        return tuple(end for link in self.links for end in (link.hub, link.shard))


@contextmanager
def running_packet_net(directory: Path, block_time_ms: int = 150) -> Iterator[PacketNet]:
    """Run a hub and a shard with one validator each, linked, without a relayer; end them.

    `block_time_ms` is the pause after a block (`timeout_commit`), the floor of the block time.

    Raises:
      AppError: the chains do not start, or cannot be linked.

    """
    chains = [{"name": kind, "kind": kind} for kind in ("hub", "shard")]
    with running_packet_chains(directory, build_packet_manifest(chains, block_time_ms)) as net:
        yield net


@contextmanager
def running_packet_chains(directory: Path, manifest: Manifest) -> Iterator[PacketNet]:
    """Run the chains of a manifest with an app that sends packets, linked, without a relayer; end them.

    Raises:
      AppError: the chains do not start, or cannot be linked.

    """
    localnet = Localnet.create(manifest, directory / "chains")
    for node in localnet.nodes:
        save_config(node.home, replace(node.config, app=APP))
    with ExitStack() as stack:
        stack.callback(localnet.stop)
        localnet.start(detach=False)
        localnet.wait_ready()
        config = write_relayer_config(localnet, directory / "relayer")
        linked = asyncio.run(link_chains(load_config(config)))
        links = tuple(_open_link(localnet, link, stack) for link in linked)
        yield PacketNet(localnet, directory, config, links)


def build_packet_manifest(chains: Sequence[Mapping[str, object]], block_time_ms: int) -> Manifest:
    """Return a network of these chains with a funded sender and relayer."""
    values = {
        "name": "packets",
        "seed": "gradchain bench",
        "block_time_ms": block_time_ms,
        "accounts": {SENDER: AMOUNT, "faucet": AMOUNT, "relayer": AMOUNT},
        "chains": [dict(chain) for chain in chains],
    }
    return parse_manifest(values, "the benchmark's manifest")


def _open_link(localnet: Localnet, linked: LinkedShard, stack: ExitStack) -> PacketLink:
    """Connect to both ends of a link until the stack is closed; no two ends share a connection."""
    key = localnet.key(SENDER)
    by_id = {chain.chain_id: chain for chain in localnet.chains.values()}
    hub = next(chain for chain in by_id.values() if chain.kind == "hub")

    def open_end(chain: ChainHandle, client_id: str) -> PacketChain:
        connection = ChainConnection(chain.grpc_addresses)
        stack.callback(connection.close)
        return PacketChain(chain, connection, key, client_id)

    return PacketLink(open_end(hub, linked.hub_client), open_end(by_id[linked.shard], linked.shard_client))
