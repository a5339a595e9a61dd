"""A checker of the order of ABCI calls and of the answers on which CometBFT would stop, for tests.

`CheckedApplication` stands between the server and an application.  The order is that of CometBFT's specification:

```
start            = clean-start / recovery
clean-start      = (info init-chain / state-sync) consensus-exec
state-sync       = *state-sync-attempt success-sync info
state-sync-attempt = offer-snapshot *apply-chunk
success-sync     = offer-snapshot 1*apply-chunk
recovery         = info [init-chain] consensus-exec
consensus-exec   = 1*consensus-height
consensus-height = *consensus-round finalize-block commit
consensus-round  = proposer / non-proposer
proposer         = *got-vote [prepare-proposal [process-proposal]] [extend]
non-proposer     = *got-vote [process-proposal] [extend]
extend           = *got-vote extend-vote *got-vote
```

Since a round may consist of any one of its calls, rounds in a row are any calls of a round in any order: what can be
checked of them is that they come between a commit and the next finalized block, and for the next height.

Source: CometBFT, spec/abci/abci++_comet_expected_behavior.md, and the requirements of abci++_app_requirements.md.
"""

from __future__ import annotations

from enum import Enum
from threading import Lock
from typing import TYPE_CHECKING

from abci_app.errors import CallOrderViolated, ImpossibleAnswer
from abci_app.interface import BaseApplication, tx_size
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from abci_app.interface import Application


class Stage(Enum):
    """Where a run of the application stands."""

    STARTED = "started"
    """No call that matters has come yet."""
    INTRODUCED = "introduced"
    """Info was answered: CometBFT knows the height."""
    OFFERED = "offered"
    """A snapshot was accepted; chunks may come."""
    RESTORED = "restored"
    """At least one chunk was accepted; more may come, or Info, or another offer."""
    RUNNING = "running"
    """Genesis or a commit is done: rounds of the next height."""
    FINALIZED = "finalized"
    """A block waits for its commit."""


class CallOrder:
    """The state machine of the grammar, of one run of an application: from start to stop of its process."""

    def __init__(self) -> None:
        self.stage = Stage.STARTED
        self.height = 0
        """Height of the last commit that CometBFT knows of."""
        self._next_height = 0
        """Height of the next block, or of the one that waits for its commit."""

    def saw_info(self, height: int) -> None:
        """Info was answered with a height.  It may come at any time, but only tells something at the start."""
        if self.stage in {Stage.STARTED, Stage.INTRODUCED, Stage.RESTORED}:
            self.stage, self.height = Stage.INTRODUCED, height
            self._next_height = height + 1

    def saw_init_chain(self, initial_height: int) -> None:
        """Check that InitChain comes after Info, and only for an application without blocks.

        Raises:
          CallOrderViolated: it does not.

        """
        self._require("init_chain", Stage.INTRODUCED)
        if self.height:
            raise CallOrderViolated(f"expected init_chain at height 0, got it at height {self.height}")
        self.stage, self._next_height = Stage.RUNNING, max(initial_height, 1)

    def saw_round_call(self, call: str, height: int) -> None:
        """Check a call of a consensus round.

        Raises:
          CallOrderViolated: it comes before the start, between a finalized block and its commit, or for
            another height than the next.

        """
        self._start_running(call)
        self._require(call, Stage.RUNNING)
        self._require_next(call, height)

    def saw_finalize_block(self, height: int) -> None:
        """Check that a block is finalized once, at the next height.

        Raises:
          CallOrderViolated: it is not.

        """
        self.saw_round_call("finalize_block", height)
        self.stage, self._next_height = Stage.FINALIZED, height

    def saw_commit(self) -> None:
        """Check that a finalized block is committed.

        Raises:
          CallOrderViolated: there is none.

        """
        self._require("commit", Stage.FINALIZED)
        self.height, self._next_height = self._next_height, self._next_height + 1
        self.stage = Stage.RUNNING

    def saw_offer_snapshot(self, *, accepted: bool) -> None:
        """Check that a snapshot is offered only to an application without blocks.

        Raises:
          CallOrderViolated: blocks have been executed.

        """
        self._require("offer_snapshot", Stage.STARTED, Stage.INTRODUCED, Stage.OFFERED, Stage.RESTORED)
        self.stage = Stage.OFFERED if accepted else Stage.STARTED

    def saw_apply_snapshot_chunk(self, *, accepted: bool) -> None:
        """Check that chunks come only for an accepted snapshot.

        Raises:
          CallOrderViolated: no snapshot was accepted.

        """
        self._require("apply_snapshot_chunk", Stage.OFFERED, Stage.RESTORED)
        if accepted:
            self.stage = Stage.RESTORED

    def _start_running(self, call: str) -> None:
        """Take the first consensus call after Info as a recovery: the application has blocks."""
        if self.stage is Stage.INTRODUCED:
            if not self.height:
                raise CallOrderViolated(f"expected init_chain before {call} at height 0, got {call}")
            self.stage = Stage.RUNNING

    def _require(self, call: str, *stages: Stage) -> None:
        if self.stage not in stages:
            expected = " or ".join(stage.value for stage in stages)
            raise CallOrderViolated(f"expected {call} only when {expected}, got it when {self.stage.value}")

    def _require_next(self, call: str, height: int) -> None:
        if height != self._next_height:
            raise CallOrderViolated(f"expected {call} for height {self._next_height}, got {height}")


