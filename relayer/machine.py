"""The relayer's decisions, without any input or output.

`RelayMachine.handle` takes one event and returns what is to be done.  It neither reads a clock nor waits; all it
knows it was told.  So each situation can be replayed in a test, and after a crash the same decisions follow from the
journal and the chains.

A packet's life: seen, proved, submitted, committed (on the other chain), then its acknowledgement proved, submitted,
acknowledged.  Or: seen, expired, its timeout proved, submitted, timed out.  Blocks move it on, not the results of
our own transactions: who relayed it makes no difference.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, assert_never

from relayer import events
from relayer.batchwork import drop_stale_batches, handle_failed, handle_proved, handle_signed
from relayer.blockwork import handle_block, handle_head, handle_skipped
from relayer.bodywork import (
    drop_stale_groups,
    handle_checkpoint,
    handle_checkpoint_unknown,
    handle_parts_failed,
    handle_parts_signed,
    plan_body,
    want_body,
)
from relayer.errors import AnswerLost
from relayer.invariants import check_state
from relayer.lanework import (
    handle_client,
    handle_client_unknown,
    handle_pending,
    handle_pending_unknown,
    plan_lane,
)
from relayer.packetwork import drop_stale_queries, handle_status, handle_status_unknown
from relayer.policy import failure_of
from relayer.restart import handle_link
from relayer.state import RelayOptions, RelayState, Restored, Turn
from relayer.txwork import (
    handle_accepted,
    handle_included,
    handle_refused,
    handle_unknown,
    handle_unsent,
    look_up_overdue,
)
from relayer.types import TimeNs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from relayer.actions import RelayAction
    from relayer.events import RelayEvent


class RelayMachine:
    """Decides what the relayer does."""

    def __init__(
        self,
        options: RelayOptions | None = None,
        restored: Restored | None = None,
        *,
        retry_refused: bool = False,
    ) -> None:
        """Start from what the journal holds.

        With `retry_refused`, packets that a chain has refused are tried once more.
        """
        self.state = RelayState(options or RelayOptions(), restored or Restored())
        self._retry_refused = retry_refused
        for chain_id, height in self.state.restored.cursors.items():
            self.state.chain(chain_id).cursor = height

    def handle(self, event: RelayEvent, now_ns: TimeNs) -> list[RelayAction]:
        """Take in an event, and return what is to be done because of it, in order.

        Time (Unix nanoseconds) should not go back; it decides only when to try again.
        """
        return self.handle_all((event,), now_ns)

    def handle_all(self, happened: Iterable[RelayEvent], now_ns: TimeNs) -> list[RelayAction]:
        """Take in events that have happened together; what has become possible is started when all are known."""
        turn = Turn(self.state, now_ns)
        for event in happened:
            self._dispatch(turn, event)
        self._plan(turn)
        return turn.actions

    def next_wake_ns(self) -> TimeNs | None:
        """Return when a `Tick` is due, or None if there is nothing to wait for."""
        timers = self.state.timers
        return TimeNs(timers[0]) if timers else None

    def validate(self) -> None:
        """Check every invariant of the state.

        Raises:
          AssertionError: one is broken, which is a bug of ours.

        """
        check_state(self.state)

    def _dispatch(self, turn: Turn, event: RelayEvent) -> None:
        if isinstance(event, events.TxEvent):
            _handle_tx(turn, event)
        elif isinstance(event, events.BatchEvent):
            _handle_batch(turn, event)
        elif isinstance(event, events.BodyEvent):
            _handle_body(turn, event)
        elif isinstance(event, events.LinkReady):
            handle_link(turn, event, retry_refused=self._retry_refused)
        elif isinstance(event, events.Tick):
            _handle_tick(turn)
        else:
            _handle_chain(turn, event)

    def _plan(self, turn: Turn) -> None:
        """Start what has become possible."""
        state = self.state
        while state.dirty or state.dirty_bodies:
            lanes, state.dirty = state.dirty, {}
            for end in lanes:
                plan_lane(turn, state.lanes[end])
            bodies, state.dirty_bodies = state.dirty_bodies, {}
            for key in bodies:
                if key in state.bodies:
                    plan_body(turn, state.bodies[key])


def _handle_chain(turn: Turn, event: events.ChainEvent) -> None:
    match event:
        case events.HeadSeen():
            handle_head(turn, event)
        case events.BlockSeen():
            handle_block(turn, event)
        case events.BlocksSkipped():
            handle_skipped(turn, event)
        case events.ClientSeen():
            handle_client(turn, event)
        case events.ClientUnknown():
            handle_client_unknown(turn, event)
        case events.PendingListed():
            handle_pending(turn, event)
        case events.PendingUnknown():
            handle_pending_unknown(turn, event)
        case events.PacketStatusSeen():
            handle_status(turn, event)
        case events.PacketStatusUnknown():
            handle_status_unknown(turn, event)
        case _:
            assert_never(event)


def _handle_batch(turn: Turn, event: events.BatchEvent) -> None:
    match event:
        case events.BatchProved():
            handle_proved(turn, event)
        case events.BatchSigned():
            handle_signed(turn, event)
        case events.BatchFailed():
            handle_failed(turn, event)
        case _:
            assert_never(event)


def _handle_tx(turn: Turn, event: events.TxEvent) -> None:
    match event:
        case events.TxAccepted():
            handle_accepted(turn, event)
        case events.TxRefused():
            handle_refused(turn, event)
        case events.TxUnsent():
            handle_unsent(turn, event)
        case events.TxIncluded():
            handle_included(turn, event)
        case events.TxUnknown():
            handle_unknown(turn, event)
        case _:
            assert_never(event)


def _handle_body(turn: Turn, event: events.BodyEvent) -> None:
    match event:
        case events.BodyWanted():
            want_body(turn, event)
        case events.CheckpointSeen():
            handle_checkpoint(turn, event)
        case events.CheckpointUnknown():
            handle_checkpoint_unknown(turn, event)
        case events.PartsSigned():
            handle_parts_signed(turn, event)
        case events.PartsFailed():
            handle_parts_failed(turn, event)
        case _:
            assert_never(event)


def _handle_tick(turn: Turn) -> None:
    """Look at everything that waits for a time."""
    state = turn.state
    while state.timers and state.timers[0] <= turn.now_ns:
        heapq.heappop(state.timers)
    lost = failure_of(AnswerLost("expected an answer within the time limit, got none"))
    drop_stale_batches(turn, lost)
    drop_stale_queries(turn, lost)
    drop_stale_groups(turn)
    look_up_overdue(turn)
    state.dirty.update(dict.fromkeys(state.lanes))
    state.dirty_bodies.update(dict.fromkeys(state.bodies))
