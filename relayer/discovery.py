"""Finding what is there: the clients of a link, and bodies that the hub waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relayer import queries
from relayer.bodywork import count_parts
from relayer.errors import LinkMissing
from relayer.events import BodyWanted, LinkReady
from relayer.types import BodyKey, ChainId, ClientId, Link, LinkEnd
from wire.gradchain.hub.v1 import query_pb2 as hub_pb2
from wire.gradchain.shard.v1 import query_pb2 as shard_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from relayer.nodes import ChainNodes

TASKS_PAGE: Final = 100


async def list_registered(hub: ChainNodes) -> dict[ChainId, ClientId]:
    """Return the hub's client of each registered shard."""
    request = hub_pb2.ListShardsRequest()
    answer = await hub.ask(lambda node: node.hub.ListShards(request, timeout=node.timeout_s))
    return {ChainId(shard.chain_id): ClientId(shard.client_id) for shard in answer.shards}


async def find_link(hub: ChainNodes, shard: ChainNodes) -> LinkReady:
    """Return the link of a shard, as the hub's registry and both chains' clients state it.

    Raises:
      LinkMissing: the shard is not registered, or its clients do not fit each other.
      AppError: the chains cannot be asked.

    """
    client_id = (await list_registered(hub)).get(shard.chain_id)
    if client_id is None:
        raise LinkMissing(f"expected {shard.chain_id} to be registered on {hub.chain_id}, got no such shard")
    hub_client = await queries.get_client(hub, client_id)
    if not hub_client.counterparty or hub_client.state.trust.chain_id != shard.chain_id:
        raise LinkMissing(
            f"expected {client_id} on {hub.chain_id} to be tied to a client of {shard.chain_id}"
        )
    shard_client = await queries.get_client(shard, hub_client.counterparty)
    got = (shard_client.state.trust.chain_id, shard_client.counterparty)
    if got != (hub.chain_id, client_id):
        raise LinkMissing(
            f"expected {shard_client.client_id} on {shard.chain_id} to be tied to {client_id} of {hub.chain_id}, "
            f"got {got[1] or 'nothing'} of {got[0]}"
        )
    link = Link(LinkEnd(hub.chain_id, client_id), LinkEnd(shard.chain_id, shard_client.client_id))
    return LinkReady(link, hub_client.view, shard_client.view)


async def find_bodies(hub: ChainNodes, shard: ChainNodes, link: Link) -> AsyncIterator[BodyWanted]:
    """Yield the bodies that the hub waits for from a shard, in the newest rounds of the tasks in training.

    A relayer that keeps its journal knows them; this is for one that starts without.

    Raises:
      AppError: the chains cannot be asked.

    """
    async for task in _list_training(hub):
        oldest = max(1, task.round - task.spec.max_staleness)
        for number in range(oldest, task.round + 1):
            request = hub_pb2.GetRoundRequest(task=task.task, round=number)
            wanted = await _find_body(hub, shard, link, request)
            if wanted is not None:
                yield wanted


async def _list_training(hub: ChainNodes) -> AsyncIterator[hub_pb2.Task]:
    start = 0
    while True:
        answer = await _list_tasks(hub, hub_pb2.ListTasksRequest(start=start, limit=TASKS_PAGE))
        for task in answer.tasks:
            if task.status == hub_pb2.TASK_STATUS_TRAINING and task.round:
                yield task
        if not answer.tasks:
            return
        start = answer.tasks[-1].task + 1


async def _list_tasks(hub: ChainNodes, request: hub_pb2.ListTasksRequest) -> hub_pb2.ListTasksResponse:
    return await hub.ask(lambda node: node.hub.ListTasks(request, timeout=node.timeout_s))


async def _find_body(
    hub: ChainNodes, shard: ChainNodes, link: Link, request: hub_pb2.GetRoundRequest
) -> BodyWanted | None:
    """Return the body that one round waits for from the shard, if it does.

    The header on the shard, against which the parts are checked here, is not proven; the hub checks them against the
    one that it was proven.
    """
    round_ = (await hub.ask(lambda node: node.hub.GetRound(request, timeout=node.timeout_s))).round
    waits = any(
        entry.shard == link.name and entry.status == hub_pb2.SHARD_ROUND_STATUS_CHECKPOINTED
        for entry in round_.shards
    )
    if not waits:
        return None
    info = round_.info
    return await get_body(shard, BodyKey(link.shard, info.task, info.round, info.attempt))


async def get_body(shard: ChainNodes, key: BodyKey) -> BodyWanted | None:
    """Return what a shard says of the body of a checkpoint, unverified; None if it knows of none.

    Raises:
      AppError: the shard cannot be asked.

    """
    asked = shard_pb2.GetRoundRequest(task=key.task, round=key.round, attempt=key.attempt)
    there = (await shard.ask(lambda node: node.shard.GetRound(asked, timeout=node.timeout_s))).round
    if not there.HasField("checkpoint"):
        return None
    return BodyWanted(key, there.checkpoint.body_root, count_parts(there.checkpoint.body_bytes))