class CheckedApplication(BaseApplication):
    """Passes calls on to an application, and raises when CometBFT or the application breaks the rules."""

    def __init__(self, application: Application) -> None:
        self._app = application
        self._lock = Lock()
        self.order = CallOrder()
        self.calls: list[str] = []
        """Names of the consensus and snapshot calls so far."""

    def info(self, request: types_pb2.RequestInfo) -> types_pb2.ResponseInfo:
        """Pass on, and note the height."""
        answer = self._app.info(request)
        with self._lock:
            self.order.saw_info(answer.last_block_height)
        return answer

    def query(self, request: types_pb2.RequestQuery) -> types_pb2.ResponseQuery:
        """Pass on."""
        return self._app.query(request)

    def check_tx(self, request: types_pb2.RequestCheckTx) -> types_pb2.ResponseCheckTx:
        """Pass on."""
        return self._app.check_tx(request)

    def insert_tx(self, request: types_pb2.RequestInsertTx) -> types_pb2.ResponseInsertTx:
        """Pass on."""
        return self._app.insert_tx(request)

    def reap_txs(self, request: types_pb2.RequestReapTxs) -> types_pb2.ResponseReapTxs:
        """Pass on."""
        return self._app.reap_txs(request)

    def list_snapshots(self, request: types_pb2.RequestListSnapshots) -> types_pb2.ResponseListSnapshots:
        """Pass on."""
        return self._app.list_snapshots(request)

    def load_snapshot_chunk(
        self, request: types_pb2.RequestLoadSnapshotChunk
    ) -> types_pb2.ResponseLoadSnapshotChunk:
        """Pass on."""
        return self._app.load_snapshot_chunk(request)

    def init_chain(self, request: types_pb2.RequestInitChain) -> types_pb2.ResponseInitChain:
        """Check the order and pass on."""
        with self._note("init_chain"):
            self.order.saw_init_chain(request.initial_height)
        return self._app.init_chain(request)

    def prepare_proposal(
        self, request: types_pb2.RequestPrepareProposal
    ) -> types_pb2.ResponsePrepareProposal:
        """Check the order, pass on, and check that the transactions fit."""
        with self._note("prepare_proposal"):
            self.order.saw_round_call("prepare_proposal", request.height)
        answer = self._app.prepare_proposal(request)
        size = sum(tx_size(tx) for tx in answer.txs)
        if size > request.max_tx_bytes:
            raise ImpossibleAnswer(
                f"expected transactions of at most {request.max_tx_bytes} bytes, got {size}"
            )
        return answer

    def process_proposal(
        self, request: types_pb2.RequestProcessProposal
    ) -> types_pb2.ResponseProcessProposal:
        """Check the order, pass on, and check that there is a verdict."""
        with self._note("process_proposal"):
            self.order.saw_round_call("process_proposal", request.height)
        answer = self._app.process_proposal(request)
        if answer.status == types_pb2.ResponseProcessProposal.UNKNOWN:
            raise ImpossibleAnswer("expected a proposal to be accepted or rejected, got neither")
        return answer

    def extend_vote(self, request: types_pb2.RequestExtendVote) -> types_pb2.ResponseExtendVote:
        """Check the order and pass on."""
        with self._note("extend_vote"):
            self.order.saw_round_call("extend_vote", request.height)
        return self._app.extend_vote(request)

    def verify_vote_extension(
        self, request: types_pb2.RequestVerifyVoteExtension
    ) -> types_pb2.ResponseVerifyVoteExtension:
        """Check the order, pass on, and check that there is a verdict."""
        with self._note("verify_vote_extension"):
            self.order.saw_round_call("verify_vote_extension", request.height)
        answer = self._app.verify_vote_extension(request)
        if answer.status == types_pb2.ResponseVerifyVoteExtension.UNKNOWN:
            raise ImpossibleAnswer("expected an extension to be accepted or rejected, got neither")
        return answer

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        """Check the order, pass on, and check the number of results and the validator updates."""
        with self._note("finalize_block"):
            self.order.saw_finalize_block(request.height)
        answer = self._app.finalize_block(request)
        if len(answer.tx_results) != len(request.txs):
            raise ImpossibleAnswer(f"expected {len(request.txs)} results, got {len(answer.tx_results)}")
        keys = {update.pub_key.SerializeToString() for update in answer.validator_updates}
        if len(keys) != len(answer.validator_updates):
            raise ImpossibleAnswer("expected one update a validator, got two for one of them")
        if any(update.power < 0 for update in answer.validator_updates):
            raise ImpossibleAnswer("expected powers of validators of zero or more, got a negative one")
        return answer

    def commit(self, request: types_pb2.RequestCommit) -> types_pb2.ResponseCommit:
        """Check the order, pass on, and check that no block is given up that the application still needs."""
        with self._note("commit"):
            self.order.saw_commit()
        answer = self._app.commit(request)
        if answer.retain_height > self.order.height:
            raise ImpossibleAnswer(
                f"expected a retain height up to {self.order.height}, got {answer.retain_height}"
            )
        return answer

    def offer_snapshot(self, request: types_pb2.RequestOfferSnapshot) -> types_pb2.ResponseOfferSnapshot:
        """Pass on, and check the order and that there is a verdict."""
        answer = self._app.offer_snapshot(request)
        if answer.result == types_pb2.ResponseOfferSnapshot.UNKNOWN:
            raise ImpossibleAnswer("expected a verdict about the snapshot, got none")
        with self._note("offer_snapshot"):
            self.order.saw_offer_snapshot(accepted=answer.result == types_pb2.ResponseOfferSnapshot.ACCEPT)
        return answer

    def apply_snapshot_chunk(
        self, request: types_pb2.RequestApplySnapshotChunk
    ) -> types_pb2.ResponseApplySnapshotChunk:
        """Pass on, and check the order and that there is a verdict."""
        answer = self._app.apply_snapshot_chunk(request)
        if answer.result == types_pb2.ResponseApplySnapshotChunk.UNKNOWN:
            raise ImpossibleAnswer("expected a verdict about the chunk, got none")
        with self._note("apply_snapshot_chunk"):
            accepted = answer.result == types_pb2.ResponseApplySnapshotChunk.ACCEPT
            self.order.saw_apply_snapshot_chunk(accepted=accepted)
        return answer

    def _note(self, call: str) -> Lock:
        """Record a call, and return the lock under which its order is checked."""
        self.calls.append(call)
        return self._lock
