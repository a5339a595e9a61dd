"""A shard on real nodes with rounds that wait for updates, and a hub that has done its part.

The rounds are opened the real way: tasks on the hub, participants that register, packets with proofs.  They are
carried by hand, and then the hub is stopped: while updates are measured, nothing else runs.  In each round one
participant more is assigned than will send, so that no round closes under measurement.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import numpy as np

from abci_app.client import ChainConnection
from abci_app.comet import LOCALNET
from abci_app.nodehome import save_config
from abci_app.process import read_pid_file
from abci_app.supervisor import PROCESS_KINDS
from bench.errors import LoadLost, NetworkStalled
from localnet.demo.carry import Side, carry
from localnet.homes import FIRST_CLIENT_ID
from localnet.keys import derive_key
from localnet.manifest import parse_manifest
from localnet.network import Localnet
from localnet.relay import write_relayer_config
from participant.tasks import create_task, encode_initial, upload_model
from participant.updates import Assignment
from relayer.config import load_config
from relayer.service import link_chains
from tx.codec import encode
from tx.envelope import MAX_MESSAGES
from wire.gradchain.fl.v1 import task_pb2, update_pb2
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.ibc.v1 import query_pb2 as ibc_query
from wire.gradchain.shard.v1 import query_pb2 as shard_query
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from localnet.manifest import Manifest
    from localnet.nodes import ChainHandle
    from tx.keys import SigningKey

CREATOR: Final = "creator"
BUDGET: Final = 1_000_000
ROUND_NS: Final = 4 * 3600 * 1_000_000_000
"""Longer than any benchmark takes."""

SHARD: Final = "shard-0"
PATIENCE_S: Final = 120.0
POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Seat:
    """A participant with its part of an open round."""

    key: SigningKey
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class ShardNet:
    """The running chains, and rounds whose seats are free."""

    localnet: Localnet
    shard: ChainHandle
    connection: ChainConnection
    rounds: tuple[tuple[Seat, ...], ...]


@dataclass(frozen=True, slots=True)
class NetPlan:
    """What is to be set up."""

    validators: int
    """Of the shard; the hub has one."""
    rounds: tuple[int, ...]
    """Updates that will be sent in each."""
    parameters: int
    app: str = ""
    """Module to run as the app of the shard's nodes; "" is the shard app itself."""
    block_time_ms: int = LOCALNET.timeout_commit_ms
    """Pause between the blocks of a chain."""


def bundle_tx(updates: Sequence[update_pb2.Update]) -> bytes:
    """Return the transaction that carries updates."""
    return encode(tx_pb2.Envelope(updates=update_pb2.UpdateBundle(updates=updates)))


@contextmanager
def running_shard(directory: Path, plan: NetPlan) -> Iterator[ShardNet]:
    """Run a shard with open rounds, and end it.

    Raises:
      AppError: the chains do not start, or refuse what is needed for the rounds.

    """
    localnet = Localnet.create(_build_manifest(plan), directory / "chains")
    shard = localnet.chains[SHARD]
    if plan.app:
        for node in shard.nodes:
            save_config(node.home, replace(node.config, app=plan.app))
    hub = localnet.chains["hub"]
    hub_connection = ChainConnection(hub.grpc_addresses)
    connection = ChainConnection(shard.grpc_addresses)
    try:
        localnet.start(detach=False)
        localnet.wait_ready()
        asyncio.run(link_chains(load_config(write_relayer_config(localnet, directory / "relayer"))))
        opener = _RoundOpener(localnet, Side(hub, hub_connection), Side(shard, connection), plan.parameters)
        rounds = tuple(opener.open(number, count) for number, count in enumerate(plan.rounds))
        _stop_hub(localnet, hub)
        yield ShardNet(localnet, shard, connection, rounds)
    finally:
        hub_connection.close()
        connection.close()
        localnet.stop()


def check_accepted(connection: ChainConnection, updates: Sequence[update_pb2.Update]) -> None:
    """Read every update back: its statement and its payload by their digests, and that it was accepted.

    Raises:
      LoadLost: one was not accepted, or another one was.
      RemoteError: one is missing.

    """
    for update in updates:
        sent = update_pb2.UpdateStatement.FromString(update.signed.statement)
        found = connection.shard(
            lambda stub, sent=sent: stub.GetUpdate(  # type: ignore[misc]
                shard_query.GetUpdateRequest(
                    task=sent.task, round=sent.round, attempt=sent.attempt, participant=sent.participant
                ),
                timeout=connection.timeout_s,
            )
        )
        kept = connection.shard(
            lambda stub, sent=sent: stub.GetPayload(  # type: ignore[misc]
                shard_query.GetPayloadRequest(
                    task=sent.task, round=sent.round, attempt=sent.attempt, payload_root=sent.payload_root
                ),
                timeout=connection.timeout_s,
            )
        )
        same = sha256(found.signed.statement).digest() == sha256(update.signed.statement).digest()
        if not (found.accepted and same and sha256(kept.payload).digest() == sha256(update.payload).digest()):
            raise LoadLost(f"expected the update of {sent.participant.hex()} as it was sent, got another")


