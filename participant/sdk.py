"""The SDK: train your own module in a dozen lines.

```python
with connect(hub=HUB, shards=SHARDS, genesis="genesis.json", key="alice.json") as network:
    participant = network.join(task=1, state="state")
    for work in participant.rounds():
        work.load_into(module)
        train(module)  # yours
        work.submit(module)
```

Whatever a node serves is checked against light-client headers before it is trained on.  An update is made durable
before it is sent, so a crash at any point neither loses a residual nor signs a round twice.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import structlog

from abci_app.errors import CommitTimeout, EndpointUnreachable, NodeUnavailable, NothingNew
from abci_app.grpc_errors import CANNOT_NOW, RemoteError
from aggregation.model import to_float
from participant.errors import NotAssigned, UnverifiedData, UpdateRefused
from participant.journal import Identity, ParticipantJournal
from participant.tasks import ENDED
from participant.tensors import check_tensors, load_vector, to_vector
from participant.updates import Assignment, make_update
from tx.keys import format_address
from tx.statements import spec_digest
from wire.gradchain.hub.v1 import query_pb2 as hub_query
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.shard.v1 import query_pb2 as shard_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from abci_app.client import ChainConnection
    from aggregation.kzg import Setup
    from participant.verified import VerifiedHub
    from tx.keys import SigningKey
    from wire.gradchain.fl.v1 import update_pb2

LOG = structlog.get_logger(__name__)

POLL_S: Final = 0.2
"""Pause between looks at the hub while nothing is to be done."""

RETRY_S: Final = 0.3
"""Pause before an update is sent again, when its shard has not opened the round yet or a node is away."""

HUB_PATIENCE_S: Final = 300.0
"""How long the hub may be away, as while its nodes restart, before taking part ends with that."""

NOT_YET: Final = (("shard", 12),)
"""Registered errors that time heals: the packet that opens the round has not reached the shard yet (UnknownRound)."""

TRY_AGAIN: Final = (*CANNOT_NOW, CommitTimeout, NothingNew)
"""The same of a node: it cannot take a transaction now, or has it already and no block holds it yet."""

ALREADY_REGISTERED: Final = ("hub", 22)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SubmittedUpdate:
    """Where an update ended up."""

    shard: str
    height: int
    tx_hash: bytes


class RoundWork:
    """One round of one participant: the verified base model, and the way to hand in the result."""

    def __init__(self, participant: Participant, assignment: Assignment, base: NDArray[np.float64]) -> None:
        self._participant = participant
        self.assignment = assignment
        self.base = base
        """The round's base model as float64 of shape (d,)."""

    @property
    def number(self) -> int:
        """Number of the round, from 1."""
        return self.assignment.info.round

    def load_into(self, module: nn.Module) -> None:
        """Copy the base model into a module."""
        load_vector(module, self.base.astype(np.float32))

    def submit(self, module: nn.Module) -> SubmittedUpdate:
        """Hand in a trained module and wait until its update is in a block.

        Raises:
          ModelMismatch: the module is not the task's.
          NotFiniteError: training diverged.
          UpdateRefused: the shard refused the update, or the round ended before it arrived.

        """
        return self.send(self.prepare(module))

    def prepare(self, module: nn.Module) -> update_pb2.Update:
        """Make the update of a trained module and store it; see `prepare_vector`."""
        check_tensors(module, self._participant.spec.tensors)
        return self.prepare_vector(to_vector(module))

    def prepare_vector(self, trained: NDArray[np.float32]) -> update_pb2.Update:
        """Make and store the update of trained parameters, float32 of shape (d,).

        If an update was already signed for this attempt of the round, that one is returned.

        Raises:
          NotFiniteError: training diverged.

        """
        return self._participant.prepare_update(self, trained)

    def send(self, update: update_pb2.Update) -> SubmittedUpdate:
        """Send an update that was prepared, and wait until it is in a block.

        Raises:
          UpdateRefused: the shard refused it, or the round ended before it arrived.

        """
        return self._participant.send_update(self.assignment, update)


