"""A node without consensus: an app on its real store, driven through ABCI calls as CometBFT would.

Blocks are decided without asking ProcessProposal, so that a test can show what becomes of transactions that only a
proposer of bad will puts into one.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from abci_app.application import ChainApplication
from abci_app.context import Services
from abci_app.metrics import Metrics
from abci_app.store import open_store
from tests.support.aggregation import shared_setup
from tests.support.txs import NOW_NS, SECOND_NS
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from abci_app.definition import AppDefinition
    from abci_app.snapshot import Snapshot

Verdict = tuple[str, int]
"""Codespace and code; empty and 0 for a success."""


class AppNode:
    """A chain of one node whose blocks the test makes."""

    def __init__(
        self, home: Path, definition: AppDefinition, chain_id: str, app_state: Mapping[str, object]
    ) -> None:
        self._home = home
        self._definition = definition
        self.chain_id = chain_id
        self.time_ns = NOW_NS
        self.results: Sequence[types_pb2.ExecTxResult] = ()
        """Of the last block's transactions."""
        self._open()
        self.application.init_chain(
            types_pb2.RequestInitChain(
                chain_id=chain_id,
                time=self._timestamp(),
                app_state_bytes=json.dumps(app_state).encode(),
            )
        )

    @property
    def state(self) -> Snapshot:
        """The committed state."""
        return self.store.latest()

    def check(self, tx: bytes) -> Verdict:
        """Run CheckTx."""
        answer = self.application.check_tx(types_pb2.RequestCheckTx(tx=tx))
        return answer.codespace, answer.code

    def propose(self, *txs: bytes) -> list[bytes]:
        """Return what an honest proposer takes."""
        request = types_pb2.RequestPrepareProposal(
            txs=txs, max_tx_bytes=1 << 25, height=self.state.height + 1, time=self._timestamp()
        )
        return list(self.application.prepare_proposal(request).txs)

    def accepts(self, *txs: bytes) -> bool:
        """Tell whether an honest validator votes for such a block."""
        request = types_pb2.RequestProcessProposal(txs=txs, height=self.state.height + 1)
        status = self.application.process_proposal(request).status
        return status == types_pb2.ResponseProcessProposal.ACCEPT

    def block(self, *txs: bytes, after_s: float = 1) -> list[Verdict]:
        """Decide, execute and commit a block, so many seconds after the last one."""
        self.time_ns += int(after_s * SECOND_NS)
        height = self.state.height + 1
        answer = self.application.finalize_block(
            types_pb2.RequestFinalizeBlock(
                txs=txs, height=height, hash=height.to_bytes(32, "big"), time=self._timestamp()
            )
        )
        self.application.commit(types_pb2.RequestCommit())
        assert (self.state.height, self.state.app_hash) == (height, answer.app_hash)
        self.results = answer.tx_results
        return [(result.codespace, result.code) for result in answer.tx_results]

    def restart(self) -> None:
        """Close the store and open it again; it must hold what it held, and all of it."""
        before = (self.state.height, self.state.app_hash)
        self.store.close()
        self._open()
        self.store.verify_content()
        assert (self.state.height, self.state.app_hash) == before

    def close(self) -> None:
        self.store.close()

    def _open(self) -> None:
        self.store = open_store(self._home)
        self.application = ChainApplication(
            self._definition,
            self.store,
            Services(shared_setup()),
            chain_id=self.chain_id,
            metrics=Metrics(self.chain_id),
        )

    def _timestamp(self) -> Timestamp:
        seconds, nanos = divmod(self.time_ns, SECOND_NS)
        return Timestamp(seconds=seconds, nanos=nanos)