def _build_manifest(plan: NetPlan) -> Manifest:
    chains: list[dict[str, object]] = [
        {"name": "hub", "kind": "hub", "validators": 1},
        {"name": SHARD, "kind": "shard", "validators": plan.validators},
    ]
    accounts = {CREATOR: BUDGET * len(plan.rounds), "faucet": BUDGET, "relayer": BUDGET}
    values = {
        "name": "bench",
        "seed": "gradchain bench",
        "block_time_ms": plan.block_time_ms,
        "accounts": accounts,
        "chains": chains,
    }
    return parse_manifest(values, "the benchmark's manifest")


class _RoundOpener:
    """Opens rounds on the hub and carries them to the shard."""

    def __init__(self, localnet: Localnet, hub: Side, shard: Side, parameters: int) -> None:
        self._hub = hub
        self._shard = shard
        self._creator = localnet.key(CREATOR)
        self._carrier = localnet.key("relayer")
        self._parameters = parameters

    def open(self, number: int, updates: int) -> tuple[Seat, ...]:
        """Open the round of a new task for so many updates, and return the seats for them."""
        keys = [derive_key("gradchain bench", "participant", str(index)) for index in range(updates + 1)]
        chain_id = self._hub.chain.chain_id
        spec = _build_spec(f"bench-{number}", self._parameters, len(keys))
        encoded, root = encode_initial(np.zeros(self._parameters, np.float32))
        task = create_task(self._hub.connection, chain_id, self._creator, spec, root)
        upload_model(self._hub.connection, chain_id, self._creator, task, encoded)
        for start in range(0, len(keys), MAX_MESSAGES):
            some = keys[start : start + MAX_MESSAGES]
            messages = [hub_tx.MsgRegisterParticipant(participant=key.public_key, task=task) for key in some]
            self._hub.connection.send(chain_id, messages, some, wait=False)
        self._await_training(task)
        self._carry_opening(task)
        return tuple(Seat(key, self._assignment(task, key)) for key in keys[:updates])

    def _await_training(self, task: int) -> None:
        request = hub_query.GetTaskRequest(task=task)
        deadline = time.monotonic() + PATIENCE_S
        while True:
            found = self._hub.connection.hub(lambda stub: stub.GetTask(request, timeout=30.0)).task
            if found.status == hub_query.TASK_STATUS_TRAINING:
                return
            if time.monotonic() > deadline:
                raise NetworkStalled(
                    f"expected an open round of task {task}, got {found.participants} registered"
                )
            time.sleep(POLL_S)

    def _carry_opening(self, task: int) -> None:
        """Carry the packet that opens the round of the newest task: the last one that the hub has sent."""
        request = ibc_query.ListPendingPacketsRequest(client_id=FIRST_CLIENT_ID)
        pending = self._hub.connection.ibc(
            lambda stub: stub.ListPendingPackets(request, timeout=30.0)
        ).packets
        newest = max(pending, key=lambda entry: entry.packet.sequence)
        carry(self._hub, self._shard, newest, self._carrier)
        opened = self._shard.connection.shard(
            lambda stub: stub.GetRound(shard_query.GetRoundRequest(task=task, round=1), timeout=30.0)
        ).round
        if opened.status != shard_query.ROUND_STATUS_OPEN:
            raise NetworkStalled(f"expected an open round of task {task} on the shard, got {opened.status}")

    def _assignment(self, task: int, key: SigningKey) -> Assignment:
        request = hub_query.GetAssignmentRequest(task=task, participant=key.public_key)
        found = self._hub.connection.hub(lambda stub: stub.GetAssignment(request, timeout=30.0))
        return Assignment(self._hub.chain.chain_id, found.info, found.shard, found.proof)


def _build_spec(name: str, parameters: int, participants: int) -> task_pb2.TaskSpec:
    return task_pb2.TaskSpec(
        name=name,
        tensors=[task_pb2.TensorSpec(name="weights", shape=[parameters])],
        parameters=parameters,
        rule=task_pb2.Rule(mean=task_pb2.RuleMean()),
        rounds=1,
        round_duration_ns=ROUND_NS,
        min_shards=1,
        min_participants=participants,
        budget=BUDGET,
        start_scale=10,
        max_attempts=1,
    )


def _stop_hub(localnet: Localnet, hub: ChainHandle) -> None:
    for node in hub.nodes:
        localnet.stop_node(node.name)
    deadline = time.monotonic() + PATIENCE_S
    while any(read_pid_file(node.home.pid_file(kind)) for node in hub.nodes for kind in PROCESS_KINDS):
        if time.monotonic() > deadline:
            raise NetworkStalled("expected the hub's node to stop, it runs on")
        time.sleep(POLL_S)
