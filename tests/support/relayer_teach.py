"""Headers that a light client of a played pair is shown: true ones, and those of a fork."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from bench.played.app import RELAYER
from ibc.client_state import pack_header
from ibc.state import require_client, require_consensus_state
from relayer.evidence import walk
from relayer.nodes import connect
from relayer.submit import Submitter
from relayer.types import ChainId, Height
from tests.support.relayer import HUB_CLIENT, connected, until
from tx.keys import format_address
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2

if TYPE_CHECKING:
    from bench.played.node import PlayedNode
    from tests.support.relayer import Pair


def known_height(pair: Pair) -> int:
    """Return the newest height that the hub's client of the shard knows."""
    return require_client(pair.hub.store.latest(), HUB_CLIENT).latest_height.height


async def teach_header(pair: Pair, node: PlayedNode, height: int) -> None:
    """Update the hub's client of the shard with the header that a node has at a height."""
    state = require_client(pair.hub.store.latest(), HUB_CLIENT)
    known = require_consensus_state(pair.hub.store.latest(), HUB_CLIENT, state.latest_height)
    await until(lambda: node.height > height, "a block above the header")
    nodes = connect(ChainId(pair.shard.chain_id), "shard", (node.address,), 5.0)
    try:
        headers = await walk(known, state.trust, nodes.nodes[0], Height(height), time.time_ns())
    finally:
        await nodes.close()
    signer = format_address(RELAYER.public_key)
    updates = [
        client_tx_pb2.MsgUpdateClient(client_id=HUB_CLIENT, client_message=pack_header(header), signer=signer)
        for header in headers
    ]
    async with connected(pair.config) as (hub, _):
        await Submitter(time.time_ns, os.urandom, 120).submit(hub, updates, RELAYER)
    await until(lambda: known_height(pair) == height, "the client to know the header")


async def teach_forged_header(pair: Pair, fork: PlayedNode) -> None:
    """Update the hub's client of the shard with the next header of a fork, as if it were the shard's."""
    height = known_height(pair) + 1
    await until(lambda: pair.shard.height > height, "a shard that is higher than the client")
    await teach_header(pair, fork, height)
