from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from abci_app.errors import CallOrderViolated, ImpossibleAnswer
from abci_app.grammar import CallOrder, CheckedApplication
from abci_app.interface import BaseApplication
from tests.support.abci_requests import finalize_block, init_chain, public_key
from wire.tendermint.abci import types_pb2
from wire.tendermint.crypto import keys_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

ROUND_CALLS = ["prepare_proposal", "process_proposal", "extend_vote", "verify_vote_extension"]


def started(height: int = 0) -> CallOrder:
    order = CallOrder()
    order.saw_info(height)
    if not height:
        order.saw_init_chain(1)
    return order


def finalized(height: int = 1) -> CallOrder:
    order = started(height - 1)
    order.saw_finalize_block(height)
    return order


def restored(height: int) -> CallOrder:
    order = CallOrder()
    order.saw_offer_snapshot(accepted=True)
    order.saw_apply_snapshot_chunk(accepted=True)
    order.saw_info(height)
    return order


class OrdersThatCometKeeps(RuleBasedStateMachine):
    """Walks at random through what the grammar allows: nothing of it may be refused."""

    def __init__(self) -> None:
        super().__init__()
        self.order = CallOrder()
        self.height = 0
        self.phase = "start"

    @rule(height=st.integers(0, 3))
    def restart(self, height: int) -> None:
        self.order, self.height, self.phase = CallOrder(), height, "start"

    @precondition(lambda self: self.phase in {"start", "introduced", "restored"})
    @rule()
    def info(self) -> None:
        self.height += 7 if self.phase == "restored" else 0
        self.order.saw_info(self.height)
        self.phase = "introduced"

    @precondition(lambda self: self.phase in {"running", "finalized"})
    @rule()
    def info_for_an_operator(self) -> None:
        self.order.saw_info(self.height)

    @precondition(lambda self: self.phase == "introduced" and not self.height)
    @rule(initial_height=st.integers(1, 5))
    def init_chain(self, initial_height: int) -> None:
        self.order.saw_init_chain(initial_height)
        self.height, self.phase = initial_height - 1, "running"

    @precondition(lambda self: self.phase == "introduced" and self.height)
    @rule()
    def recover(self) -> None:
        self.phase = "running"

    @precondition(lambda self: self.phase == "running")
    @rule(call=st.sampled_from(ROUND_CALLS))
    def round_call(self, call: str) -> None:
        self.order.saw_round_call(call, self.height + 1)

    @precondition(lambda self: self.phase == "running")
    @rule()
    def finalize_block(self) -> None:
        self.order.saw_finalize_block(self.height + 1)
        self.phase = "finalized"

    @precondition(lambda self: self.phase == "finalized")
    @rule()
    def commit(self) -> None:
        self.order.saw_commit()
        self.height, self.phase = self.height + 1, "running"
        assert self.order.height == self.height

    @precondition(
        lambda self: self.phase in {"start", "introduced", "offered", "restored"} and not self.height
    )
    @rule(accepted=st.booleans())
    def offer_snapshot(self, *, accepted: bool) -> None:
        self.order.saw_offer_snapshot(accepted=accepted)
        self.phase = "offered" if accepted else "start"

    @precondition(lambda self: self.phase in {"offered", "restored"})
    @rule(accepted=st.booleans())
    def apply_snapshot_chunk(self, *, accepted: bool) -> None:
        self.order.saw_apply_snapshot_chunk(accepted=accepted)
        self.phase = "restored" if accepted else self.phase


TestOrdersThatCometKeeps = OrdersThatCometKeeps.TestCase


@pytest.mark.parametrize(
    ("order", "call"),
    [
        pytest.param(CallOrder(), lambda order: order.saw_init_chain(1), id="genesis before info"),
        pytest.param(CallOrder(), lambda order: order.saw_finalize_block(1), id="block before info"),
        pytest.param(CallOrder(), lambda order: order.saw_commit(), id="commit before info"),
        pytest.param(started(), lambda order: order.saw_init_chain(1), id="genesis twice"),
        pytest.param(started(5), lambda order: order.saw_finalize_block(5), id="a block that is committed"),
        pytest.param(started(5), lambda order: order.saw_finalize_block(7), id="a block too far"),
        pytest.param(started(5), lambda order: order.saw_commit(), id="commit without block"),
        pytest.param(started(), lambda order: order.saw_round_call("extend_vote", 2), id="round too far"),
        pytest.param(finalized(), lambda order: order.saw_finalize_block(1), id="block twice"),
        pytest.param(
            finalized(), lambda order: order.saw_round_call("process_proposal", 2), id="round before commit"
        ),
        pytest.param(finalized(), lambda order: order.saw_offer_snapshot(accepted=True), id="snapshot late"),
        pytest.param(
            started(),
            lambda order: order.saw_apply_snapshot_chunk(accepted=True),
            id="chunk without snapshot",
        ),
        pytest.param(restored(9), lambda order: order.saw_init_chain(1), id="genesis after a restoration"),
        pytest.param(restored(9), lambda order: order.saw_finalize_block(1), id="block below the snapshot"),
    ],
)
def test_a_call_out_of_order_is_refused(order: CallOrder, call: Callable[[CallOrder], None]) -> None:
    with pytest.raises(CallOrderViolated):
        call(order)


