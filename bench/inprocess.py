"""A chain's app in this process, called as CometBFT would call it, with its real store and no engine.

Packets are handed to a port at the start of a block, as if they had been proven.
"""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from google.protobuf.timestamp_pb2 import Timestamp

from abci_app.application import ChainApplication
from abci_app.closing import Closing
from abci_app.context import Services
from abci_app.metrics import Metrics
from abci_app.store import open_store
from bench.errors import WrongVerdict
from tx.envelope import make_tx
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from google.protobuf.message import Message

    from abci_app.context import BlockContext
    from abci_app.definition import AppDefinition
    from abci_app.snapshot import Snapshot
    from abci_app.state import StateWriter
    from aggregation.kzg import Setup
    from tx.keys import SigningKey

    Step = Callable[[BlockContext, StateWriter], None]

SECOND_NS: Final = 1_000_000_000
START_NS: Final = 1_900_000_000 * SECOND_NS
TX_LIFE_NS: Final = 60 * SECOND_NS


class InProcessChain(Closing):
    """One chain."""

    def __init__(
        self,
        definition: AppDefinition,
        chain_id: str,
        home: Path,
        setup: Setup,
        app_state: Mapping[str, object],
    ) -> None:
        """Execute the genesis and the first block."""
        self._steps: list[Step] = []
        self._setup = setup
        self._height = 0
        self._nonce = 0
        self._store = open_store(home, None)
        taking = replace(definition, begin_hooks=(*definition.begin_hooks, self._take_steps))
        self._application = ChainApplication(
            taking, self._store, Services(setup), chain_id=chain_id, metrics=Metrics(chain_id)
        )
        self._application.init_chain(
            types_pb2.RequestInitChain(
                chain_id=chain_id, time=_timestamp(START_NS), app_state_bytes=json.dumps(app_state).encode()
            )
        )
        self.block()

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    @property
    def chain_id(self) -> str:
        """Id of the chain."""
        return self._application.chain_id

    @property
    def state(self) -> Snapshot:
        """The state after the last block."""
        return self._store.latest()

    def sign(self, messages: Sequence[Message], *keys: SigningKey) -> bytes:
        """Return a transaction for the next blocks."""
        self._nonce += 1
        expires_at_ns = self._time_ns(self._height) + TX_LIFE_NS
        return make_tx(self.chain_id, messages, keys, expires_at_ns, self._nonce.to_bytes(8, "big"))

    def add_step(self, step: Step) -> None:
        """Let something happen at the start of the next block."""
        self._steps.append(step)

    def block(self, *txs: bytes) -> types_pb2.ResponseFinalizeBlock:
        """Make the next block, a second after the last one.

        Raises:
          WrongVerdict: a transaction failed.

        """
        answer = self.finalize(*txs)
        for result in answer.tx_results:
            if result.code:
                raise WrongVerdict(f"expected a good transaction, got: {result.log}")
        self._application.commit(types_pb2.RequestCommit())
        self._height += 1
        self._steps.clear()
        return answer

    def finalize(self, *txs: bytes) -> types_pb2.ResponseFinalizeBlock:
        """Execute the next block and forget it, unless `block` asked; nothing is known of it from before."""
        self._application.services = Services(self._setup)
        height = self._height + 1
        return self._application.finalize_block(
            types_pb2.RequestFinalizeBlock(
                txs=txs,
                height=height,
                time=_timestamp(self._time_ns(height)),
                hash=sha256(height.to_bytes(8, "big")).digest(),
            )
        )

    def _take_steps(self, block: BlockContext, state: StateWriter) -> None:
        for step in self._steps:
            step(block, state)

    @staticmethod
    def _time_ns(height: int) -> int:
        return START_NS + height * SECOND_NS


def _timestamp(time_ns: int) -> Timestamp:
    return Timestamp(seconds=time_ns // SECOND_NS, nanos=time_ns % SECOND_NS)
