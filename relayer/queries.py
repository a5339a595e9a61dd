"""What the relayer asks the nodes of a chain, with the answers as values of its own.

Everything here raises the errors of `ChainNodes.ask`, and `AnswerMalformed` for an answer that makes no sense.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError

from abci_app.errors import HeightUnavailable, RpcRefused, TxReplayed
from ibc.client_state import (
    CLIENT_STATE_URL,
    CONSENSUS_STATE_URL,
    ClientState,
    check_type_url,
    client_state_from_wire,
    consensus_state_from_wire,
)
from ibc.errors import IbcError
from ibc.events import CREATE_CLIENT
from ibc.identifiers import Height as IbcHeight
from ibc.identifiers import height_to_wire
from ibc.rpcjson import parse_light_block
from relayer.errors import AnswerMalformed, BodyUnavailable
from relayer.events import (
    BodyNeed,
    CheckpointSeen,
    HeadSeen,
)
from relayer.policy import failure_of
from relayer.types import (
    MAX_STORED,
    BodyKey,
    ChainId,
    ClientId,
    ClientStatus,
    ClientView,
    Failure,
    Height,
    TimeNs,
    TxHash,
)
from wire.gradchain.hub.v1 import query_pb2 as hub_pb2
from wire.gradchain.ibc.v1 import query_pb2 as ibc_pb2
from wire.gradchain.node.v1 import query_pb2 as node_pb2
from wire.gradchain.shard.v1 import query_pb2 as shard_pb2
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from abci_app.rpc_answers import Block, BlockResults, ExecutedTx, Header
    from ibc.tendermint import TrustedState
    from relayer.nodes import ChainNodes, Node
    from wire.tendermint.types import types_pb2

CLOCKS_APART_NS: Final = 10 * 1_000_000_000
"""What a block's time may be behind our own: it is that of the votes on the block before."""

_STATUS: Final = {
    ibc_pb2.CLIENT_STATUS_ACTIVE: ClientStatus.ACTIVE,
    ibc_pb2.CLIENT_STATUS_EXPIRED: ClientStatus.EXPIRED,
    ibc_pb2.CLIENT_STATUS_FROZEN: ClientStatus.FROZEN,
}
_OPEN_BODY: Final = (hub_pb2.SHARD_ROUND_STATUS_UNSPECIFIED, hub_pb2.SHARD_ROUND_STATUS_WAITING)


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """A light client as a chain's node describes it."""

    client_id: ClientId
    counterparty: ClientId
    """Empty if the client is not tied to another one yet."""
    state: ClientState
    view: ClientView


@contextmanager
def _malformed(what: str) -> Iterator[None]:
    """Turn what a wrong answer raises into one error."""
    try:
        yield
    except (IbcError, DecodeError) as error:
        raise AnswerMalformed(f"{what}: {error}") from error


def check_height(number: int) -> Height:
    """Return a height that can be stored; `AnswerMalformed` if it cannot."""
    if number > MAX_STORED:
        raise AnswerMalformed(f"expected a height of at most {MAX_STORED}, got {number}")
    return Height(number)


# --- blocks ----------------------------------------------------------------------------------------------------------


async def get_head(nodes: ChainNodes) -> HeadSeen:
    """Return the newest block of a chain that its application has executed.

    A node stores a block before it executes it, so the height in its own status may have no results yet.

    Raises:
      HeightsDisagree: no node that answers has executed a block yet.

    """
    return await nodes.ask(lambda node: ask_head(nodes.chain_id, node))


async def ask_head(chain: ChainId, node: Node) -> HeadSeen:
    """Return the newest block that a node's application has executed."""
    height = check_height((await node.rpc.abci_info()).height)
    if not height:
        raise HeightUnavailable(f"expected a block executed by {node.address.rpc}, got none yet")
    try:
        return _head_of(chain, height, await node.rpc.header(height))
    except RpcRefused as refusal:
        text = f"expected the header of block {height} that {node.address.rpc} names, got: {refusal.message}"
        raise HeightUnavailable(text) from refusal


async def get_height(nodes: ChainNodes, height: Height) -> HeadSeen:
    """Return what the header of a height says of the chain, unverified."""

    async def ask_one(node: Node) -> HeadSeen:
        return _head_of(nodes.chain_id, height, await node.rpc.header(height))

    return await nodes.ask(ask_one)


def _head_of(chain: ChainId, height: Height, header: Header) -> HeadSeen:
    _check_same_height(height, header.height)
    return HeadSeen(chain, height, TimeNs(header.time_ns), header.last_block_hash)


async def get_block_results(nodes: ChainNodes, height: Height) -> BlockResults:
    """Return what a block did."""

    async def ask_one(node: Node) -> BlockResults:
        results = await node.rpc.block_results(height)
        _check_same_height(height, results.height)
        return results

    return await nodes.ask(ask_one)


def _check_same_height(asked: Height, got: int) -> None:
    """Check that an answer is about the block that was asked for: blocks up to its height are not asked for again."""
    if got != asked:
        raise AnswerMalformed(f"expected an answer about height {asked}, got one about height {got}")