def test_a_block_before_genesis_is_refused() -> None:
    order = CallOrder()
    order.saw_info(0)
    with pytest.raises(CallOrderViolated):
        order.saw_finalize_block(1)


class WrongApplication(BaseApplication):
    """Answers what CometBFT would stop on."""

    def prepare_proposal(
        self, request: types_pb2.RequestPrepareProposal
    ) -> types_pb2.ResponsePrepareProposal:
        return types_pb2.ResponsePrepareProposal(txs=[b"x" * 100])

    def process_proposal(
        self, request: types_pb2.RequestProcessProposal
    ) -> types_pb2.ResponseProcessProposal:
        return types_pb2.ResponseProcessProposal()

    def verify_vote_extension(
        self, request: types_pb2.RequestVerifyVoteExtension
    ) -> types_pb2.ResponseVerifyVoteExtension:
        return types_pb2.ResponseVerifyVoteExtension()

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        key = keys_pb2.PublicKey(ed25519=public_key(1))
        powers = {b"twice": (1, 2), b"negative": (-1,)}.get(request.txs[0], ())
        results = 0 if request.txs[0] == b"missing" else len(request.txs)
        return types_pb2.ResponseFinalizeBlock(
            tx_results=[types_pb2.ExecTxResult()] * results,
            validator_updates=[types_pb2.ValidatorUpdate(pub_key=key, power=power) for power in powers],
        )

    def commit(self, request: types_pb2.RequestCommit) -> types_pb2.ResponseCommit:
        return types_pb2.ResponseCommit(retain_height=2)

    def offer_snapshot(self, request: types_pb2.RequestOfferSnapshot) -> types_pb2.ResponseOfferSnapshot:
        return types_pb2.ResponseOfferSnapshot()

    def apply_snapshot_chunk(
        self, request: types_pb2.RequestApplySnapshotChunk
    ) -> types_pb2.ResponseApplySnapshotChunk:
        return types_pb2.ResponseApplySnapshotChunk()


def commit_first_block(app: CheckedApplication) -> None:
    app.finalize_block(finalize_block(1, [b"fine"]))
    app.commit(types_pb2.RequestCommit())


@pytest.mark.parametrize(
    "call",
    [
        lambda app: app.prepare_proposal(types_pb2.RequestPrepareProposal(height=1, max_tx_bytes=101)),
        lambda app: app.process_proposal(types_pb2.RequestProcessProposal(height=1)),
        lambda app: app.verify_vote_extension(types_pb2.RequestVerifyVoteExtension(height=1)),
        lambda app: app.finalize_block(finalize_block(1, [b"missing"])),
        lambda app: app.finalize_block(finalize_block(1, [b"twice"])),
        lambda app: app.finalize_block(finalize_block(1, [b"negative"])),
        commit_first_block,
        lambda app: app.offer_snapshot(types_pb2.RequestOfferSnapshot()),
        lambda app: app.apply_snapshot_chunk(types_pb2.RequestApplySnapshotChunk()),
    ],
    ids=list("abcdefghi"),
)
def test_an_answer_on_which_comet_would_stop_is_refused(call: Callable[[CheckedApplication], None]) -> None:
    app = CheckedApplication(WrongApplication())
    app.info(types_pb2.RequestInfo())
    app.init_chain(init_chain(1))
    with pytest.raises(ImpossibleAnswer):
        call(app)


def test_transactions_of_exactly_the_limit_pass() -> None:
    app = CheckedApplication(WrongApplication())
    app.info(types_pb2.RequestInfo())
    app.init_chain(init_chain(1))
    app.prepare_proposal(types_pb2.RequestPrepareProposal(height=1, max_tx_bytes=102))


def test_a_checked_application_answers_as_the_application_does_and_notes_the_calls() -> None:
    app = CheckedApplication(BaseApplication())
    app.info(types_pb2.RequestInfo())
    app.init_chain(init_chain(1))
    answer = app.finalize_block(finalize_block(1, [b"a", b"b"]))
    assert answer == BaseApplication().finalize_block(finalize_block(1, [b"a", b"b"]))
    app.commit(types_pb2.RequestCommit())
    assert app.calls == ["init_chain", "finalize_block", "commit"]
    assert app.order.height == 1


def test_calls_that_may_come_at_any_time_are_passed_on() -> None:
    app = CheckedApplication(BaseApplication())
    assert app.query(types_pb2.RequestQuery()) == types_pb2.ResponseQuery()
    assert app.check_tx(types_pb2.RequestCheckTx()) == types_pb2.ResponseCheckTx()
    assert app.insert_tx(types_pb2.RequestInsertTx()).code == 1
    assert app.reap_txs(types_pb2.RequestReapTxs()) == types_pb2.ResponseReapTxs()
    assert app.list_snapshots(types_pb2.RequestListSnapshots()) == types_pb2.ResponseListSnapshots()
    answer = app.load_snapshot_chunk(types_pb2.RequestLoadSnapshotChunk())
    assert answer == types_pb2.ResponseLoadSnapshotChunk()
