"""The first header: what a new light client starts from.

The operator vouches for it by height and hash, or else the nodes that the operator has named do.  All of them are asked
in either case, and must agree: a single node is believed at its word where no hash is known.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from ibc.client_state import make_client_state, pack_client_state, pack_consensus_state
from ibc.errors import TrustExpired
from ibc.header import HASH_BYTES
from ibc.proof_spec import DEFAULT_SPECS
from ibc.rpcjson import parse_light_block
from ibc.tendermint import TrustOptions, is_expired, trust_light_block
from relayer import queries
from relayer.errors import EndpointsDown, HeightsDisagree, TrustedHeaderMismatch, WitnessDisagrees
from relayer.types import NS_PER_SECOND, Height
from tx.errors import AppError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.any_pb2 import Any as AnyMessage

    from ibc.tendermint import TrustedState
    from relayer.config import ClientConfig, TrustedHeader
    from relayer.errors import RelayError
    from relayer.nodes import ChainNodes, Node
    from relayer.types import ChainId
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


async def first_trust(
    chain: ChainNodes, config: ClientConfig, trusted: TrustedHeader | None
) -> tuple[AnyMessage, AnyMessage]:
    """Return client state and consensus state for a new client of a chain, both packed.

    They are those of the trusted header, or without one those of a recent header.

    Raises:
      TrustedHeaderMismatch: a node gives another header than the trusted one.
      WitnessDisagrees: two nodes give different headers.
      HeightsDisagree: no node that answers has the trusted height.
      EndpointsDown: the chain makes no blocks, or its nodes do not answer.
      TrustExpired: the trusted header is too old.
      IbcError: the header does not verify by itself.

    """
    named = None if trusted is None else await require_named(chain, trusted)
    # Also beside a named header: nodes that have parted above it are no ground to set up a link.
    recent = await _recent_state(chain)
    await _compare_slowest(chain, Height(recent.height))
    known = recent if named is None else named
    _check_age(known, recent, config.trusting_period_s, chain.chain_id)
    options = TrustOptions(
        chain_id=chain.chain_id,
        trust_level=config.trust_level,
        trusting_period_ns=config.trusting_period_s * NS_PER_SECOND,
        max_clock_drift_ns=config.max_clock_drift_s * NS_PER_SECOND,
    )
    state = make_client_state(options, config.unbonding_period_s * NS_PER_SECOND, known.height, DEFAULT_SPECS)
    return pack_client_state(state), pack_consensus_state(known)


async def _recent_state(chain: ChainNodes) -> TrustedState:
    """Return the state of a recent header that all nodes agree on.

    Raises:
      WitnessDisagrees, EndpointsDown, IbcError: see `first_trust`.

    """
    block = await _usable_block(chain)
    header_hash = block.signed_header.commit.block_id.hash
    await _ask_witnesses(chain, Height(block.signed_header.header.height), header_hash, WitnessDisagrees)
    return trust_light_block(block, header_hash, chain.chain_id)


async def require_named(chain: ChainNodes, trusted: TrustedHeader) -> TrustedState:
    """Return the state of the header that the operator names, which no node may contradict.

    Raises:
      TrustedHeaderMismatch: a node gives another one.
      HeightsDisagree: no node that answers has that height.
      EndpointsDown: none answers.
      IbcError: the header does not verify by itself.

    """
    await _ask_witnesses(chain, trusted.height, trusted.header_hash, TrustedHeaderMismatch)
    block = await queries.get_light_block(chain, trusted.height)
    return trust_light_block(block, trusted.header_hash, chain.chain_id)


def _check_age(known: TrustedState, recent: TrustedState, trusting_period_s: int, chain_id: ChainId) -> None:
    """Check that a header is young enough; the chain that gets the client could only say that this has expired.

    Raises:
      TrustExpired: it is not.

    """
    if is_expired(known.time_ns, trusting_period_s * NS_PER_SECOND, recent.time_ns):
        age_s = (recent.time_ns - known.time_ns) // NS_PER_SECOND
        raise TrustExpired(
            f"expected a trusted header of {chain_id} that is younger than {trusting_period_s} s, got the one of "
            f"height {known.height}, which is {age_s} s older than a recent one"
        )


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


async def _ask_witnesses(
    chain: ChainNodes, height: Height, expected: bytes, failure: type[RelayError]
) -> None:
    """Compare a header with what every node that answers has at that height.

    Raises:
      RelayError: a node has another one; of the type that is given.

    """
    answers = await asyncio.gather(*(_header_hash(node, height) for node in chain.nodes))
    for node, got in zip(chain.nodes, answers, strict=True):
        if got is not None and got != expected:
            raise failure(describe_other(chain.chain_id, node, height, expected, got))


def describe_other(chain: ChainId, node: Node, height: Height, expected: bytes, got: bytes) -> str:
    """Return the message of an error: a node has a header of another hash."""
    return f"expected header {expected.hex()} at height {height} of {chain}, got {got.hex()} from {node.address.rpc}"


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
    await _ask_witnesses(chain, lowest, block.signed_header.commit.block_id.hash, WitnessDisagrees)


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
