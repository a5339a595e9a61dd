from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from abci_app.errors import NodeUnavailable
from aggregation.model import encode_model, model_root, to_fixed
from cli import tasks
from cli.taskfile import read_spec
from cli.weights import draw_weights
from tests.support.cli import Cli, fails
from tests.support.hub import CREATOR, SUPPLY
from tx.keys import format_address
from wire.gradchain.fl.v1 import task_pb2
from wire.gradchain.hub.v1 import query_pb2, tx_pb2
from wire.gradchain.node.v1.query_pb2 import TxOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Network

SPEC = """\
name = "tiny [bold]"
rounds = 2
round_seconds = 30
budget = 100
min_participants = 2
[training]
optimiser = "sgd"
[[tensors]]
name = "w"
shape = [3, 2]
[[tensors]]
name = "b"
shape = [3]
"""
TENSORS = (task_pb2.TensorSpec(name="w", shape=[3, 2]), task_pb2.TensorSpec(name="b", shape=[3]))


@pytest.fixture
def spec_file(tmp_path: Path) -> Path:
    path = tmp_path / "task.toml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def weights_file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.npz"
    np.savez(path, w=np.full((3, 2), 0.5), b=np.array([1.0, 2.0, 3.0]))
    return path


def root_of(vector: np.ndarray) -> str:
    return model_root(encode_model(to_fixed(vector))).hex()


def test_a_new_task_has_its_model_and_takes_participants(
    online: Cli, creator: str, spec_file: Path, weights_file: Path
) -> None:
    view = online.json("task", "create", str(spec_file), "--model", str(weights_file), "--key", creator)
    assert (view["task"], view["status"], view["budget"], view["model_bytes"]) == (1, "registering", 100, 36)
    assert view["creator"] == format_address(CREATOR.public_key)
    assert view["model_root"] == root_of(np.array([0.5] * 6 + [1.0, 2.0, 3.0], np.float32))
    assert online.json("account", "show", creator)["balance"] == SUPPLY - 1_100


def test_without_a_model_the_weights_are_drawn_from_the_seed(
    online: Cli, creator: str, spec_file: Path
) -> None:
    roots = [
        online.json("task", "create", str(spec_file), *seed, "--key", creator)["model_root"]
        for seed in ((), ("--seed", "0"), ("--seed", "7"))
    ]
    assert roots == [root_of(draw_weights(TENSORS, seed)) for seed in (0, 0, 7)]


def test_equal_tasks_are_told_apart(online: Cli, creator: str, spec_file: Path) -> None:
    numbers = [online.json("task", "create", str(spec_file), "--key", creator)["task"] for _ in range(3)]
    assert numbers == [1, 2, 3]


def test_the_tensors_can_come_from_the_model_alone(
    online: Cli, creator: str, spec_file: Path, weights_file: Path
) -> None:
    spec_file.write_text(SPEC.partition("[[tensors]]")[0])
    online.text("task", "create", str(spec_file), "--model", str(weights_file), "--key", creator)
    view = online.json("task", "show", "1")
    assert view["tensors"] == [{"tensor": "w", "shape": [3, 2]}, {"tensor": "b", "shape": [3]}]


