"""What people see of the decisions: log lines and metrics, derived from the machine's own actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from relayer.actions import LaneBlocked, LaneFreed, PutBody, PutPacket, PutTx
from relayer.types import NS_PER_SECOND, Step, TxState
from tx.errors import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relayer.actions import RelayAction
    from relayer.metrics import RelayMetrics
    from relayer.state import RelayState
    from relayer.types import BodyRecord, Failure, PacketRecord, TimeNs, TxRecord

SAMPLE_NS: Final = 200_000_000

LOG = structlog.get_logger(__name__)


@dataclass(slots=True)
class Observer:
    """Logs decisions and counts them."""

    metrics: RelayMetrics | None
    sampled_ns: int = 0
    """When the gauges were read last: there are several for each chain, and many turns a second."""

    def note(self, decided: Iterable[RelayAction], state: RelayState, now_ns: TimeNs) -> None:
        """Report what was decided in a turn."""
        for action in decided:
            match action:
                case PutPacket(record):
                    self._note_packet(record, now_ns)
                case PutTx(record):
                    self._note_tx(record)
                case PutBody(record):
                    self._note_body(record, now_ns)
                case LaneBlocked(end, failure):
                    fields = {"chain": end.chain, "client": end.client, "reason": str(failure)}
                    LOG.warning("lane blocked", **fields, **_cure_of(failure))
                case LaneFreed(end):
                    LOG.info("lane works again", chain=end.chain, client=end.client)
        if self.metrics is not None and now_ns - self.sampled_ns >= SAMPLE_NS:
            self.sampled_ns = now_ns
            self.metrics.sample(state)

    def _note_packet(self, record: PacketRecord, now_ns: TimeNs) -> None:
        elapsed_s = (now_ns - record.seen_ns) / NS_PER_SECOND
        fields = {
            "stage": record.stage,
            "chain": record.key.sender.chain,
            "client": record.key.sender.client,
            "sequence": record.key.sequence,
            "elapsed_s": round(elapsed_s, 3),
        }
        if record.step is Step.REFUSED:
            LOG.error("packet refused", **fields, reason=str(record.failure))
        elif record.step is Step.WAITING and record.attempts:
            LOG.warning("packet delayed", **fields, attempts=record.attempts, reason=str(record.failure))
        elif record.step in {Step.PROVED, Step.SUBMITTED}:
            # The transaction has a line of its own.
            LOG.debug("packet moved", **fields)
        else:
            LOG.info("packet moved", **fields)
        if self.metrics is not None:
            self.metrics.count_packet(record, elapsed_s)

    def _note_tx(self, record: TxRecord) -> None:
        fields = {"chain": record.lane.chain, "tx": record.tx_hash.hex(), "state": record.state.value}
        if record.state in {TxState.PENDING, TxState.INCLUDED}:
            LOG.info("transaction moved", **fields, height=record.height)
        else:
            LOG.warning("transaction failed", **fields, reason=str(record.failure))
        if self.metrics is not None:
            self.metrics.count_tx(record)

    def _note_body(self, record: BodyRecord, now_ns: TimeNs) -> None:
        fields = {"body": str(record.key), "parts": record.parts}
        elapsed_s = round((now_ns - record.seen_ns) / NS_PER_SECOND, 3)
        if record.done:
            LOG.info("body delivered", **fields, outcome=record.outcome, elapsed_s=elapsed_s)
            if self.metrics is not None:
                self.metrics.count_body(record)
        elif record.attempts:
            LOG.warning("body delayed", **fields, attempts=record.attempts, reason=str(record.failure))
        else:
            LOG.info("body wanted", **fields)


def _cure_of(failure: Failure) -> dict[str, str]:
    """Return the field that says what can be done about a failure; none if its code is not known to this process."""
    registered = REGISTRY.get((failure.codespace, failure.code))
    return {} if registered is None else {"cure": registered.CURE}
