"""Reaching a network: addresses, trust, and what is believed of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from abci_app.client import ChainConnection
from abci_app.endpoint import locate_rpc
from abci_app.errors import EndpointUnreachable, HeightUnavailable, KeyFileMissing, NodeUnavailable
from abci_app.keyfile import save_key
from participant.connect import Network, ShardDirectory, connect
from participant.errors import ModelMismatch, TrustMissing, UnverifiedData
from participant.tasks import build_spec
from participant.trust import read_genesis
from participant.verified import VerifiedHub
from tests.support.hub import CREATOR, HUB_CHAIN
from tests.support.ports import free_ports
from tests.support.served import ServedHub
from tests.support.shard_rounds import SHARD_CHAIN
from tx.failures import InvalidSpec
from tx.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from wire.gradchain.hub.v1 import query_pb2


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("participant.verified.PROOF_PATIENCE_S", 0.3)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ServedHub]:
    served = ServedHub(tmp_path / "hub").open()
    served.add_shards(SHARD_CHAIN)
    yield served
    served.host.close()


@pytest.fixture
def genesis(hub: ServedHub, tmp_path: Path) -> Path:
    return hub.host.write_genesis(tmp_path / "genesis.json")


@pytest.fixture
def network(hub: ServedHub, genesis: Path) -> Iterator[Network]:
    with connect(hub=hub.host.address, shards=[], genesis=genesis, key=CREATOR) as connected:
        yield connected


def build_module() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))


@pytest.mark.parametrize(
    ("grpc", "said", "url"),
    [
        ("127.0.0.1:9090", "127.0.0.1:26657", "http://127.0.0.1:26657"),
        ("hub.example:9090", "127.0.0.1:26657", "http://hub.example:26657"),
        ("hub.example:9090", "0.0.0.0:26657", "http://hub.example:26657"),
        ("hub.example:9090", "[::]:26657", "http://hub.example:26657"),
        ("[fd00::1]:9090", "localhost:26657", "http://[fd00::1]:26657"),
        ("hub.example:9090", "10.0.0.7:26657", "http://10.0.0.7:26657"),
    ],
)
def test_the_rpc_of_a_node_is_looked_for_where_its_grpc_was_reached(grpc: str, said: str, url: str) -> None:
    assert locate_rpc(grpc, said) == url


def test_a_task_is_created_from_a_module_and_its_newest_model_comes_back(network: Network) -> None:
    module = build_module()
    spec = build_spec(module, name="mine", rounds=2, budget=10, min_participants=1)
    task = network.create_task(spec, module)
    assert network.hub.task_spec(task) == spec
    other = build_module()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    proven = network.load_model(task, other)
    assert proven.proof.signatures == 4
    for one, two in zip(module.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.allclose(one.double(), two.double(), atol=2**-24)


def test_a_module_of_another_shape_is_refused_before_anything_is_paid(
    hub: ServedHub, network: Network
) -> None:
    spec = build_spec(build_module(), name="mine", rounds=2, budget=10, min_participants=1)
    with pytest.raises(ModelMismatch):
        network.create_task(spec, nn.Linear(1, 1))
    task = network.create_task(spec, build_module())
    with pytest.raises(ModelMismatch):
        network.load_model(task, nn.Linear(1, 1))


def test_joining_twice_is_the_same_as_once(network: Network, tmp_path: Path) -> None:
    module = build_module()
    spec = build_spec(module, name="mine", rounds=2, budget=10, min_participants=5)
    task = network.create_task(spec, module)
    for _ in range(2):
        assert network.join(task, tmp_path / "state").task == task
    assert network.hub.get_task(task).participants == 1


def test_a_spec_says_what_it_was_told() -> None:
    module = build_module()
    spec = build_spec(
        module,
        name="mine",
        rounds=7,
        budget=100,
        min_participants=3,
        round_seconds=30,
        min_shards=2,
        clip_norms=True,
    )
    assert (spec.rounds, spec.budget, spec.min_participants, spec.min_shards) == (7, 100, 3, 2)
    assert spec.round_duration_ns == 30_000_000_000
    assert spec.rule.WhichOneof("kind") == "norm_clip"
    # weight and bias, twice, and the running mean and variance; the count of batches stays local
    assert [tensor.name for tensor in spec.tensors] == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
    ]
    assert spec.parameters == 6 + 2 + 4 * 2


def test_a_spec_that_no_hub_would_take_is_refused_at_once() -> None:
    with pytest.raises(InvalidSpec, match="rounds"):
        build_spec(build_module(), name="mine", rounds=0, budget=100, min_participants=3)


def test_a_node_that_claims_a_model_that_it_cannot_prove_is_refused(hub: ServedHub, network: Network) -> None:
    module = build_module()
    task = network.create_task(
        build_spec(module, name="mine", rounds=2, budget=10, min_participants=1), module
    )

    def claim(answer: query_pb2.GetTaskResponse) -> query_pb2.GetTaskResponse:
        answer.task.model_root = bytes(32)
        return answer

    hub.lies["GetTask"] = claim
    with pytest.raises(UnverifiedData, match="the chain proves"):
        network.load_model(task, module)


def test_what_is_needed_to_connect_is_asked_for(hub: ServedHub, genesis: Path, tmp_path: Path) -> None:
    key = tmp_path / "key.json"
    with pytest.raises(KeyFileMissing):
        connect(hub=hub.host.address, shards=[], genesis=genesis, key=key)
    save_key(key, SigningKey.from_seed(bytes(32)))
    with pytest.raises(TrustMissing):
        connect(hub=hub.host.address, shards=[], genesis=tmp_path / "none.json", key=key)
    genesis.write_text(genesis.read_text().replace(HUB_CHAIN, "other-1"))
    with pytest.raises(UnverifiedData, match="expected a node of other-1"):
        connect(hub=hub.host.address, shards=[], genesis=genesis, key=key)


def test_a_silent_node_may_be_of_any_shard() -> None:
    (port,) = free_ports(1)
    directory = ShardDirectory([f"127.0.0.1:{port}"])
    with pytest.raises(NodeUnavailable, match=f"a node of shard shard-0, got no answer from .*:{port}"):
        directory.get("shard-0")
    assert len(directory) == 0
    directory.close()


def test_without_nodes_no_shard_is_known() -> None:
    assert ShardDirectory([]).get("shard-0") is None


@dataclass
class Status:
    height: int


class FakeRpc:
    """Stands for CometBFT's RPC: of a chain without blocks, or of a node that is gone."""

    opened: list[str]
    height: int | None = 0

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened.append(url)

    def status(self) -> Status:
        if self.height is None:
            raise EndpointUnreachable(f"{self.url} is gone")
        return Status(self.height)

    def close(self) -> None:
        pass


