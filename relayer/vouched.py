"""Whether nodes and light clients that exist fit the header that the operator vouches for.

A new client starts from that header (`trust`).  One that exists has started from another, perhaps on the word of a
single node, so what it knows is compared: with the header itself if it knows that height, and its newest height with
what the header leads to.  Upwards that is shown by signatures, as every light client does it, and downwards by
hashes: a header names the one below it, whoever has signed that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ibc.client_updates import claimed_state
from ibc.tendermint import is_expired, trust_light_block
from relayer import queries
from relayer.errors import ClientAstray, HeightsDisagree, TrustedHeaderMismatch
from relayer.evidence import fetch_block, hash_of, walk
from relayer.trust import describe_other
from relayer.types import NS_PER_SECOND, Height
from tx.errors import AppError

if TYPE_CHECKING:
    from ibc.tendermint import TrustedState, TrustOptions
    from relayer.config import TrustedHeader
    from relayer.evidence import Follower
    from relayer.nodes import ChainNodes, Node

MAX_BLOCKS_DOWN: Final = 1_000
"""Most blocks that are read from a trusted header down to what a client knows, some milliseconds each."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """A chain, and the header of it that the operator vouches for."""

    chain: ChainNodes
    header_hash: bytes
    state: TrustedState
    """What that header says."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A client that does not contradict the trusted header."""

    is_known: bool
    """All was compared; else `found` says what could not be."""
    found: str


async def ask_trusted(chain: ChainNodes, trusted: TrustedHeader) -> tuple[TrustedState | AppError, ...]:
    """Ask every node of a chain for the trusted header; return its state or why there is none, node by node.

    `TrustedHeaderMismatch` is what a node gets that has another header there.
    """
    return tuple(await asyncio.gather(*(_ask_node(chain, node, trusted) for node in chain.nodes)))


async def _ask_node(chain: ChainNodes, node: Node, trusted: TrustedHeader) -> TrustedState | AppError:
    try:
        block = await fetch_block(node, trusted.height)
        got = hash_of(block)
        if got != trusted.header_hash:
            text = describe_other(chain.chain_id, node, trusted.height, trusted.header_hash, got)
            return TrustedHeaderMismatch(text)
        return trust_light_block(block, trusted.header_hash, chain.chain_id)
    except AppError as error:
        return error


async def compare_client(follower: Follower, vouched: Vouched, now_ns: int) -> Comparison:
    """Compare what a light client knows with the trusted header of the chain that it follows.

    `now_ns` is in Unix nanoseconds.

    Raises:
      ClientAstray: the client knows something else.
      AppError: the chain that keeps the client cannot be asked.

    """
    info = await queries.get_client(follower.nodes, follower.end.client)
    latest = await _get_known(follower, info.state.revision, info.view.height)
    named = vouched.state
    if named.height >= latest.height:
        return await _compare_below(follower, vouched, latest)
    own = ""
    try:
        known = await _get_known(follower, info.state.revision, Height(named.height))
    except HeightsDisagree:
        pass  # it has not learnt that height, or has forgotten it
    else:
        _check_same(follower, known, named)
        own = f"height {named.height} is the trusted header; "
    compared = await _compare_above(follower, vouched, latest, info.state.trust, now_ns)
    return Comparison(compared.is_known, own + compared.found)


async def _get_known(follower: Follower, revision: int, height: Height) -> TrustedState:
    return await queries.get_consensus_state(follower.nodes, follower.end.client, revision, height)


async def _compare_below(follower: Follower, vouched: Vouched, latest: TrustedState) -> Comparison:
    """Compare the newest state of a client, which is not above the trusted header."""
    blocks = vouched.state.height - latest.height
    if blocks > MAX_BLOCKS_DOWN:
        return Comparison(
            is_known=False,
            found=f"height {latest.height} was not compared: expected at most {MAX_BLOCKS_DOWN} blocks up to the trusted "
            f"height {vouched.state.height}, got {blocks}",
        )
    reasons = []
    for node in vouched.chain.nodes:
        try:
            true = await _descend(vouched, node, latest.height)
        except AppError as error:
            reasons.append(f"{node.address.rpc}: {error.message}")
            continue
        _check_same(follower, latest, true)
        # Another node can tell no other story: the hashes leave no choice.
        return Comparison(is_known=True, found=f"height {latest.height} is of the trusted header's chain")
    return _describe_failure(latest, reasons)


async def _descend(vouched: Vouched, node: Node, height: int) -> TrustedState:
    """Return the state of a height to which the hashes lead from the trusted header above it.

    Raises:
      AppError: the node does not answer, or does not keep all blocks in between.
      IbcError: it serves others.

    """
    expected, state = vouched.header_hash, vouched.state
    for current in range(vouched.state.height, height - 1, -1):
        block = await fetch_block(node, current)
        state = trust_light_block(block, expected, vouched.chain.chain_id)
        expected = block.signed_header.header.last_block_id.hash
    return state


async def _compare_above(
    follower: Follower, vouched: Vouched, latest: TrustedState, trust: TrustOptions, now_ns: int
) -> Comparison:
    """Compare the newest state of a client, which is above the trusted header."""
    if is_expired(vouched.state.time_ns, trust.trusting_period_ns, now_ns):
        period_s = trust.trusting_period_ns // NS_PER_SECOND
        return Comparison(
            is_known=False,
            found=f"height {latest.height} was not compared: the trusted header is older than {period_s} s",
        )
    reasons, compared = [], 0
    for node in vouched.chain.nodes:
        try:
            headers = await walk(vouched.state, trust, node, Height(latest.height), now_ns)
        except AppError as error:
            reasons.append(f"{node.address.rpc}: {error.message}")
            continue
        # Where the chain has forked above the trusted header, nodes may lead to different states.
        _check_same(follower, latest, claimed_state(headers[-1]))
        compared += 1
    if not compared:
        return _describe_failure(latest, reasons)
    return Comparison(is_known=True, found=f"height {latest.height} is of the trusted header's chain")


def _describe_failure(latest: TrustedState, reasons: list[str]) -> Comparison:
    return Comparison(is_known=False, found=f"height {latest.height} was not compared: {'; '.join(reasons)}")


def _check_same(follower: Follower, known: TrustedState, true: TrustedState) -> None:
    """Check that a client knows of a height what is true by the trusted header.

    Raises:
      ClientAstray: it does not.

    """
    if known != true:
        expected, got = (
            f"app hash {state.root.hex()}, time {state.time_ns} ns, validators {state.next_validators_hash.hex()}"
            for state in (true, known)
        )
        raise ClientAstray(
            f"expected {follower.end} to know of height {true.height} {expected}, as the trusted header says, "
            f"got {got}"
        )
