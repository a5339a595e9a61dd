"""A key-value store as an ABCI 2.0 application: the whole interface in one example.

Transactions are `key=value`, or `val=ed25519!PUBLIC_KEY_IN_BASE64!POWER` to change a validator.  The application
answers every call, vote extensions and state sync included, and survives a crash at any instant.

    python -m abci_app.examples.kvstore --address unix:///tmp/kvstore.sock --home /tmp/kvstore
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from abci_app.errors import CorruptState
from abci_app.examples.kvstore_state import (
    OK,
    KvState,
    apply_block,
    classify,
    cut_chunks,
    decode_state,
    hash_chunks,
    validator_updates,
)
from abci_app.examples.kvstore_storage import SNAPSHOTS_KEPT, Committed, Snapshot, Storage, commit_of
from abci_app.interface import BaseApplication, choose_that_fit
from abci_app.server import serve
from tx.errors import AppError
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

APP_VERSION: Final = 1
SNAPSHOT_FORMAT: Final = 1
HASH_BYTES: Final = 32
DEFAULT_SNAPSHOT_INTERVAL: Final = 100
"""Heights between two snapshots."""

UNKNOWN_PATH: Final = 1
"""Code of a query for a path that does not exist."""


@dataclass(slots=True)
class Restoration:
    """A snapshot that was accepted and is coming in, chunk by chunk."""

    height: int
    chunk_hashes: list[bytes]
    chunks: dict[int, bytes] = field(default_factory=dict)
    """By index; each has been checked against its hash."""


class KvStore(BaseApplication):
    """The application.  `_committed` is the only thing that calls outside of consensus read."""

    def __init__(self, storage: Storage, *, snapshot_interval: int = DEFAULT_SNAPSHOT_INTERVAL) -> None:
        self._storage = storage
        self._snapshot_interval = snapshot_interval
        self._committed = storage.load()
        self._genesis = self._committed.state
        """What block 1 is executed on: the committed state is still empty then."""
        self._finalized: Committed | None = None
        self._restoration: Restoration | None = None
        self._extensions_seen = 0

    # Information

    def info(self, request: types_pb2.RequestInfo) -> types_pb2.ResponseInfo:  # noqa: ARG002
        """Tell height and app hash of the last commit."""
        committed = self._committed
        return types_pb2.ResponseInfo(
            data=f'{{"size":{committed.state.size}}}',
            app_version=APP_VERSION,
            last_block_height=committed.height,
            last_block_app_hash=committed.app_hash,
        )

    def query(self, request: types_pb2.RequestQuery) -> types_pb2.ResponseQuery:
        """Answer the value of a key, the power of a validator, or how many extensions the last proposal carried."""
        committed = self._committed
        if request.path in {"", "/", "/store"}:
            value = committed.state.pairs.get(request.data)
        elif request.path == "/val":
            power = committed.state.validators.get(request.data)
            value = None if power is None else str(power).encode()
        elif request.path == "/extensions":
            value = str(self._extensions_seen).encode()
        else:
            return types_pb2.ResponseQuery(code=UNKNOWN_PATH, log="expected /store, /val or /extensions")
        return types_pb2.ResponseQuery(
            key=request.data,
            value=value or b"",
            height=committed.height,
            log="does not exist" if value is None else "exists",
        )

    # Mempool

    def check_tx(self, request: types_pb2.RequestCheckTx) -> types_pb2.ResponseCheckTx:
        """Check the form of a transaction."""
        return types_pb2.ResponseCheckTx(code=classify(request.tx), gas_wanted=1)

    # Consensus

    def init_chain(self, request: types_pb2.RequestInitChain) -> types_pb2.ResponseInitChain:
        """Begin with the validators of the genesis file."""
        validators = {
            update.pub_key.SerializeToString(deterministic=True): update.power
            for update in request.validators
            if update.power > 0
        }
        self._genesis = KvState(validators=validators)
        return types_pb2.ResponseInitChain(app_hash=commit_of(0, self._genesis, ()).app_hash)

    def prepare_proposal(
        self, request: types_pb2.RequestPrepareProposal
    ) -> types_pb2.ResponsePrepareProposal:
        """Propose well-formed transactions, as many as fit."""
        self._extensions_seen = sum(1 for vote in request.local_last_commit.votes if vote.vote_extension)
        well_formed = (tx for tx in request.txs if classify(tx) == OK)
        return types_pb2.ResponsePrepareProposal(txs=choose_that_fit(well_formed, request.max_tx_bytes))

    def process_proposal(
        self, request: types_pb2.RequestProcessProposal
    ) -> types_pb2.ResponseProcessProposal:
        """Reject a proposal that no correct proposer makes."""
        status = types_pb2.ResponseProcessProposal
        is_sound = all(classify(tx) == OK for tx in request.txs)
        return types_pb2.ResponseProcessProposal(status=status.ACCEPT if is_sound else status.REJECT)

    def extend_vote(self, request: types_pb2.RequestExtendVote) -> types_pb2.ResponseExtendVote:
        """Attach a digest that everybody can check."""
        return types_pb2.ResponseExtendVote(vote_extension=_extension_of(request.height, request.hash))

    def verify_vote_extension(
        self, request: types_pb2.RequestVerifyVoteExtension
    ) -> types_pb2.ResponseVerifyVoteExtension:
        """Accept the digest and nothing else."""
        status = types_pb2.ResponseVerifyVoteExtension
        is_right = request.vote_extension == _extension_of(request.height, request.hash)
        return types_pb2.ResponseVerifyVoteExtension(status=status.ACCEPT if is_right else status.REJECT)

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        """Execute a block on the committed state; the result waits in memory for the commit."""
        before = self._committed.state if self._committed.height else self._genesis
        change = apply_block(before, request.txs, request.misbehavior)
        self._finalized = commit_of(request.height, change.state, self._committed.snapshots)
        return types_pb2.ResponseFinalizeBlock(
            tx_results=[types_pb2.ExecTxResult(code=code) for code in change.codes],
            validator_updates=validator_updates(before, change.state),
            app_hash=self._finalized.app_hash,
        )

    def commit(self, request: types_pb2.RequestCommit) -> types_pb2.ResponseCommit:  # noqa: ARG002
        """Write what was finalized, then publish it."""
        finalized, self._finalized = self._finalized, None
        if finalized is not None:
            if finalized.height > 0 and finalized.height % self._snapshot_interval == 0:
                snapshots = (*finalized.snapshots, Snapshot(finalized.height, finalized.data))[
                    -SNAPSHOTS_KEPT:
                ]
                finalized = commit_of(finalized.height, finalized.state, snapshots)
            self._storage.save(finalized)
            self._genesis = finalized.state
            self._committed = finalized
        return types_pb2.ResponseCommit()

    # State sync

    def list_snapshots(self, request: types_pb2.RequestListSnapshots) -> types_pb2.ResponseListSnapshots:  # noqa: ARG002
        """List what is kept.  Every node lists the same bytes for the same height."""
        return types_pb2.ResponseListSnapshots(
            snapshots=[describe_snapshot(snapshot) for snapshot in self._committed.snapshots]
        )

    def load_snapshot_chunk(
        self, request: types_pb2.RequestLoadSnapshotChunk
    ) -> types_pb2.ResponseLoadSnapshotChunk:
        """Return a chunk, or nothing when it is not kept."""
        if request.format == SNAPSHOT_FORMAT:
            for snapshot in self._committed.snapshots:
                chunks = cut_chunks(snapshot.data)
                if snapshot.height == request.height and request.chunk < len(chunks):
                    return types_pb2.ResponseLoadSnapshotChunk(chunk=chunks[request.chunk])
        return types_pb2.ResponseLoadSnapshotChunk()

    def offer_snapshot(self, request: types_pb2.RequestOfferSnapshot) -> types_pb2.ResponseOfferSnapshot:
        """Accept a snapshot whose chunk hashes are bound to the trusted app hash."""
        result = types_pb2.ResponseOfferSnapshot
        offered = request.snapshot
        hashes = offered.metadata
        if self._committed.height:
            return types_pb2.ResponseOfferSnapshot(result=result.ABORT)
        if offered.format != SNAPSHOT_FORMAT:
            return types_pb2.ResponseOfferSnapshot(result=result.REJECT_FORMAT)
        if sha256(hashes).digest() != request.app_hash or len(hashes) != offered.chunks * HASH_BYTES:
            return types_pb2.ResponseOfferSnapshot(result=result.REJECT)
        starts = range(0, len(hashes), HASH_BYTES)
        self._restoration = Restoration(
            offered.height, [hashes[start : start + HASH_BYTES] for start in starts]
        )
        return types_pb2.ResponseOfferSnapshot(result=result.ACCEPT)

    def apply_snapshot_chunk(
        self, request: types_pb2.RequestApplySnapshotChunk
    ) -> types_pb2.ResponseApplySnapshotChunk:
        """Take in a chunk; the last one completes the state, which is then written."""
        result = types_pb2.ResponseApplySnapshotChunk
        restoration = self._restoration
        if restoration is None or request.index >= len(restoration.chunk_hashes):
            return types_pb2.ResponseApplySnapshotChunk(result=result.REJECT_SNAPSHOT)
        if sha256(request.chunk).digest() != restoration.chunk_hashes[request.index]:
            return types_pb2.ResponseApplySnapshotChunk(
                result=result.RETRY, refetch_chunks=[request.index], reject_senders=[request.sender]
            )
        restoration.chunks[request.index] = request.chunk
        if len(restoration.chunks) == len(restoration.chunk_hashes):
            self._restoration = None
            if not self._adopt(restoration):
                return types_pb2.ResponseApplySnapshotChunk(result=result.REJECT_SNAPSHOT)
        return types_pb2.ResponseApplySnapshotChunk(result=result.ACCEPT)

    def _adopt(self, restoration: Restoration) -> bool:
        """Write and publish a restored state; False when the chunks make no state."""
        try:
            state = decode_state(b"".join(chunk for _, chunk in sorted(restoration.chunks.items())))
        except CorruptState:
            return False
        committed = commit_of(restoration.height, state, ())
        self._storage.save(committed)
        self._committed = committed
        return True


def describe_snapshot(snapshot: Snapshot) -> types_pb2.Snapshot:
    """Return what is offered to peers: the metadata are the hashes of the chunks, the hash is that of the metadata."""
    hashes = hash_chunks(cut_chunks(snapshot.data))
    return types_pb2.Snapshot(
        height=snapshot.height,
        format=SNAPSHOT_FORMAT,
        chunks=len(hashes) // HASH_BYTES,
        hash=sha256(hashes).digest(),
        metadata=hashes,
    )


def _extension_of(height: int, block_hash: bytes) -> bytes:
    return sha256(b"kvstore-extension" + height.to_bytes(8, "big", signed=True) + block_hash).digest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a kvstore until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="kvstore", description="The kvstore example of the ABCI server.")
    parser.add_argument("--address", required=True, help="unix:///path or tcp://127.0.0.1:port")
    parser.add_argument("--home", required=True, type=Path, help="directory for the state")
    parser.add_argument("--snapshot-interval", type=int, default=DEFAULT_SNAPSHOT_INTERVAL, help="in heights")
    options = parser.parse_args(arguments)
    if options.snapshot_interval < 1:
        parser.error("expected --snapshot-interval of at least 1")
    try:
        storage = Storage(options.home)
        try:
            serve(KvStore(storage, snapshot_interval=options.snapshot_interval), options.address)
        finally:
            storage.close()
    except AppError as error:
        print(f"kvstore: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
