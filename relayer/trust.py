"""The first header: what a new light client starts from.

Nothing vouches for it but the nodes that the operator has named, so all of them are asked, and must agree.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from ibc.client_state import make_client_state, pack_client_state, pack_consensus_state
from ibc.header import HASH_BYTES
from ibc.proof_spec import DEFAULT_SPECS
from ibc.rpcjson import parse_light_block
from ibc.tendermint import TrustOptions, trust_light_block
from relayer import queries
from relayer.errors import EndpointsDown, HeightsDisagree, WitnessDisagrees
from relayer.types import NS_PER_SECOND, Height
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.any_pb2 import Any as AnyMessage

    from relayer.config import ClientConfig
    from relayer.nodes import ChainNodes, Node
    from wire.tendermint.types import types_pb2

T = TypeVar("T")

WITNESS_BLOCKS: Final = 1
"""The header is taken this far below the newest one, so that other nodes have it too."""
MAX_WAIT_S: Final = 30.0
POLL_S: Final = 0.05


async def wait_for(look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until something is found, and return it.

    Raises:
      TimeoutError: nothing was found for long.

    """
    async with asyncio.timeout(MAX_WAIT_S):
        while True:
            found = await look()
            if found is not None:
                return found
            await asyncio.sleep(POLL_S)


async def first_trust(chain: ChainNodes, config: ClientConfig) -> tuple[AnyMessage, AnyMessage]:
    """Return client state and consensus state for a new client of a chain, both packed.

    Raises:
      WitnessDisagrees: two nodes give different headers.
      EndpointsDown: the chain makes no blocks, or its nodes do not answer.
      IbcError: the header does not verify by itself.

    """
    block = await _usable_block(chain)
    height = Height(block.signed_header.header.height)
    header_hash = block.signed_header.commit.block_id.hash
    await _ask_witnesses(chain, height, header_hash)
    await _compare_slowest(chain, height)
    known = trust_light_block(block, header_hash, chain.chain_id)
    options = TrustOptions(
        chain_id=chain.chain_id,
        trust_level=config.trust_level,
        trusting_period_ns=config.trusting_period_s * NS_PER_SECOND,
        max_clock_drift_ns=config.max_clock_drift_s * NS_PER_SECOND,
    )
    state = make_client_state(options, config.unbonding_period_s * NS_PER_SECOND, height, DEFAULT_SPECS)
    return pack_client_state(state), pack_consensus_state(known)


async def _usable_block(chain: ChainNodes) -> types_pb2.LightBlock:
    """Return a recent light block with an app hash against which something can be proven.

    Raises:
      EndpointsDown: there is none for long.

    """

    async def look() -> types_pb2.LightBlock | None:
        try:
            newest = (await queries.get_head(chain)).height
            block = await queries.get_light_block(chain, Height(max(1, newest - WITNESS_BLOCKS)))
        except HeightsDisagree:
            return None  # a chain that has just been started has no block yet
        return block if len(block.signed_header.header.app_hash) == HASH_BYTES else None

    try:
        return await wait_for(look)
    except TimeoutError:
        raise EndpointsDown(
            f"expected blocks of {chain.chain_id} within {MAX_WAIT_S:.0f} s, got none"
        ) from None


async def _ask_witnesses(chain: ChainNodes, height: Height, expected: bytes) -> None:
    """Compare a header with what every other node that answers has at that height.

    Raises:
      WitnessDisagrees: a node has another one.

    """
    answers = await asyncio.gather(*(_header_hash(node, height) for node in chain.nodes))
    for node, got in zip(chain.nodes, answers, strict=True):
        if got is not None and got != expected:
            raise WitnessDisagrees(
                f"expected header {expected.hex()} at height {height} of {chain.chain_id}, got {got.hex()} from "
                f"{node.address.rpc}"
            )


async def _compare_slowest(chain: ChainNodes, height: Height) -> None:
    """Compare what all nodes have at the newest height of the slowest one, which may follow a fork that is lower.

    Raises:
      WitnessDisagrees: a node has another header.

    """
    heights = await asyncio.gather(*(_newest_height(node) for node in chain.nodes))
    lowest = min((newest for newest in heights if newest), default=height)
    if lowest >= height:
        return  # all of them were asked about that height
    block = await queries.get_light_block(chain, lowest)
    await _ask_witnesses(chain, lowest, block.signed_header.commit.block_id.hash)


async def _newest_height(node: Node) -> Height | None:
    try:
        return Height((await node.rpc.status()).height)
    except AppError:
        return None


async def _header_hash(node: Node, height: Height) -> bytes | None:
    try:
        raw = await node.rpc.light_block(height)
        block = parse_light_block(raw.signed_header, raw.validators)
    except AppError:
        return None  # a node that is down or behind is no witness
    return block.signed_header.commit.block_id.hash
