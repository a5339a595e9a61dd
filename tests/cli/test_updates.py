from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.support.by_hand import take_part, train_by_hand
from tests.support.cli import Cli, fails
from tests.support.federation import make_update
from tests.support.hub import HUB_CHAIN, ROUND_S, make_spec, participant_key
from tests.support.served import carry_packets
from tests.support.shard_rounds import SHARD_CHAIN
from tx.codec import encode
from tx.keys import format_address
from tx.statements import sign_statement
from wire.gradchain.fl.v1 import update_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from tests.cli.conftest import Network
    from wire.gradchain.shard.v1 import query_pb2 as shard_query

ALICE = format_address(participant_key(0).public_key)


@pytest.fixture
def trained(online: Cli, network: Network, alice: str, tmp_path: Path) -> Path:
    """Weights that were trained from the base of the first round, which is open."""
    assert alice
    network.start_task()
    online.text("model", "get", "--task", "1", "--out", str(tmp_path / "base.npz"))
    train_by_hand(tmp_path / "base.npz", tmp_path / "trained.npz", 0.01)
    return tmp_path / "trained.npz"


@pytest.fixture
def update_file(network: Network, tmp_path: Path) -> Path:
    """An honest update of the first participant of the open round, who is not Alice necessarily."""
    network.start_task()
    path = tmp_path / "ready.update"
    path.write_bytes(encode(make_update(network.hub.parts(1)[0], 0).to_wire()))
    return path


def change(path: Path, edit: Callable[[update_pb2.Update], None]) -> None:
    """Change an update in a file."""
    update = update_pb2.Update.FromString(path.read_bytes())
    edit(update)
    path.write_bytes(encode(update))


def resign(path: Path, edit: Callable[[update_pb2.UpdateStatement], None]) -> None:
    """Change a statement and have its participant sign the change."""

    def apply(update: update_pb2.Update) -> None:
        statement = update_pb2.UpdateStatement.FromString(update.signed.statement)
        edit(statement)
        keys = [participant_key(number) for number in range(2)]
        key = next(key for key in keys if key.public_key == statement.participant)
        update.signed.CopyFrom(sign_statement(statement, key))

    change(path, apply)


def make(online: Cli, weights: Path, out: Path, *options: str) -> dict[str, object]:
    return online.json(
        "update",
        "make",
        "--task",
        "1",
        "--weights",
        str(weights),
        "--out",
        str(out),
        "--key",
        "alice",
        *options,
    )


def test_a_task_can_be_worked_on_by_hand(online: Cli, network: Network, creator: str, tmp_path: Path) -> None:
    def wait_for_round(_task: int) -> None:
        network.hub.block()
        carry_packets(network.hub, network.shard)

    made = take_part(online, tmp_path, creator, ["ann", "ben"], wait_for_round)
    assert made.shards == (SHARD_CHAIN, SHARD_CHAIN)


# --- make ----------------------------------------------------------------------------------------------------------


def test_an_update_is_made_from_trained_weights(online: Cli, trained: Path, tmp_path: Path) -> None:
    view = make(online, trained, tmp_path / "a.update")
    assert (view["participant"], view["shard"], view["round"], view["scale"]) == (ALICE, SHARD_CHAIN, 1, 10)
    assert (view["payload_bytes"], view["clipped"], view["signed_before"]) == (50, 0, False)
    update = update_pb2.Update.FromString((tmp_path / "a.update").read_bytes())
    # A step of 0.01 is ten units of 2^-10.
    assert set(np.frombuffer(update.payload, np.int8)) == {10}


def test_weights_of_pytorch_give_the_same_update(online: Cli, trained: Path, tmp_path: Path) -> None:
    import torch

    with np.load(trained) as stored:
        torch.save({name: torch.from_numpy(stored[name]) for name in stored.files}, tmp_path / "trained.pt")
    first = make(online, trained, tmp_path / "a.update", "--state", str(tmp_path / "state-a"))
    second = make(
        online, tmp_path / "trained.pt", tmp_path / "b.update", "--state", str(tmp_path / "state-b")
    )
    assert first["payload_root"] == second["payload_root"]


