"""The arrows of the relayer's journal, and a relayer that dies at one of them.

A packet's life in the journal:

    seen -> proved -> submitted -> committed -> ack_proved -> ack_submitted -> acknowledged
    seen -> expired -> timeout_proved -> timeout_submitted -> timed_out

Each arrow is a write, and between the writes stand the deeds that cannot be taken back or have to be paid for.  So a
crash can fall inside a write (its statements executed, nothing committed), just after it (on disk, and nothing of what
follows from it done), or before or after a deed whose result is then not heard.

    python -m tests.support.relayer_arrows "after submitted" CONFIG

runs the relayer as it is until it meets that arrow, and then kills its process with SIGKILL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from relayer import driver, journal, service
from relayer.actions import PutPacket, PutTx
from relayer.config import load_config
from relayer.effects import Effects
from relayer.journal import Journal
from relayer.logs import set_up_logs

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from relayer.actions import EffectAction, JournalAction
    from relayer.events import RelayEvent

STAGES = ("seen", "proved", "submitted", "committed", "ack_proved", "ack_submitted", "acknowledged")
TIMEOUT_STAGES = ("expired", "timeout_proved", "timeout_submitted", "timed_out")
WRITES = (*STAGES, "transaction included")
MOMENTS = ("inside", "after")
DEEDS = (
    "after ListPending",
    "after ProveBatch",
    "after SignBatch",
    "before BroadcastTx",
    "after BroadcastTx",
    "after LookUpTx",
)

ARROWS = (*(f"{moment} {write}" for write in WRITES for moment in MOMENTS), *DEEDS)
"""Arrows that every packet passes, or that belong to none."""

TIMEOUT_ARROWS = tuple(f"{moment} {write}" for write in TIMEOUT_STAGES for moment in MOMENTS)
"""Arrows that a packet passes whose time is over."""


def name_write(action: JournalAction) -> str:
    """Return the name of a write; empty if it is not an arrow."""
    if isinstance(action, PutPacket):
        return action.record.stage
    if isinstance(action, PutTx):
        return f"transaction {action.record.state.value}"
    return ""


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def install(arrow: str) -> None:
    """Let the relayer of this process die at an arrow."""
    write_one = journal._write

    def write(connection: sqlite3.Connection, action: JournalAction) -> None:
        write_one(connection, action)
        if arrow == f"inside {name_write(action)}":
            die()

    class DyingJournal(Journal):
        def write(self, actions: Sequence[JournalAction]) -> bool:
            self.dies = any(arrow == f"after {name_write(action)}" for action in actions)
            return super().write(actions)

        def commit(self) -> None:
            super().commit()
            if self.dies:
                die()

    class DyingEffects(Effects):
        async def perform(self, action: EffectAction) -> RelayEvent:
            name = type(action).__name__
            if arrow == f"before {name}":
                die()
            event = await super().perform(action)
            if arrow == f"after {name}":
                die()
            return event

    setattr(journal, "_write", write)  # noqa: B010 - the product has no hook for this, and shall have none
    setattr(service, "Journal", DyingJournal)  # noqa: B010
    setattr(driver, "Effects", DyingEffects)  # noqa: B010


def main() -> None:
    """Run a relayer until it dies."""
    arrow, config_path = sys.argv[1:]
    config = load_config(Path(config_path))
    set_up_logs(config.log_format, "warning")
    install(arrow)
    asyncio.run(service.relay(config))


if __name__ == "__main__":
    main()
