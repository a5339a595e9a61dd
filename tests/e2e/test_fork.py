"""A shard whose validators sign two chains, on a real network with a relayer that knows a node of each."""

from __future__ import annotations

import json
import signal
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import grpc
import pytest

from abci_app.endpoint import Endpoint
from abci_app.nodehome import NodeHome, choose_socket, make_home
from abci_app.rpc import CometRpc
from ibc.rpcjson import parse_light_block
from localnet.keys import derive_node_keys
from relayer.config import NodeAddress, TrustedHeader, load_config
from relayer.config_text import format_config
from relayer.evidence import hash_of
from relayer.types import Height
from tests.support.e2e_network import SmallNetwork, small_network, start_in_background, start_relayer
from tests.support.ports import free_ports
from tests.support.waiting import eventually
from wire.gradchain.hub.v1 import query_pb2, query_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from relayer.config import ChainConfig

pytestmark = pytest.mark.localnet

FORKED, HONEST = "shard-0", "shard-1"


@contextmanager
def running_twin(network: SmallNetwork, folder: Path) -> Iterator[NodeAddress]:
    """Start a second chain of a shard: the same genesis, the same validator, another history."""
    chain = network.localnet.chains[FORKED]
    original = chain.nodes[0]
    spec = next(spec for spec in network.localnet.manifest.chains if spec.name == FORKED)
    keys = derive_node_keys(network.localnet.manifest, spec, 0)
    rpc, p2p, grpc_port = (Endpoint("127.0.0.1", port) for port in free_ports(3))
    home = NodeHome(folder / "twin")
    config = replace(
        original.config,
        name="twin",
        abci=choose_socket(home),
        rpc=rpc,
        p2p=p2p,
        grpc=grpc_port,
        metrics=None,
        # Faster than the original, so that it soon has the heights that the hub knows.
        comet=replace(original.config.comet, empty_block_interval_ms=200),
    )
    make_home(home, config, original.home.genesis_file.read_text(), keys)
    process = start_in_background(
        network.console, folder / "twin.log", "node", "start", "--home", str(home.path)
    )
    try:
        yield NodeAddress(config.rpc_url, str(grpc_port))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def watching_relayer(network: SmallNetwork, twin: NodeAddress, folder: Path) -> Iterator[Path]:
    """Start a second relayer, which takes the twin for another node of the shard; yield its log."""
    config = load_config(network.localnet.directory / "relayer" / "relayer.toml")
    shards = [
        replace(shard, nodes=(*shard.nodes, twin)) if shard.chain_id == FORKED else shard
        for shard in config.shards
    ]
    path = folder / "watch.toml"
    own = replace(config, shards=tuple(shards), journal=folder / "watch.db", http=None)
    path.write_text(format_config(own))
    log = folder / "watch.log"
    process = start_relayer(network.console, log, "--config", str(path), "--json")
    try:
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def active_shards(network: SmallNetwork) -> list[str]:
    """Return the shards that get assignments, as the hub says."""
    with grpc.insecure_channel(network.hub.grpc_addresses[0]) as channel:
        hub = query_pb2_grpc.HubServiceStub(channel)
        answer: query_pb2.ListShardsResponse = hub.ListShards(query_pb2.ListShardsRequest(), timeout=30)
    return [shard.chain_id for shard in answer.shards if shard.active]


def link_ends(network: SmallNetwork) -> dict[tuple[str, str], dict[str, str]]:
    """Return what `relayer status` shows of each end of a link, by shard and by the chain of the end."""
    links = network.console.view("relayer", "status")["links"]
    assert isinstance(links, list)
    return {(link["shard"], end["chain_id"]): end for link in links for end in link["ends"]}


def client_states(network: SmallNetwork) -> dict[tuple[str, str], str]:
    """Return the state of each client, by shard and by the chain that keeps it."""
    return {name: end["client_status"] for name, end in link_ends(network).items()}


def compare_with_first(network: SmallNetwork, path: Path) -> set[str]:
    """Return what agrees with the first headers of all chains: nodes, chains and clients."""

    def trusting(chain: ChainConfig) -> ChainConfig:
        with CometRpc(chain.nodes[0].rpc) as rpc:
            raw = rpc.light_block(1)
        return replace(
            chain,
            trusted=TrustedHeader(Height(1), hash_of(parse_light_block(raw.signed_header, raw.validators))),
        )

    config = load_config(network.localnet.directory / "relayer" / "relayer.toml")
    shards = tuple(map(trusting, config.shards))
    path.write_text(format_config(replace(config, hub=trusting(config.hub), shards=shards)))
    checks = network.console.view("relayer", "config", "validate", "--live", "--config", str(path))["checks"]
    assert isinstance(checks, list)
    vouched = [check for check in checks if check["name"] == "trusted header"]
    return {check["subject"] for check in vouched if check["is_good"] and not check["is_note"]}


def submissions(log: Path) -> list[dict[str, object]]:
    """Return the lines of a relayer's log that say that evidence was submitted."""
    # The relayer may be amid its last line.
    complete = log.read_text().rpartition("\n")[0].splitlines()
    lines = [json.loads(line) for line in complete if line.startswith("{")]
    return [line for line in lines if line["event"] == "misbehaviour submitted: client frozen"]


def test_a_forked_shard_is_found_and_frozen_while_the_other_goes_on(tmp_path: Path) -> None:
    with small_network(tmp_path) as network:
        assert active_shards(network) == [FORKED, HONEST]
        with running_twin(network, tmp_path) as twin, watching_relayer(network, twin, tmp_path) as log:
            eventually(lambda: active_shards(network) == [HONEST] or None, "the shard to become inactive")
            frozen = eventually(lambda: submissions(log) or None, "the relayer to say so")
        assert [line["chain"] for line in frozen] == [FORKED]
        states = client_states(network)
        assert states.pop((FORKED, "hub")) == "frozen"
        assert set(states.values()) == {"active"}

        creator = network.new_key("creator", amount=900)
        task = network.create_example(creator)
        runs = network.train_example(task, [network.new_key(f"trainer-{number}") for number in range(2)])
        for done in runs:
            assert (done.exit_code, done.stderr) == (0, ""), done.describe()
            assert HONEST in done.stdout
            assert FORKED not in done.stdout

        frozen_client = link_ends(network)[FORKED, "hub"]["client_id"]
        recovered = network.console.view("relayer", "recover", FORKED)
        assert recovered["hub_client"] == frozen_client
        assert active_shards(network) == [FORKED, HONEST]
        assert set(client_states(network).values()) == {"active"}
        ends = {f"{chain}/{end['client_id']}" for (_, chain), end in link_ends(network).items()}
        assert compare_with_first(network, tmp_path / "first.toml") >= ends