async def get_light_block(nodes: ChainNodes, height: Height) -> types_pb2.LightBlock:
    """Return header, commit and validators of a height, unverified."""
    raw = await nodes.ask(lambda node: node.rpc.light_block(height))
    with _malformed(f"light block {height} of {nodes.chain_id}"):
        return parse_light_block(raw.signed_header, raw.validators)


async def prove_many(
    nodes: ChainNodes, keys: Sequence[bytes], height: Height
) -> Sequence[node_pb2.ProveResponse]:
    """Return the values of provable keys at a height, or their absence, with the proofs; unverified."""
    request = node_pb2.ProveManyRequest(keys=keys, height=height)
    answers = (await nodes.ask(lambda node: node.node.ProveMany(request, timeout=node.timeout_s))).answers
    if len(answers) != len(keys):
        raise AnswerMalformed(f"expected proofs of {len(keys)} keys of {nodes.chain_id}, got {len(answers)}")
    return answers


# --- transactions ----------------------------------------------------------------------------------------------------


async def broadcast(nodes: ChainNodes, tx: bytes) -> Failure | None:
    """Hand over a transaction; return why CheckTx refuses it, or None if it waits for a block now.

    A node that holds it in its mempool says so as long as it does.  Others may have refused it, being a block further,
    and are not offered it again; so they are asked too, and the first of them that has something else to say decides.
    """
    request = node_pb2.BroadcastTxRequest(tx=tx)

    async def ask_one(node: Node) -> Failure | None:
        outcome = (await node.node.BroadcastTx(request, timeout=node.timeout_s)).outcome
        if (outcome.codespace, outcome.code) == (TxReplayed.CODESPACE, TxReplayed.CODE):
            raise TxReplayed(outcome.log)
        return _outcome_failure(outcome)

    try:
        return await nodes.ask(ask_one)
    except TxReplayed as replay:
        return failure_of(replay)


async def look_up_tx(
    nodes: ChainNodes, tx_hash: TxHash, since_ns: TimeNs | None = None
) -> tuple[Height, Failure | None] | None:
    """Return the height of the block that holds a transaction and why it failed, or None if no outcome is known.

    Nodes forget outcomes when they are restarted.  With `since_ns` the blocks since then are searched as well.
    """
    request = node_pb2.GetTxRequest(tx_hash=tx_hash)
    answer = await nodes.ask(lambda node: node.node.GetTx(request, timeout=node.timeout_s))
    if answer.found:
        return check_height(answer.outcome.height), _outcome_failure(answer.outcome)
    if since_ns is None:
        return None
    async with nodes.search:
        return await _find_in_blocks(nodes, tx_hash, since_ns)


async def _find_in_blocks(
    nodes: ChainNodes, tx_hash: TxHash, since_ns: TimeNs
) -> tuple[Height, Failure | None] | None:
    height = (await get_head(nodes)).height
    while height:
        block = await nodes.ask(lambda node, height=height: node.rpc.block(height))  # type: ignore[misc]
        result = await _find_in_block(nodes, block, tx_hash)
        if result is not None:
            return height, Failure(result.codespace, result.code, result.log) if result.code else None
        if block.header.time_ns < since_ns - CLOCKS_APART_NS:
            return None
        height = Height(height - 1)
    return None


async def _find_in_block(nodes: ChainNodes, block: Block, tx_hash: TxHash) -> ExecutedTx | None:
    """Return what a transaction did in a block, or None if the block does not hold it."""
    places = [place for place, tx in enumerate(block.txs) if sha256(tx).digest() == tx_hash]
    if not places:
        return None
    results = (await get_block_results(nodes, Height(block.header.height))).txs
    if len(results) != len(block.txs):
        raise AnswerMalformed(
            f"expected {len(block.txs)} results of block {block.header.height} of {nodes.chain_id}, got {len(results)}"
        )
    return results[places[0]]


def _outcome_failure(outcome: node_pb2.TxOutcome) -> Failure | None:
    return Failure(outcome.codespace, outcome.code, outcome.log) if outcome.code else None


# --- clients ---------------------------------------------------------------------------------------------------------


async def get_client(nodes: ChainNodes, client_id: ClientId) -> ClientInfo:
    """Return a light client of a chain."""
    request = ibc_pb2.GetClientRequest(client_id=client_id)
    answer = await nodes.ask(lambda node: node.ibc.GetClient(request, timeout=node.timeout_s))
    return _read_client(answer.client)


async def list_clients(nodes: ChainNodes) -> list[ClientInfo]:
    """Return all light clients of a chain."""
    request = ibc_pb2.ListClientsRequest()
    answer = await nodes.ask(lambda node: node.ibc.ListClients(request, timeout=node.timeout_s))
    return [_read_client(client) for client in answer.clients]