def test_a_model_of_many_chunks_is_sent_in_several_transactions(
    online: Cli, creator: str, spec_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("participant.tasks.CHUNKS_A_TX", 2)
    np.savez(tmp_path / "large.npz", w=np.random.default_rng(1).normal(size=(70_000,)))
    spec_file.write_text(SPEC.partition("[[tensors]]")[0])
    view = online.json(
        "task", "create", str(spec_file), "--model", str(tmp_path / "large.npz"), "--key", creator
    )
    assert (view["status"], view["model_bytes"]) == ("registering", 280_000)
    assert online.json("task", "show", "1")["chunks_uploaded"] == 5


def test_a_task_is_shown_with_everything_that_was_agreed(online: Cli, creator: str, spec_file: Path) -> None:
    online.text("task", "create", str(spec_file), "--key", creator)
    view = online.json("task", "show", "1")
    assert (view["name"], view["rounds"], view["escrow"], view["rule"]) == ("tiny [bold]", 2, 100, "mean")
    assert (view["parameters"], view["round_duration_ns"], view["verified"]) == (9, 30_000_000_000, False)
    assert view["training"] == {
        "optimiser": "sgd",
        "learning_rate": "0.1",
        "epochs": 1,
        "batch_size": 32,
        "seed": 0,
    }
    text = online.text("task", "show", "1")
    assert "tiny [bold]" in text
    assert "30 s" in text


def test_tasks_are_listed_in_order(online: Cli, creator: str, spec_file: Path) -> None:
    assert online.json("task", "list") == {"tasks": []}
    for _ in range(2):
        online.text("task", "create", str(spec_file), "--key", creator)
    rows = online.json("task", "list")["tasks"]
    assert isinstance(rows, list)
    assert [(row["task"], row["status"], row["rounds_done"]) for row in rows] == [
        (1, "registering", 0),
        (2, "registering", 0),
    ]
    assert online.text("task", "list").count("tiny [bold]") == 2


def test_more_tasks_than_fit_a_page_are_all_listed(
    online: Cli, creator: str, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("participant.tasks.PAGE", 2)
    for _ in range(5):
        online.text("task", "create", str(spec_file), "--key", creator)
    rows = online.json("task", "list")["tasks"]
    assert isinstance(rows, list)
    assert [row["task"] for row in rows] == [1, 2, 3, 4, 5]


def test_a_node_that_repeats_itself_is_not_listened_to_for_ever(
    online: Cli, network: Network, creator: str, spec_file: Path
) -> None:
    online.text("task", "create", str(spec_file), "--key", creator)
    task = query_pb2.Task(task=1, creator=bytes(32), spec=read_spec(spec_file))
    network.hub.lies["ListTasks"] = lambda _: query_pb2.ListTasksResponse(tasks=[task])
    assert online.on("task", "list").exit_code == 0


def test_a_task_that_does_not_exist_is_refused_by_the_hub(online: Cli) -> None:
    fails(online.on("task", "show", "99"), 1, "[hub/20]")


@pytest.mark.parametrize("number", ["0", "-1", "x", str(2**64)])
def test_a_number_that_no_task_has_is_a_usage_error(cli: Cli, number: str) -> None:
    fails(cli.run("task", "show", "--hub", "127.0.0.1:1", "--", number), 2, "TASK")


def test_a_budget_that_the_creator_does_not_have_is_refused(
    online: Cli, creator: str, spec_file: Path
) -> None:
    spec_file.write_text(SPEC.replace("budget = 100", f"budget = {SUPPLY}"))
    fails(online.on("task", "create", str(spec_file), "--key", creator), 1, "[hub/2]")


def test_a_spec_that_no_hub_takes_is_refused_before_anything_is_sent(
    cli: Cli, creator: str, spec_file: Path
) -> None:
    spec_file.write_text(SPEC.replace("rounds = 2", "rounds = 0"))
    options = ("--key", creator, "--hub", "127.0.0.1:1")
    fails(cli.run("task", "create", str(spec_file), *options), 1, "[tx/16]")


def test_a_malformed_task_file_is_refused(cli: Cli, spec_file: Path) -> None:
    spec_file.write_text("name = ")
    fails(cli.run("task", "create", str(spec_file), "--hub", "127.0.0.1:1"), 1, "[cli/3]")


def test_a_task_file_that_is_missing_is_a_usage_error(cli: Cli) -> None:
    fails(cli.run("task", "create", "none.toml", "--hub", "127.0.0.1:1"), 2, "none.toml")


def test_a_model_and_a_seed_exclude_each_other(cli: Cli, spec_file: Path, weights_file: Path) -> None:
    options = ("--model", str(weights_file), "--seed", "1")
    fails(cli.run("task", "create", str(spec_file), *options), 2, "--model or --seed")


def test_a_model_with_other_tensors_is_refused(cli: Cli, spec_file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", w=np.zeros((2, 3)), b=np.zeros(3))
    fails(cli.run("task", "create", str(spec_file), "--model", str(tmp_path / "other.npz")), 1, "w [2, 3]")


def test_a_model_that_is_not_finite_is_refused(cli: Cli, spec_file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "nan.npz", w=np.full((3, 2), np.nan), b=np.zeros(3))
    fails(
        cli.run("task", "create", str(spec_file), "--model", str(tmp_path / "nan.npz")), 1, "[aggregation/2]"
    )


def test_an_interrupted_upload_is_finished_later(
    online: Cli, creator: str, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "upload_model", _raise_unavailable)
        result = online.on("task", "create", str(spec_file), "--key", creator)
    assert result.exit_code == 3
    assert result.stderr.startswith("note: task 1 exists and waits for its model: `gradchain task upload`")
    assert online.json("task", "show", "1")["status"] == "uploading"
    view = online.json("task", "upload", str(spec_file), "--task", "1", "--key", creator)
    assert (view["task"], view["status"]) == (1, "registering")
    again = online.on("task", "upload", str(spec_file), "--task", "1", "--key", creator)
    fails(again, 1, "got one that is registering")


def test_a_task_whose_model_never_came_is_taken_back(
    online: Cli, creator: str, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "upload_model", _raise_unavailable)
        result = online.on("task", "create", str(spec_file), "--key", creator)
    assert "`gradchain task cancel` takes it back" in result.stderr
    address = format_address(CREATOR.public_key)
    expected = {"task": 1, "status": "cancelled", "creator": address, "refund": 100}
    assert online.json("task", "cancel", "1", "--key", creator) == expected
    assert online.json("account", "show", creator)["balance"] == SUPPLY - 1_000
    assert online.json("task", "show", "1")["status"] == "cancelled"
    fails(online.on("task", "cancel", "1", "--key", creator), 1, "[hub/25]")
    fails(
        online.on("task", "upload", str(spec_file), "--task", "1", "--key", creator), 1, "that is cancelled"
    )
    lines = online.text("round", "watch", "--task", "1").splitlines()
    assert lines == []


def test_a_task_that_takes_participants_is_not_taken_back(
    online: Cli, creator: str, alice: str, spec_file: Path
) -> None:
    online.text("task", "create", str(spec_file), "--key", creator)
    fails(online.on("task", "cancel", "1", "--key", creator), 1, "[hub/25]")
    fails(online.on("task", "cancel", "1", "--key", alice), 1, "[hub/24]")
    fails(online.on("task", "cancel", "9", "--key", creator), 1, "[hub/20]")


def _raise_unavailable(*_: object) -> None:
    raise NodeUnavailable("gone")


def test_another_model_than_the_one_that_is_waited_for_is_refused(
    online: Cli, network: Network, creator: str, spec_file: Path
) -> None:
    spec = read_spec(spec_file)
    message = tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=spec, model_root=b"\x01" * 32)
    network.hub.must_send(CREATOR, message)
    result = online.on("task", "upload", str(spec_file), "--task", "1", "--seed", "5", "--key", creator)
    fails(result, 1, "expected the model with root " + "01" * 32)


def test_only_the_creator_can_upload(online: Cli, network: Network, alice: str, spec_file: Path) -> None:
    root = bytes.fromhex(root_of(draw_weights(TENSORS, 0)))
    spec = read_spec(spec_file)
    network.hub.must_send(
        CREATOR, tx_pb2.MsgCreateTask(creator=CREATOR.public_key, spec=spec, model_root=root)
    )
    fails(online.on("task", "upload", str(spec_file), "--task", "1", "--key", alice), 1, "[hub/24]")


@pytest.mark.parametrize("data", [b"", b"\xff", b"\x0a\x00", b"\x0a\x01\xff"])
def test_a_node_that_does_not_tell_the_number_of_a_new_task_is_not_believed(
    online: Cli, creator: str, spec_file: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = TxOutcome(height=5, data=data)
    monkeypatch.setattr("abci_app.client.ChainConnection.send", lambda *_: outcome)
    fails(online.on("task", "create", str(spec_file), "--key", creator), 4, "the number of the new task")


def test_a_model_that_is_never_complete_is_given_up_in_time(
    online: Cli, network: Network, creator: str, spec_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep_uploading(answer: query_pb2.GetTaskResponse) -> query_pb2.GetTaskResponse:
        answer.task.status = query_pb2.TASK_STATUS_UPLOADING
        return answer

    network.hub.lies["GetTask"] = keep_uploading
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 6.0 * len(pauses), sleep=pauses.append)
    monkeypatch.setattr("participant.tasks.time", clock)
    result = online.on("task", "create", str(spec_file), "--key", creator)
    assert (result.exit_code, result.stdout) == (3, "")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["note", "error", "cure"]
