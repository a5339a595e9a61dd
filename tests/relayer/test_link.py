"""Links are set up once, completed when they were interrupted, and refused when they cannot be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from abci_app.grpc_errors import RemoteError
from abci_app.keyfile import save_key
from bench.played.app import ToyChain
from bench.played.config import make_config
from bench.played.node import PlayedNode
from ibc.errors import NotAuthority, TrustExpired
from ibc.proof_spec import DEFAULT_SPECS
from relayer import queries
from relayer.config import TrustedHeader
from relayer.discovery import find_link
from relayer.errors import (
    AuthorityMissing,
    EndpointsDown,
    HeightsDisagree,
    LinkConflict,
    LinkMissing,
    TrustedHeaderMismatch,
    WitnessDisagrees,
)
from relayer.link import choose_pair
from relayer.queries import ClientInfo
from relayer.service import link_chains
from relayer.types import ClientId, ClientStatus, ClientView, Height, TimeNs
from tests.support.relayer import HUB_CLIENT, SHARD_CLIENT, connected, running_pair, until
from tests.support.waiting import eventually
from tx.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relayer.config import RelayerConfig
    from relayer.nodes import ChainNodes
    from relayer.types import ChainId
    from tests.support.relayer import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with running_pair(tmp_path, linked=False) as running:
        yield running


def test_a_link_is_set_up_from_nothing(pair: Pair) -> None:
    (linked,) = asyncio.run(link_chains(pair.config))
    assert (linked.shard, linked.hub_client, linked.shard_client) == ("shard-1", HUB_CLIENT, SHARD_CLIENT)
    assert len(linked.steps) == 5


def test_a_link_is_set_up_to_a_chain_that_has_yet_to_make_its_first_block(tmp_path: Path) -> None:
    hub = PlayedNode("hub-1", ToyChain("hub"), tmp_path / "hub").start()
    shard = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "shard", is_paused=True).start()
    try:
        config = make_config(hub, shard, tmp_path)

        async def link() -> None:
            linking = asyncio.create_task(link_chains(config))
            await until(lambda: shard.asked_too_early, "the question for a first header")
            shard.is_paused = False
            (linked,) = await linking
            assert len(linked.steps) == 5

        asyncio.run(link())
    finally:
        hub.stop()
        shard.stop()


def test_a_link_that_is_complete_is_left_alone(pair: Pair) -> None:
    asyncio.run(link_chains(pair.config))
    sent = len(pair.hub.taken), len(pair.shard.taken)
    (linked,) = asyncio.run(link_chains(pair.config))
    assert linked.steps == ()
    assert (len(pair.hub.taken), len(pair.shard.taken)) == sent


def test_a_link_that_was_interrupted_is_completed(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    from relayer.link import Linker

    async def stop(*_arguments: object) -> None:
        raise AuthorityMissing("interrupted")

    monkeypatch.setattr(Linker, "_finish_hub", stop)
    with pytest.raises(AuthorityMissing):
        asyncio.run(link_chains(pair.config))
    monkeypatch.undo()
    (linked,) = asyncio.run(link_chains(pair.config))
    assert (linked.hub_client, linked.shard_client) == (HUB_CLIENT, SHARD_CLIENT)
    assert not any("client created" in step for step in linked.steps)
    assert len(linked.steps) == 3


def test_clients_are_created_with_what_the_configuration_says(pair: Pair) -> None:
    config = replace(pair.config, client=replace(pair.config.client, trusting_period_s=7_000))
    asyncio.run(link_chains(config))

    async def look() -> ClientInfo:
        async with connected(config) as (hub, _):
            return await queries.get_client(hub, ClientId(HUB_CLIENT))

    info = asyncio.run(look())
    assert info.state.trust.trusting_period_ns == 7_000 * 10**9
    assert info.state.trust.chain_id == "shard-1"
    assert (info.state.trust.trust_level.numerator, info.state.trust.trust_level.denominator) == (2, 3)
    assert info.state.proof_specs == DEFAULT_SPECS
    assert info.counterparty == SHARD_CLIENT


def test_without_the_key_of_the_authority_nothing_is_created(pair: Pair) -> None:
    config = replace(pair.config, hub=replace(pair.config.hub, authority_key_file=None))
    with pytest.raises(AuthorityMissing):
        asyncio.run(link_chains(config))
    assert pair.hub.taken == []


def test_a_complete_link_needs_no_key_of_the_authority(pair: Pair) -> None:
    asyncio.run(link_chains(pair.config))
    hub = replace(pair.config.hub, authority_key_file=None)
    shards = tuple(replace(shard, authority_key_file=None) for shard in pair.config.shards)
    (linked,) = asyncio.run(link_chains(replace(pair.config, hub=hub, shards=shards)))
    assert linked.steps == ()


def test_the_key_of_somebody_else_is_refused_by_the_chain(pair: Pair) -> None:
    path = pair.directory / "other.json"
    save_key(path, SigningKey.from_seed(b"o" * 32))
    config = replace(pair.config, hub=replace(pair.config.hub, authority_key_file=path))
    with pytest.raises(RemoteError) as refusal:
        asyncio.run(link_chains(config))
    assert refusal.value.is_error(NotAuthority)


def test_nodes_that_disagree_about_a_header_are_no_ground_for_trust(pair: Pair, tmp_path: Path) -> None:
    liar = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "liar").start()
    try:
        shard = pair.config.shards[0]
        config = replace(pair.config, shards=(replace(shard, nodes=(*shard.nodes, liar.address)),))
        with pytest.raises(WitnessDisagrees):
            asyncio.run(link_chains(config))
    finally:
        liar.stop()


def trusting(config: RelayerConfig, of_hub: PlayedNode, of_shard: PlayedNode, height: int) -> RelayerConfig:
    """Return a configuration that names the headers of two chains at a height."""
    hub, shard = (
        TrustedHeader(Height(height), node.blocks[height].hash if height in node.blocks else b"h" * 32)
        for node in (of_hub, of_shard)
    )
    return replace(
        config,
        hub=replace(config.hub, trusted=hub),
        shards=(replace(config.shards[0], trusted=shard),),
    )


def test_clients_start_from_the_headers_that_the_operator_names(pair: Pair) -> None:
    eventually(lambda: min(pair.hub.height, pair.shard.height) >= 4, "four blocks of each chain")
    config = trusting(pair.config, pair.hub, pair.shard, 2)
    (linked,) = asyncio.run(link_chains(config))
    assert len(linked.steps) == 5

    async def look() -> None:
        async with connected(config) as (hub, shard):
            for chain, of in ((hub, pair.shard), (shard, pair.hub)):
                client = await queries.get_client(chain, ClientId(HUB_CLIENT))
                assert client.state.latest_height.height == 2
                known = await queries.get_consensus_state(chain, client.client_id, 1, Height(2))
                assert known.root == of.blocks[2].header.app_hash

    asyncio.run(look())


def test_a_single_node_is_not_believed_against_the_header_that_the_operator_names(
    pair: Pair, tmp_path: Path
) -> None:
    liar = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "liar").start()
    try:
        with pytest.raises(TrustedHeaderMismatch, match=liar.address.rpc):
            asyncio.run(link_chains(trusting(pair.with_shard_nodes(liar), pair.hub, pair.shard, 1)))
        assert pair.hub.taken == []
    finally:
        liar.stop()


def test_no_node_may_contradict_the_header_that_the_operator_names(pair: Pair, tmp_path: Path) -> None:
    liar = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "liar").start()
    try:
        both = pair.with_shard_nodes(pair.shard, liar)
        for of_shard, other in ((pair.shard, liar), (liar, pair.shard)):
            with pytest.raises(TrustedHeaderMismatch, match=other.address.rpc):
                asyncio.run(link_chains(trusting(both, pair.hub, of_shard, 1)))
    finally:
        liar.stop()


def test_nodes_that_part_above_the_header_that_the_operator_names_are_no_ground_for_trust(
    pair: Pair, tmp_path: Path
) -> None:
    fork = PlayedNode("shard-1", ToyChain("shard"), tmp_path / "fork").start()
    try:
        fork.blocks[1] = pair.shard.blocks[1]
        eventually(lambda: min(fork.height, pair.shard.height) >= 3, "blocks above the first")
        with pytest.raises(WitnessDisagrees):
            asyncio.run(
                link_chains(trusting(pair.with_shard_nodes(pair.shard, fork), pair.hub, pair.shard, 1))
            )
        assert pair.hub.taken == []
    finally:
        fork.stop()


def test_a_height_that_no_node_has_is_no_ground_for_trust(pair: Pair) -> None:
    with pytest.raises(HeightsDisagree):
        asyncio.run(link_chains(trusting(pair.config, pair.hub, pair.shard, 10**6)))
    assert pair.hub.taken == []


def test_a_trusted_header_that_is_too_old_is_refused_before_anything_is_sent(pair: Pair) -> None:
    def age_ns() -> int:
        # Counted to a block below the newest one, as the relayer counts it.
        recent = max(1, pair.shard.height - 2)
        first, later = (pair.shard.blocks[height].header.time for height in (1, recent))
        return (later.seconds - first.seconds) * 10**9 + later.nanos - first.nanos

    config = trusting(pair.config, pair.hub, pair.shard, 1)
    eventually(lambda: age_ns() > 1.1 * 10**9, "a first header that is more than a second old")
    with pytest.raises(
        TrustExpired, match=r"a trusted header of .* younger than 1 s, got the one of height 1"
    ):
        asyncio.run(link_chains(replace(config, client=replace(config.client, trusting_period_s=1))))
    assert pair.hub.taken == []


def test_clients_that_exist_do_not_need_the_header_that_the_operator_names(pair: Pair) -> None:
    asyncio.run(link_chains(pair.config))
    (linked,) = asyncio.run(link_chains(trusting(pair.config, pair.hub, pair.shard, 10**6)))
    assert linked.steps == ()


def test_a_witness_that_is_down_holds_up_nothing(pair: Pair) -> None:
    shard = pair.config.shards[0]
    dead = replace(shard.nodes[0], rpc="http://127.0.0.1:9", grpc="127.0.0.1:9")
    config = replace(pair.config, shards=(replace(shard, nodes=(*shard.nodes, dead)),))
    (linked,) = asyncio.run(link_chains(config))
    assert linked.steps


def test_a_link_that_is_not_there_is_missed(pair: Pair) -> None:
    async def look() -> None:
        async with connected(pair.config) as (hub, shard):
            await find_link(hub, shard)

    with pytest.raises(LinkMissing, match="registered"):
        asyncio.run(look())


def test_a_link_is_found_by_the_hubs_registry(pair: Pair) -> None:
    asyncio.run(link_chains(pair.config))

    async def look() -> None:
        async with connected(pair.config) as (hub, shard):
            ready = await find_link(hub, shard)
            assert ready.link.hub.client == HUB_CLIENT
            assert ready.link.shard.client == SHARD_CLIENT
            assert ready.hub_client.status is ClientStatus.ACTIVE

    asyncio.run(look())


def make_client(
    number: int, counterparty: str = "", status: ClientStatus = ClientStatus.ACTIVE
) -> ClientInfo:
    view = ClientView(Height(1), TimeNs(1), 1, status)
    return ClientInfo(ClientId(f"07-tendermint-{number}"), ClientId(counterparty), None, view)  # type: ignore[arg-type]


def test_where_nothing_exists_both_clients_are_created() -> None:
    assert choose_pair([], []) == (None, None)


def test_free_clients_are_used_the_oldest_first() -> None:
    hub, shard = [make_client(3), make_client(4)], [make_client(0), make_client(1)]
    assert choose_pair(hub, shard) == (hub[0], shard[0])


def test_clients_that_are_tied_to_each_other_win() -> None:
    hub = [make_client(3), make_client(4, "07-tendermint-1")]
    shard = [make_client(0), make_client(1, "07-tendermint-4")]
    assert choose_pair(hub, shard) == (hub[1], shard[1])


def test_a_half_tied_pair_is_completed() -> None:
    hub, shard = [make_client(3)], [make_client(0), make_client(1, "07-tendermint-3")]
    assert choose_pair(hub, shard) == (hub[0], shard[1])
    hub, shard = [make_client(3, "07-tendermint-1")], [make_client(0), make_client(1)]
    assert choose_pair(hub, shard) == (hub[0], shard[1])


def test_a_client_that_is_tied_elsewhere_cannot_be_used() -> None:
    with pytest.raises(LinkConflict):
        choose_pair([make_client(3, "07-tendermint-9")], [make_client(0)])


def test_an_expired_client_is_not_linked() -> None:
    tied = make_client(3, "07-tendermint-1", ClientStatus.EXPIRED)
    with pytest.raises(LinkConflict):
        choose_pair([tied], [make_client(1, "07-tendermint-3")])
    free = make_client(3, status=ClientStatus.FROZEN)
    assert choose_pair([free], []) == (None, None)


def test_a_chain_that_cannot_be_asked_ends_the_search_for_clients_when_the_others_have_answered(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = queries.list_clients
    answered: list[ChainId] = []

    async def list_clients(chain: ChainNodes) -> list[ClientInfo]:
        if chain.kind == "hub":
            raise EndpointsDown("no answer")
        found = await asked(chain)
        answered.append(chain.chain_id)
        return found

    monkeypatch.setattr(queries, "list_clients", list_clients)
    with pytest.raises(EndpointsDown):
        asyncio.run(link_chains(pair.config))
    assert answered == [pair.shard.chain_id]