async def get_created_client(nodes: ChainNodes, tx_hash: TxHash, height: Height) -> ClientInfo:
    """Return the light client that a transaction in the block of a height has created.

    Raises:
      HeightsDisagree: the nodes that answer are not that far.
      RemoteError: the node that answers does not know the client yet.

    """
    block = await nodes.ask(lambda node: node.rpc.block(height))
    executed = await _find_in_block(nodes, block, tx_hash)
    events = () if executed is None else executed.events
    created = [
        value
        for event in events
        if event.kind == CREATE_CLIENT
        for name, value in event.attributes
        if name == "client_id"
    ]
    if len(created) != 1:
        raise AnswerMalformed(
            f"expected {tx_hash.hex()} in block {height} of {nodes.chain_id} to create a client, got {created}"
        )
    return await get_client(nodes, ClientId(created[0]))


def _read_client(client: ibc_pb2.Client) -> ClientInfo:
    with _malformed(f"client {client.client_id}"):
        check_type_url(client.client_state, CLIENT_STATE_URL)
        state = client_state_from_wire(tendermint_pb2.ClientState.FromString(client.client_state.value))
    view = ClientView(
        Height(state.latest_height.height),
        TimeNs(client.latest_time_ns),
        state.trust.trusting_period_ns,
        _STATUS.get(client.status, ClientStatus.EXPIRED),
    )
    return ClientInfo(ClientId(client.client_id), ClientId(client.counterparty_client_id), state, view)


async def get_consensus_state(
    nodes: ChainNodes, client_id: ClientId, revision: int, height: Height
) -> TrustedState:
    """Return what a chain's client knows of a height of the other chain."""
    request = ibc_pb2.GetConsensusStateRequest(
        client_id=client_id, height=height_to_wire(IbcHeight(revision, height))
    )
    return await _ask_consensus_state(nodes, request)


async def get_state_below(
    nodes: ChainNodes, client_id: ClientId, revision: int, height: Height
) -> TrustedState:
    """Return what a chain's client knows of the highest height below the given one."""
    request = ibc_pb2.GetConsensusStateRequest(
        client_id=client_id, height=height_to_wire(IbcHeight(revision, height)), below=True
    )
    return await _ask_consensus_state(nodes, request)


async def _ask_consensus_state(nodes: ChainNodes, request: ibc_pb2.GetConsensusStateRequest) -> TrustedState:
    answer = await nodes.ask(lambda node: node.ibc.GetConsensusState(request, timeout=node.timeout_s))
    with _malformed(f"consensus state {request.height} of {request.client_id} on {nodes.chain_id}"):
        check_type_url(answer.consensus_state, CONSENSUS_STATE_URL)
        message = tendermint_pb2.ConsensusState.FromString(answer.consensus_state.value)
        return consensus_state_from_wire(message, answer.height.revision_height)


# --- bodies ----------------------------------------------------------------------------------------------------------


async def get_checkpoint(hub: ChainNodes, key: BodyKey) -> CheckpointSeen:
    """Return what the hub lacks of a checkpoint's body."""
    request = hub_pb2.GetCheckpointRequest(
        task=key.task, round=key.round, attempt=key.attempt, shard=key.shard.chain
    )

    async def ask_one(node: Node) -> hub_pb2.GetCheckpointResponse:
        answer = await node.hub.GetCheckpoint(request, timeout=node.timeout_s)
        if answer.state.status not in hub_pb2.ShardRoundStatus.values():
            raise AnswerMalformed(f"expected a status of a shard in a round, got {answer.state.status}")
        return answer

    answer = await hub.ask(ask_one)
    status = hub_pb2.ShardRoundStatus.Name(answer.state.status).removeprefix("SHARD_ROUND_STATUS_").lower()
    if answer.state.status in _OPEN_BODY:
        need = BodyNeed.UNKNOWN
    else:
        need = BodyNeed.PARTS if answer.missing else BodyNeed.NOTHING
    return CheckpointSeen(key, need, status, tuple(answer.missing))


async def get_body_parts(
    shard: ChainNodes, key: BodyKey, indices: tuple[int, ...]
) -> list[shard_pb2.BodyPart]:
    """Return parts of a checkpoint's body, unverified, in the order asked for.

    Raises:
      BodyUnavailable: the node leaves one out.

    """
    found: dict[int, shard_pb2.BodyPart] = {}
    wanted = set(indices)
    while wanted:
        first = min(wanted)
        request = shard_pb2.GetBodyPartsRequest(
            task=key.task,
            round=key.round,
            attempt=key.attempt,
            first=first,
            limit=max(wanted) - first + 1,
        )
        answer = await _get_parts(shard, request)
        fresh = {part.index: part for part in answer.parts if part.index in wanted}
        if first not in fresh:
            raise BodyUnavailable(f"expected part {first} of the body of {key}, got none")
        found |= fresh
        wanted -= fresh.keys()
    return [found[index] for index in indices]


async def _get_parts(
    shard: ChainNodes, request: shard_pb2.GetBodyPartsRequest
) -> shard_pb2.GetBodyPartsResponse:
    return await shard.ask(lambda node: node.shard.GetBodyParts(request, timeout=node.timeout_s))