def test_what_must_not_be_lost_is_in_the_home_of_the_user(
    cli: Cli, online: Cli, trained: Path, tmp_path: Path
) -> None:
    view = make(online, trained, tmp_path / "a.update")
    assert view["state"] == str(cli.home / "participants" / HUB_CHAIN / "1" / ALICE)
    assert (Path(str(view["state"])) / "signed.npz").exists()


def test_a_round_is_signed_once_whatever_is_trained_later(online: Cli, trained: Path, tmp_path: Path) -> None:
    make(online, trained, tmp_path / "a.update")
    train_by_hand(tmp_path / "base.npz", tmp_path / "other.npz", 0.5)
    view = make(online, tmp_path / "other.npz", tmp_path / "b.update")
    assert view["signed_before"] is True
    assert (tmp_path / "a.update").read_bytes() == (tmp_path / "b.update").read_bytes()


def test_making_says_what_was_made(online: Cli, trained: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "a.update")
    options = ("--task", "1", "--weights", str(trained), "--out", out, "--key", "alice")
    text = online.text("update", "make", *options)
    assert out in text
    assert SHARD_CHAIN in text


def test_an_update_is_not_overwritten(online: Cli, trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.update"
    out.write_text("mine")
    options = ("--task", "1", "--weights", str(trained), "--out", str(out), "--key", "alice")
    fails(online.on("update", "make", *options), 5, "[cli/5]")


def test_weights_for_a_round_that_is_over_are_refused(online: Cli, trained: Path, tmp_path: Path) -> None:
    options = (
        "--task",
        "1",
        "--weights",
        str(trained),
        "--out",
        str(tmp_path / "a.update"),
        "--key",
        "alice",
    )
    fails(online.on("update", "make", *options, "--round", "7"), 1, "expected round 7 to be the newest one")
    assert not (tmp_path / "a.update").exists()


@pytest.mark.parametrize(
    ("arrays", "exit_code", "text"),
    [
        ({"weights": np.zeros(49)}, 1, "[participant/1]"),
        ({"other": np.zeros(50)}, 1, "[participant/1]"),
        ({"weights": np.zeros(50), "more": np.zeros(1)}, 1, "[participant/1]"),
        ({"weights": np.full(50, np.nan)}, 1, "[aggregation/2]"),
        ({"weights": np.zeros(50, np.int64)}, 1, "[participant/8]"),
    ],
    ids=["another size", "another name", "one too many", "not finite", "integers"],
)
def test_weights_that_do_not_fit_are_refused(
    online: Cli,
    trained: Path,
    tmp_path: Path,
    arrays: dict[str, NDArray[np.float64]],
    exit_code: int,
    text: str,
) -> None:
    np.savez(trained, allow_pickle=False, **arrays)
    options = (
        "--task",
        "1",
        "--weights",
        str(trained),
        "--out",
        str(tmp_path / "a.update"),
        "--key",
        "alice",
    )
    fails(online.on("update", "make", *options), exit_code, text)
    assert not (tmp_path / "a.update").exists()


def test_who_has_no_part_in_the_round_makes_no_update(
    online: Cli, trained: Path, creator: str, tmp_path: Path
) -> None:
    options = (
        "--task",
        "1",
        "--weights",
        str(trained),
        "--out",
        str(tmp_path / "a.update"),
        "--key",
        creator,
    )
    fails(online.on("update", "make", *options), 1, "[participant/4]")


def test_the_state_of_another_participant_is_not_used(
    online: Cli, trained: Path, tmp_path: Path, keep_key: Callable[..., None]
) -> None:
    make(online, trained, tmp_path / "a.update", "--state", str(tmp_path / "state"))
    keep_key("bob", participant_key(1))
    options = ("--task", "1", "--weights", str(trained), "--out", str(tmp_path / "b.update"), "--key", "bob")
    fails(online.on("update", "make", *options, "--state", str(tmp_path / "state")), 5, "[participant/5]")


# --- submit --------------------------------------------------------------------------------------------------------


def test_an_update_goes_to_its_shard(online: Cli, update_file: Path) -> None:
    view = online.json("update", "submit", str(update_file))
    assert (view["task"], view["round"], view["attempt"], view["shard"]) == (1, 1, 0, SHARD_CHAIN)
    assert isinstance(view["height"], int)
    assert len(str(view["tx_hash"])) == len(str(view["statement_digest"])) == 64


def test_the_same_update_again_does_no_harm(online: Cli, update_file: Path) -> None:
    first = online.json("update", "submit", str(update_file))
    second = online.json("update", "submit", str(update_file))
    assert (second["height"], second["statement_digest"]) == (first["height"], first["statement_digest"])


def test_one_need_not_wait_for_the_block(online: Cli, update_file: Path) -> None:
    assert online.json("update", "submit", str(update_file), "--no-wait")["height"] is None


def test_a_shard_whose_address_is_not_known_is_named(cli: Cli, network: Network, update_file: Path) -> None:
    result = cli.run("update", "submit", str(update_file), *network.hub_option)
    fails(result, 2, f"--shard {SHARD_CHAIN}=HOST:PORT")


def test_a_round_that_has_not_reached_the_shard_is_waited_for(
    online: Cli, network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = network.hub.create_task(make_spec())
    network.hub.register(task, 0, 1)
    path = tmp_path / "early.update"
    path.write_bytes(encode(make_update(network.hub.parts(1)[0], 0).to_wire()))
    tries: list[float] = []

    def relay(pause: float) -> None:
        tries.append(pause)
        carry_packets(network.hub, network.shard)

    monkeypatch.setattr("cli.updates.time.sleep", relay)
    assert online.json("update", "submit", str(path))["height"]
    assert len(tries) == 1


def test_a_round_that_never_reaches_the_shard_is_refused_in_time(
    online: Cli, update_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resign(update_file, lambda statement: setattr(statement, "round", 9))
    pauses: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: 6.0 * len(pauses), sleep=pauses.append)
    monkeypatch.setattr("cli.updates.time", clock)
    fails(online.on("update", "submit", str(update_file)), 1, "[shard/12]")
    assert len(pauses) == 4


def test_a_second_update_of_a_round_is_refused(online: Cli, update_file: Path) -> None:
    online.text("update", "submit", str(update_file))
    resign(update_file, lambda statement: setattr(statement, "max_fee", 5))
    fails(online.on("update", "submit", str(update_file)), 1, "[shard/29]")


def test_a_round_that_is_closed_takes_nothing(online: Cli, network: Network, update_file: Path) -> None:
    network.shard.block(after_s=ROUND_S)
    fails(online.on("update", "submit", str(update_file)), 1, "[shard/20]")


def test_another_payload_than_the_one_that_was_signed_is_refused(online: Cli, update_file: Path) -> None:
    change(update_file, lambda update: setattr(update, "payload", bytes(len(update.payload))))
    fails(online.on("update", "submit", str(update_file)), 1, "[shard/31]")


def test_commitments_to_another_payload_are_refused(online: Cli, update_file: Path) -> None:
    def forge(statement: update_pb2.UpdateStatement) -> None:
        statement.commitments[0] = b"\xc0" + bytes(47)

    resign(update_file, forge)
    fails(online.on("update", "submit", str(update_file)), 1, "[shard/42]")


def test_a_forged_signature_is_found_before_it_is_sent(cli: Cli, update_file: Path) -> None:
    change(update_file, lambda update: setattr(update.signed, "signature", bytes(64)))
    fails(cli.run("update", "submit", str(update_file)), 4, "[tx/6]")


@pytest.mark.parametrize("content", [b"hello", b"\xff" * 50, b'{"json": true}'])
def test_a_file_that_holds_no_update_is_refused(cli: Cli, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.update").write_bytes(content)
    for verb in ("submit", "show"):
        fails(cli.run("update", verb, str(tmp_path / "x.update")), 1, "[cli/4]")


def test_an_empty_file_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "x.update").write_bytes(b"")
    assert cli.run("update", "submit", str(tmp_path / "x.update")).exit_code == 1


# --- show ----------------------------------------------------------------------------------------------------------


def test_a_file_is_decoded_and_checked_without_a_network(cli: Cli, update_file: Path) -> None:
    result = cli.run("update", "show", str(update_file), "--json")
    assert result.exit_code == 0, result.output
    view = cli.json("update", "show", str(update_file))
    statement = view["statement"]
    assert isinstance(statement, dict)
    assert (statement["hub_chain_id"], statement["shard"], statement["signature_valid"]) == (
        HUB_CHAIN,
        SHARD_CHAIN,
        True,
    )
    assert (view["payload_bytes"], view["payload_matches"], view["commitments_match"]) == (50, True, None)
    text = cli.text("update", "show", str(update_file))
    assert str(statement["payload_root"]) in text


@pytest.mark.parametrize("lie", ["payload", "counts", "number of commitments"])
def test_a_file_that_lies_about_itself_is_found_out(cli: Cli, update_file: Path, lie: str) -> None:
    if lie == "payload":
        change(update_file, lambda update: setattr(update, "payload", bytes(50)))
    elif lie == "counts":
        resign(update_file, lambda statement: setattr(statement, "large", 50))
    else:
        resign(update_file, lambda statement: statement.commitments.append(bytes(48)))
    fails(cli.run("update", "show", str(update_file)), 4, "[cli/9]")


def test_commitments_are_computed_again_on_request(cli: Cli, update_file: Path) -> None:
    def forge(statement: update_pb2.UpdateStatement) -> None:
        statement.commitments[0] = b"\xc0" + bytes(47)

    assert cli.json("update", "show", str(update_file), "--check-commitments")["commitments_match"] is True
    resign(update_file, forge)
    assert cli.run("update", "show", str(update_file)).exit_code == 0
    fails(cli.run("update", "show", str(update_file), "--check-commitments"), 4, "[cli/9]")


def submitted_by(path: Path) -> str:
    update = update_pb2.Update.FromString(path.read_bytes())
    return format_address(update_pb2.UpdateStatement.FromString(update.signed.statement).participant)


def test_a_shard_tells_what_it_holds(online: Cli, update_file: Path) -> None:
    online.text("update", "submit", str(update_file))
    who = submitted_by(update_file)
    view = online.json("update", "show", "--task", "1", "--participant", who)
    assert (view["round"], view["attempt"], view["shard"], view["accepted"]) == (1, 0, SHARD_CHAIN, True)
    assert (view["participant"], view["payload_bytes"], view["verified"]) == (who, 50, False)
    assert isinstance(view["statement"], dict)
    assert who in online.text("update", "show", "--task", "1", "--participant", who)


def test_a_shard_can_be_asked_without_a_hub(cli: Cli, network: Network, update_file: Path) -> None:
    shard = f"{SHARD_CHAIN}={network.shard.host.address}"
    alone = Cli(cli.home, ("--shard", shard))
    alone.text("update", "submit", str(update_file))
    who = submitted_by(update_file)
    options = ("--task", "1", "--round", "1", "--attempt", "0", "--participant", who, "--on", SHARD_CHAIN)
    assert alone.json("update", "show", *options)["accepted"] is True


def test_an_update_that_is_not_there_is_refused(online: Cli, network: Network, alice: str) -> None:
    network.start_task()
    fails(online.on("update", "show", "--task", "1", "--key", alice), 1, "[shard/61]")


def test_the_statement_of_another_update_is_a_lie(online: Cli, network: Network, update_file: Path) -> None:
    online.text("update", "submit", str(update_file))
    other = make_update(network.hub.parts(1)[0], 1).signed

    def exchange(answer: shard_query.GetUpdateResponse) -> shard_query.GetUpdateResponse:
        answer.signed.CopyFrom(other)
        return answer

    network.shard.lies["GetUpdate"] = exchange
    result = online.on("update", "show", "--task", "1", "--participant", submitted_by(update_file))
    fails(result, 4, "[participant/2]")


def test_a_pruned_update_has_no_statement_any_more(online: Cli, network: Network, update_file: Path) -> None:
    online.text("update", "submit", str(update_file))

    def prune(answer: shard_query.GetUpdateResponse) -> shard_query.GetUpdateResponse:
        answer.ClearField("signed")
        return answer

    network.shard.lies["GetUpdate"] = prune
    who = submitted_by(update_file)
    assert online.json("update", "show", "--task", "1", "--participant", who)["statement"] is None


@pytest.mark.parametrize("options", [(), ("x.update", "--task", "1")])
def test_a_file_or_a_task_has_to_be_named(cli: Cli, tmp_path: Path, options: tuple[str, ...]) -> None:
    (Path.cwd() / "x.update").write_bytes(b"")
    fails(cli.run("update", "show", *options), 2, "either FILE or --task")
