"""Participants on a real network that crash, that are lied to, and whose hub goes away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from abci_app.client import ChainConnection
from abci_app.errors import NodeUnavailable
from abci_app.grpc_errors import RemoteError
from abci_app.keyfile import load_key
from abci_app.nodestate import read_state
from participant.connect import ShardDirectory, connect
from participant.errors import UnverifiedData
from participant.journal import Identity, ParticipantJournal
from participant.sdk import Participant
from participant.tasks import build_spec
from tests.support.e2e import finish, read_lines
from tests.support.e2e_participant import build_module
from tests.support.lying_node import LyingNode
from tests.support.ports import free_ports
from tests.support.waiting import eventually
from tx.keys import format_address
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.ibc.core.commitment.v1 import commitment_pb2

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.e2e_network import SmallNetwork
    from tests.support.lying_node import Lie

pytestmark = pytest.mark.localnet

PARAMETERS = 3


def create_task(network: SmallNetwork, key: Path, participants: int = 1, rounds: int = 1) -> int:
    """Create a task for the module of `e2e_participant`."""
    module = build_module()
    spec = build_spec(module, name="faults", rounds=rounds, budget=100, min_participants=participants)
    hub, shards = network.hub.grpc_addresses, [chain.grpc_addresses[0] for chain in network.shards]
    with connect(hub=hub, shards=shards, genesis=network.genesis, key=key) as own:
        return own.create_task(spec, module)


# --- crash ------------------------------------------------------------------------------------------------------------


def start_participant(
    network: SmallNetwork, key: Path, task: int, state: Path, *options: str
) -> subprocess.Popen[str]:
    module = ("-m", "tests.support.e2e_participant", *network.addresses)
    return network.console.start_python(
        *module, "--key", str(key), "--task", str(task), "--state", str(state), *options
    )


def test_a_participant_killed_between_signing_and_sending_sends_what_it_has_signed(
    network: SmallNetwork, tmp_path: Path
) -> None:
    key = network.new_key("crasher", amount=100)
    # another participant keeps the round open: when it is settled, the shard forgets the statements
    network.new_key("absent")
    task = create_task(network, key, participants=2)
    network.console.text("participant", "register", "--task", str(task), "--key", "absent")
    state = tmp_path / "state"
    first = start_participant(network, key, task, state, "--shift", "0.1", "--pause")
    try:
        signed = read_lines(first, "signed")[-1]
    finally:
        first.kill()
        finish(first)
    identity = Identity("hub", task, format_address(load_key(key).public_key))
    kept = ParticipantJournal(state, identity, PARAMETERS).load()
    assert kept is not None

    # training would now give something else
    second = finish(start_participant(network, key, task, state, "--shift", "-0.2"))
    assert second.exit_code == 0, second.describe()
    again, sent = second.stdout.splitlines()
    assert again == signed
    after = ParticipantJournal(state, identity, PARAMETERS).load()
    assert after is not None
    assert after.update == kept.update
    assert after.residual_after.tolist() == kept.residual_after.tolist()
    assert any(after.residual_after)

    _, shard, height = sent.split()
    connection = ChainConnection(network.localnet.chains[shard].grpc_addresses)
    request = shard_query.GetUpdateRequest(
        task=task, round=1, attempt=0, participant=load_key(key).public_key
    )
    stored = connection.shard(lambda stub: stub.GetUpdate(request, timeout=30.0))
    connection.close()
    assert (stored.accepted, stored.height) == (True, int(height))
    assert stored.signed == kept.update.signed


# --- lies -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def liar(network: SmallNetwork) -> Iterator[LyingNode]:
    """A node before the hub, honest until a test tells it otherwise."""
    node = LyingNode(network.hub.grpc_addresses[0])
    yield node
    node.close()


@pytest.fixture(scope="module")
def waiting(
    network: SmallNetwork, liar: LyingNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Participant]:
    """A participant with an open round, which asks the liar."""
    key = network.new_key("trusting", amount=100)
    task = create_task(network, key)
    shards = [chain.grpc_addresses[0] for chain in network.shards]
    with connect(hub=liar.address, shards=shards, genesis=network.genesis, key=key) as own:
        participant = own.join(task, state=tmp_path_factory.mktemp("trusting"))
        next(participant.rounds())
        yield participant


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def change_assignment(change: Callable[[hub_query.GetAssignmentResponse], object]) -> Lie:
    def lie(true: bytes) -> bytes:
        answer = hub_query.GetAssignmentResponse.FromString(true)
        change(answer)
        return answer.SerializeToString()

    return lie


def change_base(answer: hub_query.GetAssignmentResponse) -> None:
    answer.info.base_root = flip(answer.info.base_root)


def change_scale(answer: hub_query.GetAssignmentResponse) -> None:
    answer.info.scale += 1


def change_shard(answer: hub_query.GetAssignmentResponse) -> None:
    answer.shard = "shard-1" if answer.shard == "shard-0" else "shard-0"


def change_spec(true: bytes) -> bytes:
    answer = hub_query.GetTaskResponse.FromString(true)
    answer.task.spec.rounds += 1
    return answer.SerializeToString()


def change_chunk(true: bytes) -> bytes:
    answer = hub_query.GetModelChunksResponse.FromString(true)
    answer.parts[0].data = flip(answer.parts[0].data)
    return answer.SerializeToString()


def hide_chunks(true: bytes) -> bytes:
    answer = hub_query.GetModelChunksResponse.FromString(true)
    del answer.parts[:]
    return answer.SerializeToString()


def change_proof(true: bytes) -> bytes:
    answer = node_query.ProveResponse.FromString(true)
    proof = commitment_pb2.MerkleProof.FromString(answer.proof)
    proof.proofs[0].exist.leaf.prefix = flip(proof.proofs[0].exist.leaf.prefix)
    answer.proof = proof.SerializeToString()
    return answer.SerializeToString()


def change_value(true: bytes) -> bytes:
    answer = node_query.ProveResponse.FromString(true)
    answer.value = flip(answer.value)
    return answer.SerializeToString()


def claim_absence(true: bytes) -> bytes:
    answer = node_query.ProveResponse.FromString(true)
    answer.value = b""
    return answer.SerializeToString()


@pytest.mark.parametrize(
    ("call", "lie"),
    [
        ("GetAssignment", change_assignment(change_base)),
        ("GetAssignment", change_assignment(change_scale)),
        ("GetAssignment", change_assignment(change_shard)),
        ("GetTask", change_spec),
        ("GetModelChunks", change_chunk),
        ("GetModelChunks", hide_chunks),
        ("Prove", change_proof),
        ("Prove", change_value),
        ("Prove", claim_absence),
    ],
    ids=["base", "scale", "shard", "spec", "chunk", "no chunk", "proof", "value", "absence"],
)
def test_a_participant_refuses_what_a_lying_node_says(
    liar: LyingNode, waiting: Participant, monkeypatch: pytest.MonkeyPatch, call: str, lie: Lie
) -> None:
    assert waiting.prepare_round().number == 1, "the truth is believed"
    monkeypatch.setattr("participant.verified.PROOF_PATIENCE_S", 1.0)
    monkeypatch.setitem(liar.lies, call, lie)
    with pytest.raises(UnverifiedData):
        waiting.prepare_round()


# --- nodes that go away -----------------------------------------------------------------------------------------------


def test_participants_wait_for_a_hub_that_restarts(network: SmallNetwork) -> None:
    creator = network.new_key("patient-creator", amount=900)
    task = network.create_example(creator)
    keys = [network.new_key(f"patient-{number}") for number in range(2)]
    (node,) = network.hub.nodes
    restarts = read_state(node.home).restarts
    started = [
        network.start_example("--key", str(key), "--task", str(task), "--seed", str(number))
        for number, key in enumerate(keys)
    ]
    try:
        read_lines(started[0], "round 1")
        network.localnet.kill(node.name, "both")
    finally:
        runs = [finish(process) for process in started]
    assert read_state(node.home).restarts > restarts
    assert [done.exit_code for done in runs] == [0, 0], "\n".join(done.describe() for done in runs)
    ends = {done.stdout.splitlines()[-1].split(",")[0] for done in runs}
    assert len(ends) == 1
    assert network.console.view("task", "show", str(task))["status"] == "complete"


def find_shard(directory: ShardDirectory, chain_id: str) -> ChainConnection | None:
    try:
        return directory[chain_id]
    except NodeUnavailable:
        return None


def test_a_shard_is_found_whose_node_did_not_answer_at_first(network: SmallNetwork) -> None:
    (port,) = free_ports(1)
    known, late = (chain.grpc_addresses[0] for chain in network.shards)
    directory = ShardDirectory([f"127.0.0.1:{port}", known])
    node = None
    try:
        assert directory["shard-0"].addresses == [known]
        with pytest.raises(NodeUnavailable, match=rf"no answer from 127\.0\.0\.1:{port}"):
            directory["shard-1"]
        assert list(directory) == ["shard-0"]
        node = LyingNode(late, port=port)
        found = eventually(lambda: find_shard(directory, "shard-1"), "the shard")
        assert found.addresses == [node.address]
        assert set(directory) == {"shard-0", "shard-1"}
        with pytest.raises(KeyError):
            directory["shard-2"]
    finally:
        directory.close()
        if node is not None:
            node.close()


def test_an_update_waits_for_a_shard_of_which_no_node_has_answered_yet(
    network: SmallNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = network.new_key("patient", amount=100)
    task = create_task(network, key)
    ports = free_ports(len(network.shards))
    nodes: list[LyingNode] = []
    ask_hub = Participant._await_hub

    def come_up(participant: Participant, ask: Callable[[], object]) -> object:
        """Start the nodes when the first attempt to send has failed."""
        if not nodes:
            nodes.extend(
                LyingNode(chain.grpc_addresses[0], port=port)
                for chain, port in zip(network.shards, ports, strict=True)
            )
        return ask_hub(participant, ask)

    shards = [f"127.0.0.1:{port}" for port in ports]
    try:
        with connect(
            hub=network.hub.grpc_addresses[0], shards=shards, genesis=network.genesis, key=key
        ) as own:
            work = next(own.join(task, state=tmp_path).rounds())
            ready = work.prepare_vector((work.base + 0.25).astype(np.float32))
            monkeypatch.setattr(Participant, "_await_hub", come_up)
            sent = work.send(ready)
        assert nodes
        assert sent.height > 0
    finally:
        for node in nodes:
            node.close()


def test_a_task_that_the_creator_cannot_pay_is_refused(network: SmallNetwork) -> None:
    key = network.new_key("poor", amount=99)
    with pytest.raises(RemoteError, match=r"\[hub/"):
        create_task(network, key)
