"""What an ABCI 2.0 application answers.

CometBFT calls over four connections at once: consensus, mempool, snapshot, query.  The server runs the calls of one
group one after another, and different groups at the same time:

| group | calls | the application must |
|---|---|---|
| consensus | init_chain, prepare_proposal, process_proposal, extend_vote, verify_vote_extension, finalize_block, commit, offer_snapshot, apply_snapshot_chunk | own the state in the making: nothing else may touch it |
| mempool | check_tx, insert_tx, reap_txs | keep its own state, and only read what the last commit published |
| read | info, query, list_snapshots, load_snapshot_chunk | allow any number of calls at once, beside the other groups; only read what the last commit published |

"Publish" means: commit replaces one reference to an immutable snapshot as its last step.  A reader takes the
reference once and works on what it refers to.

An answer must be an instance of the message named in the signature.  A method reports what a peer or a
transaction did wrong inside its answer (a code, a status); an exception that leaves it is a defect, which ends the
process, because a node whose application has failed must not go on.

Source: CometBFT, spec/abci/abci++_methods.md and abci++_app_requirements.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wire.tendermint.abci.types_pb2 import (
        RequestApplySnapshotChunk,
        RequestCheckTx,
        RequestCommit,
        RequestExtendVote,
        RequestFinalizeBlock,
        RequestInfo,
        RequestInitChain,
        RequestInsertTx,
        RequestListSnapshots,
        RequestLoadSnapshotChunk,
        RequestOfferSnapshot,
        RequestPrepareProposal,
        RequestProcessProposal,
        RequestQuery,
        RequestReapTxs,
        RequestVerifyVoteExtension,
        ResponseApplySnapshotChunk,
        ResponseCheckTx,
        ResponseCommit,
        ResponseExtendVote,
        ResponseFinalizeBlock,
        ResponseInfo,
        ResponseInitChain,
        ResponseInsertTx,
        ResponseListSnapshots,
        ResponseLoadSnapshotChunk,
        ResponseOfferSnapshot,
        ResponsePrepareProposal,
        ResponseProcessProposal,
        ResponseQuery,
        ResponseReapTxs,
        ResponseVerifyVoteExtension,
    )


class Application(Protocol):
    """All calls of ABCI 2.0.  Echo and Flush are answered by the server."""

    def info(self, request: RequestInfo) -> ResponseInfo:
        """Tell the height and app hash of the last commit, from which CometBFT replays."""

    def query(self, request: RequestQuery) -> ResponseQuery:
        """Answer a question about committed state."""

    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx:
        """Decide whether a transaction may enter, or stay in, the mempool.  A weak filter, not a verdict."""

    def init_chain(self, request: RequestInitChain) -> ResponseInitChain:
        """Build the state of the genesis file; called again if the node stops before the first commit."""

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        """Choose the transactions of a proposal.  Need not be deterministic."""

    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal:
        """Accept or reject a proposal, as a function of the block and the last committed state alone."""

    def extend_vote(self, request: RequestExtendVote) -> ResponseExtendVote:
        """Return bytes to attach to this validator's precommit."""

    def verify_vote_extension(self, request: RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension:
        """Accept or reject the bytes that another validator attached."""

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        """Execute a decided block, one result a transaction, without persisting anything.

        May come without any proposal before it, and again for the same height after a crash.
        """

    def commit(self, request: RequestCommit) -> ResponseCommit:
        """Persist state, height and app hash of the finalized block in one atomic step, and publish them."""

    def list_snapshots(self, request: RequestListSnapshots) -> ResponseListSnapshots:
        """List the snapshots that other nodes may fetch."""

    def load_snapshot_chunk(self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk:
        """Return a piece of a snapshot."""

    def offer_snapshot(self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot:
        """Decide whether to restore a snapshot.  Only the app hash in the request is trusted."""

    def apply_snapshot_chunk(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk:
        """Take in a piece of the accepted snapshot."""

    def insert_tx(self, request: RequestInsertTx) -> ResponseInsertTx:
        """Take a transaction into the application's own mempool (`mempool.type = "app"`)."""

    def reap_txs(self, request: RequestReapTxs) -> ResponseReapTxs:
        """Hand over new transactions of the application's own mempool for gossip."""


class BaseApplication:
    """An application that accepts everything and keeps nothing.  Override what yours needs.

    Its defaults are those of a chain without state, snapshots, vote extensions and mempool of its own.
    """

    def info(self, request: RequestInfo) -> ResponseInfo:  # noqa: ARG002
        """Report that nothing was ever committed."""
        return types_pb2.ResponseInfo()

    def query(self, request: RequestQuery) -> ResponseQuery:  # noqa: ARG002
        """Answer with code OK and nothing."""
        return types_pb2.ResponseQuery()

    def check_tx(self, request: RequestCheckTx) -> ResponseCheckTx:  # noqa: ARG002
        """Let every transaction in."""
        return types_pb2.ResponseCheckTx()

    def init_chain(self, request: RequestInitChain) -> ResponseInitChain:  # noqa: ARG002
        """Take validators and parameters from the genesis file as they are."""
        return types_pb2.ResponseInitChain()

    def prepare_proposal(self, request: RequestPrepareProposal) -> ResponsePrepareProposal:
        """Propose the given transactions in their order, as many as fit."""
        return types_pb2.ResponsePrepareProposal(txs=choose_that_fit(request.txs, request.max_tx_bytes))

    def process_proposal(self, request: RequestProcessProposal) -> ResponseProcessProposal:  # noqa: ARG002
        """Accept every proposal."""
        return types_pb2.ResponseProcessProposal(status=types_pb2.ResponseProcessProposal.ACCEPT)

    def extend_vote(self, request: RequestExtendVote) -> ResponseExtendVote:  # noqa: ARG002
        """Attach nothing."""
        return types_pb2.ResponseExtendVote()

    def verify_vote_extension(self, request: RequestVerifyVoteExtension) -> ResponseVerifyVoteExtension:
        """Accept what `extend_vote` gives: nothing."""
        status = types_pb2.ResponseVerifyVoteExtension
        return types_pb2.ResponseVerifyVoteExtension(
            status=status.REJECT if request.vote_extension else status.ACCEPT
        )

    def finalize_block(self, request: RequestFinalizeBlock) -> ResponseFinalizeBlock:
        """Let every transaction succeed without effect."""
        return types_pb2.ResponseFinalizeBlock(tx_results=[types_pb2.ExecTxResult() for _ in request.txs])

    def commit(self, request: RequestCommit) -> ResponseCommit:  # noqa: ARG002
        """Persist nothing and let CometBFT keep all blocks."""
        return types_pb2.ResponseCommit()

    def list_snapshots(self, request: RequestListSnapshots) -> ResponseListSnapshots:  # noqa: ARG002
        """Offer no snapshot."""
        return types_pb2.ResponseListSnapshots()

    def load_snapshot_chunk(self, request: RequestLoadSnapshotChunk) -> ResponseLoadSnapshotChunk:  # noqa: ARG002
        """Have no chunk."""
        return types_pb2.ResponseLoadSnapshotChunk()

    def offer_snapshot(self, request: RequestOfferSnapshot) -> ResponseOfferSnapshot:  # noqa: ARG002
        """Refuse state sync altogether."""
        return types_pb2.ResponseOfferSnapshot(result=types_pb2.ResponseOfferSnapshot.ABORT)

    def apply_snapshot_chunk(self, request: RequestApplySnapshotChunk) -> ResponseApplySnapshotChunk:  # noqa: ARG002
        """Refuse state sync altogether."""
        return types_pb2.ResponseApplySnapshotChunk(result=types_pb2.ResponseApplySnapshotChunk.ABORT)

    def insert_tx(self, request: RequestInsertTx) -> ResponseInsertTx:  # noqa: ARG002
        """Refuse: there is no mempool here."""
        return types_pb2.ResponseInsertTx(code=1)

    def reap_txs(self, request: RequestReapTxs) -> ResponseReapTxs:  # noqa: ARG002
        """Have no transactions."""
        return types_pb2.ResponseReapTxs()


def choose_that_fit(txs: Iterable[bytes], max_tx_bytes: int) -> list[bytes]:
    """Return the first transactions that fit a block together; zero bytes mean that no limit was given."""
    chosen: list[bytes] = []
    size = 0
    for tx in txs:
        size += tx_size(tx)
        if size > max_tx_bytes > 0:
            break
        chosen.append(tx)
    return chosen


def tx_size(tx: bytes) -> int:
    """Return the bytes that a transaction takes of `max_tx_bytes`: its field in the block's protobuf encoding."""
    size = len(tx)
    return size + 1 + max(1, (size.bit_length() + 6) // 7)
