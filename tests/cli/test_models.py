from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from aggregation.model import to_float
from tests.support.cli import Cli, fails
from tests.support.hub import make_model, make_spec

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Network
    from wire.gradchain.hub.v1 import query_pb2


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("participant.verified.PROOF_PATIENCE_S", 0.5)


def test_a_model_is_verified_with_header_proof_and_bytes(online: Cli, network: Network) -> None:
    network.start_task()
    view = online.json("model", "verify", "--task", "1")
    assert view["root"] == online.json("task", "show", "1")["model_root"]
    header = network.hub.host.headers.light_block(int(str(view["height"]))).signed_header
    assert view["header_hash"] == header.commit.block_id.hash.hex()
    assert view["app_hash"] == header.header.app_hash.hex()
    assert (view["signatures"], view["signed_power"], view["total_power"]) == (4, 40, 40)
    assert (view["chunks"], view["model_bytes"], view["parameters"], view["verified"]) == (1, 200, 50, True)
    text = online.text("model", "verify", "--task", "1")
    assert str(view["root"]) in text
    assert "signed power" in text


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
def test_a_fetched_model_has_the_names_and_values_of_the_task(
    online: Cli, network: Network, tmp_path: Path, suffix: str
) -> None:
    network.start_task()
    path = tmp_path / f"model{suffix}"
    view = online.json("model", "get", "--task", "1", "--out", str(path))
    assert (view["file"], view["verified"], view["tensors_verified"]) == (str(path), True, True)
    loaded = (
        np.load(path)["weights"]
        if suffix == ".npz"
        else torch.load(path, weights_only=True)["weights"].numpy()
    )
    expected = to_float(np.frombuffer(make_model(50), "<i4")).astype(np.float32)
    assert np.array_equal(loaded, expected)
    assert loaded.dtype == np.float32


def test_before_the_first_round_the_names_are_not_proven(
    online: Cli, network: Network, tmp_path: Path
) -> None:
    network.hub.create_task(make_spec())
    view = online.json("model", "get", "--task", "1", "--out", str(tmp_path / "model.npz"))
    assert (view["verified"], view["tensors_verified"]) == (True, False)


def test_the_base_model_of_an_older_round_can_be_fetched(
    online: Cli, network: Network, tmp_path: Path
) -> None:
    network.hub.run_round(network.start_task())
    base = online.json("model", "get", "--task", "1", "--round", "1", "--out", str(tmp_path / "base.npz"))
    newest = online.json("model", "get", "--task", "1", "--out", str(tmp_path / "newest.npz"))
    round_one = online.json("round", "show", "--task", "1", "--round", "1")
    assert (base["root"], newest["root"]) == (round_one["base_root"], round_one["model_root"])
    assert base["root"] != newest["root"]


def test_a_file_is_not_overwritten(online: Cli, network: Network, tmp_path: Path) -> None:
    network.start_task()
    path = tmp_path / "model.npz"
    path.write_text("mine")
    fails(online.on("model", "get", "--task", "1", "--out", str(path)), 5, "[cli/5]")
    assert path.read_text() == "mine"


def test_a_file_of_another_kind_is_a_usage_error(online: Cli, tmp_path: Path) -> None:
    fails(online.on("model", "get", "--task", "1", "--out", str(tmp_path / "model.bin")), 2, "model.bin")


def test_a_folder_that_does_not_exist_is_an_error_of_this_machine(
    online: Cli, network: Network, tmp_path: Path
) -> None:
    network.start_task()
    path = tmp_path / "none" / "model.npz"
    fails(online.on("model", "get", "--task", "1", "--out", str(path)), 5, f"{path.parent}: No such file")


def test_a_task_without_a_model_has_nothing_to_verify(online: Cli) -> None:
    fails(online.on("model", "verify", "--task", "1"), 4, "[participant/2]")


def test_bytes_of_another_model_are_a_lie(online: Cli, network: Network, tmp_path: Path) -> None:
    network.start_task()

    def flip(answer: query_pb2.GetModelChunksResponse) -> query_pb2.GetModelChunksResponse:
        data = bytearray(answer.parts[0].data)
        data[0] ^= 1
        answer.parts[0].data = bytes(data)
        return answer

    network.hub.lies["GetModelChunks"] = flip
    fails(online.on("model", "verify", "--task", "1"), 4, "[participant/2]")
    fails(online.on("model", "get", "--task", "1", "--out", str(tmp_path / "m.npz")), 4, "[participant/2]")
    assert not (tmp_path / "m.npz").exists()


def test_other_names_of_tensors_are_a_lie(online: Cli, network: Network, tmp_path: Path) -> None:
    network.start_task()

    def rename(answer: query_pb2.GetTaskResponse) -> query_pb2.GetTaskResponse:
        answer.task.spec.tensors[0].name = "other"
        return answer

    network.hub.lies["GetTask"] = rename
    result = online.on("model", "get", "--task", "1", "--out", str(tmp_path / "m.npz"))
    fails(result, 4, "expected the spec with digest")


def test_headers_of_other_validators_are_refused(online: Cli, network: Network, tmp_path: Path) -> None:
    network.start_task()
    document = network.genesis.read_text()
    key = network.hub.host.headers.members[0].key.public_key
    import base64

    other = base64.b64encode(bytes(32)).decode()
    network.genesis.write_text(document.replace(base64.b64encode(key).decode(), other))
    fails(online.on("model", "verify", "--task", "1"), 4, "does not verify")


def test_a_node_of_another_chain_is_refused(online: Cli, network: Network) -> None:
    network.genesis.write_text(network.genesis.read_text().replace('"hub-1"', '"hub-2"'))
    fails(
        online.on("model", "verify", "--task", "1"),
        4,
        "expected a node of hub-2, the chain of the genesis file, got one of hub-1",
    )