@pytest.fixture
def fake_rpc(monkeypatch: pytest.MonkeyPatch) -> type[FakeRpc]:
    class Fake(FakeRpc):
        opened: list[str] = []  # noqa: RUF012 - one list for each test

    monkeypatch.setattr("participant.verified.CometRpc", Fake)
    return Fake


def test_a_chain_without_blocks_proves_nothing_yet(
    hub: ServedHub, genesis: Path, fake_rpc: type[FakeRpc]
) -> None:
    connection = ChainConnection([hub.host.address])
    view = VerifiedHub(connection, read_genesis(genesis))
    with pytest.raises(HeightUnavailable):
        view.prove(b"key")
    connection.close()


def test_the_rpc_of_another_node_is_taken_when_one_goes_away(
    hub: ServedHub, genesis: Path, fake_rpc: type[FakeRpc], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = ChainConnection([hub.host.address])
    view = VerifiedHub(connection, read_genesis(genesis))
    fake_rpc.height = None
    with pytest.raises(EndpointUnreachable):
        view.prove(b"key")
    assert fake_rpc.opened == [f"http://{hub.host.rpc_address}"] * 2
    given = VerifiedHub(connection, read_genesis(genesis), rpc_url="http://127.0.0.1:1")
    with pytest.raises(EndpointUnreachable):
        given.prove(b"key")
    assert fake_rpc.opened[2:] == ["http://127.0.0.1:1"]
    connection.close()


def test_taking_part_waits_for_a_hub_that_is_away_and_gives_up_in_the_end(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = build_module()
    spec = build_spec(module, name="mine", rounds=1, budget=10, min_participants=5)
    participant = network.join(network.create_task(spec, module), tmp_path / "state")
    monkeypatch.setattr("participant.sdk.RETRY_S", 0.01)
    away = NodeUnavailable("away")
    asked = 0

    def go_away(_task: int) -> query_pb2.Task:
        nonlocal asked
        asked += 1
        raise away

    monkeypatch.setattr(participant.hub, "get_task", go_away)
    monkeypatch.setattr("participant.sdk.HUB_PATIENCE_S", 0.2)
    with pytest.raises(NodeUnavailable):
        next(participant.rounds())
    assert asked > 1
