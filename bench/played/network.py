"""A played hub with many played shards, linked: `python -m bench.played.network DIRECTORY SHARDS`.

Each line on standard input is a number of packets, which the hub then sends to the shards in turn.  A line on standard
output says when that, or the start, is done.  The processes of a benchmark's relayer see real services; only consensus
is played.  It ends when standard input does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from bench.played.app import ToyChain
from bench.played.config import make_config
from bench.played.node import PlayedNode
from relayer.config_text import format_config
from relayer.service import link_chains
from relayer.types import ChainId
from wire.gradchain.fl.v1 import packet_pb2 as fl_pb2

EMPTY_S = 5.0
PACKETS_A_BLOCK = 512
PAYLOAD_BYTES = 256


class Network:
    """The running chains."""

    def __init__(self, directory: Path, shards: int, stack: ExitStack) -> None:
        self.hub = self._start(directory, "hub-1", "hub", stack)
        self.shards = [
            self._start(directory, f"shard-{number}", "shard", stack) for number in range(1, shards + 1)
        ]
        config = make_config(self.hub, self.shards[0], directory)
        first = config.shards[0]
        chains = tuple(
            replace(first, chain_id=ChainId(shard.chain_id), nodes=(shard.address,)) for shard in self.shards
        )
        self.config = replace(config, shards=chains, log_format="json", request_timeout_s=60)
        linked = asyncio.run(link_chains(self.config))
        self.clients = [link.hub_client for link in linked]
        (directory / "relayer.toml").write_text(format_config(self.config), encoding="utf-8")
        self.sent = 0

    @staticmethod
    def _start(directory: Path, chain_id: str, kind: str, stack: ExitStack) -> PlayedNode:
        node = PlayedNode(chain_id, ToyChain(kind), directory / chain_id, empty_s=EMPTY_S).start()
        stack.callback(node.stop)
        return node

    def send(self, count: int) -> None:
        """Let the hub send packets, and wait until it has."""
        timeout_s = int(time.time()) + 12 * 3600
        value = fl_pb2.HubPacket(
            round_opened=fl_pb2.RoundOpened(task=1, seed=bytes(PAYLOAD_BYTES))
        ).SerializeToString(deterministic=True)
        for start in range(0, count, PACKETS_A_BLOCK):
            for _ in range(min(PACKETS_A_BLOCK, count - start)):
                self.hub.toy.outbox.append((self.clients[self.sent % len(self.clients)], timeout_s, value))
                self.sent += 1
            while self.hub.toy.outbox:
                time.sleep(0.01)


def say(word: str) -> None:
    """Tell the benchmark."""
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the network until standard input ends."""
    directory, shards = Path(sys.argv[1]), int(sys.argv[2])
    with ExitStack() as stack:
        network = Network(directory, shards, stack)
        say("ready")
        for line in sys.stdin:
            network.send(int(line))
            say("sent")


if __name__ == "__main__":
    main()
