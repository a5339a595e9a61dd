"""The node's gRPC door for transactions: `NodeService`, and the bundling of updates.

Transactions go to the node's own CometBFT.  Updates that arrive while an earlier bundle is on its way travel
together in the next one, since few large transactions cost a chain less than many small ones.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from abci_app.context import BlockContext, TxContext
from abci_app.errors import CommitTimeout, UpdatesNotTaken
from abci_app.execution import UPDATE_REFUSED
from abci_app.grpc_errors import RemoteError
from tx.codec import encode
from tx.errors import AppError
from wire.gradchain.fl.v1 import update_pb2
from wire.gradchain.tx.v1 import tx_pb2

if TYPE_CHECKING:
    from abci_app.application import ChainApplication
    from abci_app.definition import ItemHandler
    from abci_app.execution import TxResult
    from abci_app.rpc_answers import BroadcastOutcome

LOG = structlog.get_logger(__name__)

MAX_BUNDLE_UPDATES: Final = 64
"""Keeps the verdict of one bundle small, and one bad bundle cheap."""

TX_OVERHEAD: Final = 256
"""Bytes left for the encoding around the updates of a bundle."""


class TxSink(Protocol):
    """Where transactions go: the node's CometBFT."""

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        """Hand over a transaction and return the verdict of CheckTx; raises `AppError` when that cannot be had."""


@dataclass(frozen=True, slots=True)
class CommittedUpdate:
    """Where an update ended up."""

    tx_hash: bytes
    height: int


@dataclass(frozen=True, slots=True)
class _Waiting:
    update: update_pb2.Update
    claim: bytes
    size: int
    index_in: Future[tuple[bytes, int]] = field(default_factory=Future)
    """Resolves to (hash of the bundle's transaction, index in it)."""


class UpdateBundler:
    """Bundles updates that arrive together.  One thread posts, any number of threads submit."""

    def __init__(
        self, application: ChainApplication, sink: TxSink, *, max_tx_bytes: int, bundling: bool = True
    ) -> None:
        items = application.definition.items
        if items is None:
            raise ValueError("an app without items takes no updates")
        self._items: ItemHandler[Any] = items
        self._application = application
        self._sink = sink
        self._max_bytes = max_tx_bytes - TX_OVERHEAD
        self._max_updates = MAX_BUNDLE_UPDATES if bundling else 1
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._held: _Waiting | None = None
        self._thread = threading.Thread(target=self._post_bundles, name="bundler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the posting thread end after what is queued."""
        self._queue.put(None)
        self._thread.join()

    def waiting(self) -> int:
        """Return about how many updates wait for the next bundle."""
        return self._queue.qsize()

    def submit(self, update: update_pb2.Update, *, wait: bool, timeout_s: float) -> CommittedUpdate:
        """Check an update, post it with others, and on request wait for its own verdict.

        Raises:
          AppError: the update is refused here, by CheckTx or in its block, or the time is up.

        """
        snapshot = self._application.store.latest()
        block = BlockContext(
            self._application.chain_id, snapshot.height + 1, snapshot.time_ns, b"", self._application.services
        )
        item = self._items.read(update)
        self._items.check(TxContext(block=block), snapshot, item)
        entry = _Waiting(update, item.claim, update.ByteSize() + 8)
        if entry.size > self._max_bytes:
            raise UpdatesNotTaken(f"expected an update of at most {self._max_bytes} bytes, got {entry.size}")
        self._queue.put(entry)
        try:
            tx_hash, index = entry.index_in.result(timeout_s)
        except TimeoutError:
            raise CommitTimeout(
                f"expected the node to take the update over within {timeout_s} s, got no answer"
            ) from None
        if not wait:
            return CommittedUpdate(tx_hash, 0)
        outcome = self._application.outcomes.wait(tx_hash, timeout_s)
        if outcome is None:
            raise CommitTimeout(
                f"expected transaction {tx_hash.hex()} in a block within {timeout_s} s, got none yet"
            )
        check_item_verdict(outcome.result, index)
        return CommittedUpdate(tx_hash, outcome.height)

    def _take_bundle(self) -> list[_Waiting] | None:
        """Return what waits, as far as one transaction can hold it; None at the end."""
        first = self._held if self._held is not None else self._queue.get()
        self._held = None
        if first is None:
            return None
        taken, size = [first], first.size
        claims = {first.claim}
        while len(taken) < self._max_updates:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                break
            if entry is None:
                self._queue.put(None)
                break
            if size + entry.size > self._max_bytes or entry.claim in claims:
                self._held = entry
                break
            claims.add(entry.claim)
            taken.append(entry)
            size += entry.size
        return taken

    def _post_bundles(self) -> None:
        while True:
            taken = self._take_bundle()
            if taken is None:
                return
            bundle = update_pb2.UpdateBundle(updates=[entry.update for entry in taken])
            tx = encode(tx_pb2.Envelope(updates=bundle))
            try:
                verdict = self._sink.broadcast_tx_sync(tx)
                if verdict.code:
                    raise RemoteError(verdict.codespace, verdict.code, verdict.log)
            except AppError as error:
                if len(taken) > 1:
                    self._post_one_by_one(taken)
                else:
                    taken[0].index_in.set_exception(error)
                continue
            LOG.info("bundle posted", updates=len(taken), tx_bytes=len(tx))
            for index, entry in enumerate(taken):
                entry.index_in.set_result((verdict.tx_hash, index))

    def _post_one_by_one(self, taken: list[_Waiting]) -> None:
        """Give each update its own verdict when the bundle as a whole was refused."""
        for entry in taken:
            tx = encode(tx_pb2.Envelope(updates=update_pb2.UpdateBundle(updates=[entry.update])))
            try:
                verdict = self._sink.broadcast_tx_sync(tx)
                if verdict.code:
                    raise RemoteError(verdict.codespace, verdict.code, verdict.log)
            except AppError as error:
                entry.index_in.set_exception(error)
            else:
                entry.index_in.set_result((verdict.tx_hash, 0))


def check_item_verdict(result: TxResult, index: int) -> None:
    """Raise what a block said of one item of a bundle.

    Raises:
      RemoteError: the item, or the whole transaction, was refused.

    """
    if index >> 3 < len(result.data) and result.data[index >> 3] >> (index & 7) & 1:
        return
    for event in result.events:
        attributes = dict(event.attributes)
        if event.kind == UPDATE_REFUSED and attributes["index"] == str(index):
            raise RemoteError(
                attributes["codespace"], int(attributes["code"]), attributes.get("log", result.log)
            )
    raise RemoteError(result.codespace, result.code, result.log)