class Participant:
    """Who trains: a key, a task, and a directory for what must not be lost."""

    def __init__(
        self,
        key: SigningKey,
        *,
        hub: VerifiedHub,
        shards: Mapping[str, ChainConnection],
        task: int,
        state: Path,
        setup: Setup,
    ) -> None:
        """Connect to a task.

        `shards` maps the chain id of every shard to the connection to its nodes.

        Raises:
          NodeUnavailable: the hub does not answer.
          UnverifiedData: what it serves does not match its proven state.
          StateMismatch: the directory belongs to another key or task.

        """
        self.key = key
        self.hub = hub
        self.shards = shards
        self.task = task
        self.spec = hub.task_spec(task)
        self._setup = setup
        identity = Identity(hub.chain_id, task, format_address(key.public_key))
        self._journal = ParticipantJournal(state, identity, self.spec.parameters)

    def register(self) -> None:
        """Register for the task, unless that was done before; again while the hub's nodes cannot take it now.

        Raises:
          RemoteError: there is no such task, it takes nobody any more, or no node could take it for too long.
          NodeUnavailable: the hub does not answer.

        """
        deadline = time.monotonic() + HUB_PATIENCE_S
        while not self._is_registered():
            message = hub_tx.MsgRegisterParticipant(participant=self.key.public_key, task=self.task)
            try:
                self.hub.connection.send(self.hub.chain_id, [message], [self.key])
            except RemoteError as error:
                # one that was sent before, or before a crash, may have been on its way
                if (error.CODESPACE, error.CODE) == ALREADY_REGISTERED:
                    return
                if not any(map(error.is_error, TRY_AGAIN)) or time.monotonic() > deadline:
                    raise
                LOG.info("registration delayed", task=self.task, reason=str(error))
                time.sleep(RETRY_S)
            else:
                return

    def _is_registered(self) -> bool:
        request = hub_query.ListParticipantsRequest(task=self.task)
        known = self.hub.connection.hub(lambda stub: stub.ListParticipants(request))
        return self.key.public_key in known.participants

    def rounds(self, *, last_round: int | None = None) -> Iterator[RoundWork]:
        """Yield each round that this participant is assigned to, once, until the task ends.

        `last_round` stops after that round even if the task goes on.

        Raises:
          NodeUnavailable, EndpointUnreachable: the hub is away for too long.
          UnverifiedData: what it serves does not match its proven state.

        """
        done = (0, -1)
        while last_round is None or done[0] < last_round:
            task = self._await_hub(lambda: self.hub.get_task(self.task))
            if task.status in ENDED:
                return
            if task.status != hub_query.TASK_STATUS_TRAINING or (task.round, task.attempt) <= done:
                time.sleep(POLL_S)
                continue
            try:
                work = self._await_hub(self.prepare_round)
            except NotAssigned:
                done = (task.round, task.attempt)
                continue
            current = (work.assignment.info.round, work.assignment.info.attempt)
            if current <= done:
                time.sleep(POLL_S)
                continue
            done = current
            yield work

    def prepare_round(self) -> RoundWork:
        """Return the newest round with its verified base model.

        Raises:
          NotAssigned: this participant has no part in it.
          UnverifiedData: the record, the assignment or the model does not match the proven state.

        """
        assignment = self.hub.assignment(self.task, self.key.public_key)
        if spec_digest(self.spec) != assignment.info.spec_digest:
            raise UnverifiedData(
                "the spec that this participant was started with is not the one of the round"
            )
        model = self.hub.model_at(assignment.info.base_root, self.spec.parameters)
        return RoundWork(self, assignment, to_float(model))

    def prepare_update(self, work: RoundWork, trained: NDArray[np.float32]) -> update_pb2.Update:
        """Make and store an update; see `RoundWork.prepare_vector`."""
        info = work.assignment.info
        signed = self._journal.find(info.round, info.attempt)
        if signed is not None:
            return signed
        residual = self._journal.residual_for(info.round)
        delta = trained.astype(np.float64) - work.base
        prepared = make_update(self._setup, self.key, work.assignment, delta, residual)
        self._journal.save(info.round, info.attempt, prepared, residual)
        return prepared.update

    def send_update(self, assignment: Assignment, update: update_pb2.Update) -> SubmittedUpdate:
        """Send until the shard holds the update, or the round is over on the hub; see `RoundWork.send`."""
        request = shard_query.SubmitUpdateRequest(update=update, wait=True)
        info = assignment.info
        while True:
            try:
                answer = self._ask_shard(assignment.shard, request)
            except NodeUnavailable as error:
                reason = error.message
            except RemoteError as error:
                if (error.CODESPACE, error.CODE) not in NOT_YET and not any(map(error.is_error, TRY_AGAIN)):
                    raise UpdateRefused(str(error)) from error
                reason = str(error)
            else:
                return SubmittedUpdate(assignment.shard, answer.height, answer.tx_hash)
            if not self._await_hub(lambda: self.hub.is_open(info.task, info.round, info.attempt)):
                raise UpdateRefused(f"round {info.round} ended before the update arrived: {reason}")
            LOG.info("update delayed", round=info.round, shard=assignment.shard, reason=reason)
            time.sleep(RETRY_S)

    def _ask_shard(
        self, shard: str, request: shard_query.SubmitUpdateRequest
    ) -> shard_query.SubmitUpdateResponse:
        connection = self.shards.get(shard)
        if connection is None:
            raise UpdateRefused(f"no address of shard {shard} is known")
        return connection.shard(lambda stub: stub.SubmitUpdate(request, timeout=connection.timeout_s))

    def _await_hub(self, ask: Callable[[], T]) -> T:
        """Ask the hub, again and again while it is away."""
        deadline = time.monotonic() + HUB_PATIENCE_S
        while True:
            try:
                return ask()
            except (NodeUnavailable, EndpointUnreachable) as error:
                if time.monotonic() > deadline:
                    raise
                LOG.warning("hub away", reason=error.message)
            time.sleep(RETRY_S)
