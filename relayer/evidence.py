"""Evidence that a chain has contradicted itself, made from what several of its nodes serve.

Whatever is submitted was verified here first, from what the client to be frozen trusts itself: a node that serves a
header which its validators have not signed is no fork, and costs no transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ibc.client_state import pack_header, pack_misbehaviour
from ibc.client_updates import claimed_state
from ibc.errors import HeightNotNewer
from ibc.identifiers import Height as IbcHeight
from ibc.light import Failed, LightClient, Need, to_client_message
from ibc.rpcjson import parse_light_block
from ibc.tendermint import TrustOptions, check_misbehaviour, trust_light_block
from ibc.voting import Fraction
from relayer import queries
from relayer.types import NS_PER_SECOND, Height
from tx.errors import AppError
from wire.ibc.core.client.v1 import tx_pb2 as client_tx_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage

    from ibc.tendermint import TrustedState
    from relayer.nodes import ChainNodes, Node
    from relayer.types import ChainId, LinkEnd
    from wire.tendermint.types import types_pb2

_CENTURY_NS: Final = 100 * 365 * 86_400 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class Follower:
    """A light client of the chain that is watched, and the chain that keeps it."""

    end: LinkEnd
    nodes: ChainNodes


@dataclass(frozen=True, slots=True)
class Evidence:
    """What freezes a client: its messages belong into one transaction."""

    height: Height
    """Where the chain contradicts itself."""
    shown: tuple[AnyMessage, ...]
    """Headers that lead to the contradiction, and then what shows it."""

    def build_messages(self, client_id: str, signer: str) -> list[client_tx_pb2.MsgUpdateClient]:
        """Return the messages; `signer` is the address that signs their transaction."""
        return [
            client_tx_pb2.MsgUpdateClient(client_id=client_id, client_message=message, signer=signer)
            for message in self.shown
        ]


async def fetch_block(node: Node, height: int) -> types_pb2.LightBlock:
    """Return a light block of one node, unverified.

    Raises:
      AppError: the node does not answer, or not with a light block.

    """
    raw = await node.rpc.light_block(height)
    return parse_light_block(raw.signed_header, raw.validators)


def hash_of(block: types_pb2.LightBlock) -> bytes:
    """Return the hash of a light block's header, as its commit states it."""
    return block.signed_header.commit.block_id.hash


async def show_fork(follower: Follower, nodes: tuple[Node, Node], height: Height, now_ns: int) -> Evidence:
    """Return evidence of a fork between two nodes, which serve different headers at the height.

    Raises:
      AppError: a node or the follower's chain does not answer, or the headers do not verify.

    """
    client = (await queries.get_client(follower.nodes, follower.end.client)).state
    trusted = await queries.get_state_below(follower.nodes, follower.end.client, client.revision, height)
    parting = await find_parting(nodes, Height(trusted.height), height)
    try:
        return await _show_parting(trusted, client.trust, client.revision, nodes, parting, now_ns)
    except AppError:
        # The way to a header is checked more strictly than evidence: the other node may have an easier one.
        swapped = (nodes[1], nodes[0])
        return await _show_parting(trusted, client.trust, client.revision, swapped, parting, now_ns)


async def find_parting(nodes: tuple[Node, Node], low: Height, high: Height) -> Height:
    """Return a height above `low`, the lowest if the fork lasts, at which two nodes differ; they do at `high`.

    Blocks name their predecessors, so a fork goes on; hence halving finds where it starts.

    Raises:
      AppError: a node does not answer.

    """
    while high - low > 1:
        middle = Height((low + high) // 2)
        one, other = [hash_of(await fetch_block(node, middle)) for node in nodes]
        if one == other:
            low = middle
        else:
            high = middle
    return high


async def _show_parting(
    trusted: TrustedState,
    trust: TrustOptions,
    revision: int,
    nodes: tuple[Node, Node],
    height: Height,
    now_ns: int,
) -> Evidence:
    """Return evidence of a fork that starts at a height: below it both nodes serve the same headers."""
    headers = await walk(trusted, trust, nodes[0], height, now_ns)
    *between, last = headers
    start = claimed_state(between[-1]) if between else trusted
    other = to_client_message(
        await fetch_block(nodes[1], height), IbcHeight(revision, start.height), last.trusted_validators
    )
    evidence = tendermint_pb2.Misbehaviour(header_1=last, header_2=other)
    check_misbehaviour(start, start, evidence, trust, now_ns)
    return Evidence(height, (*map(pack_header, between), pack_misbehaviour(evidence)))


async def contradict(follower: Follower, node: Node, height: Height, now_ns: int) -> Evidence:
    """Return headers of a node that contradict what a client knows of a height.

    So a client that was shown a forged header is frozen even if only one true node is known.

    Raises:
      AppError: a node or the follower's chain does not answer, or the headers do not verify.

    """
    client = (await queries.get_client(follower.nodes, follower.end.client)).state
    trusted = await queries.get_state_below(follower.nodes, follower.end.client, client.revision, height)
    headers = await walk(trusted, client.trust, node, height, now_ns)
    return Evidence(height, tuple(pack_header(header) for header in headers))


async def walk(
    trusted: TrustedState, trust: TrustOptions, node: Node, height: Height, now_ns: int
) -> tuple[tendermint_pb2.Header, ...]:
    """Return the headers that lead from a trusted state to a height of one node: at least one.

    Raises:
      AppError: the node does not answer.
      IbcError: what it serves does not verify.

    """
    if height <= trusted.height:
        raise HeightNotNewer(f"expected a height above {trusted.height}, got {height}")
    light = LightClient(trusted, trust)
    progress = light.begin(height)
    while isinstance(progress, Need):
        progress = light.step(await fetch_block(node, progress.height), now_ns)
    if isinstance(progress, Failed):
        raise progress.error
    return progress.headers


async def leads_up(chain: ChainId, low: tuple[Node, Height], high: tuple[Node, Height], now_ns: int) -> bool:
    """Tell whether the validators of one node's block have, by their signatures, led to a later one of another node.

    So a node that is far ahead of a node that lags is told from one that has made its height up.

    Raises:
      AppError: the first node does not show its own block, so there is nothing to start from.

    """
    node, height = low
    block = await fetch_block(node, height)
    start = trust_light_block(block, hash_of(block), chain)
    try:
        await walk(start, _any_age(chain), *high, now_ns)
    except AppError:
        return False
    return True


def _any_age(chain: ChainId) -> TrustOptions:
    """Return rules under which no header is too old, or too new by a wrong clock: only signatures count."""
    return TrustOptions(chain, Fraction(1, 3), trusting_period_ns=_CENTURY_NS, max_clock_drift_ns=_CENTURY_NS)
