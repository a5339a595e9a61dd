"""A relayer that says where its time goes: `python -m bench.sampled_relayer --config FILE --out FILE`.

A thread looks a few hundred times a second at what the others are doing.  It changes nothing of the relayer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relayer.config import load_config
from relayer.heap import return_freed_memory
from relayer.logs import set_up_logs
from relayer.service import relay

if TYPE_CHECKING:
    from types import FrameType

INTERVAL_S: Final = 0.004
WAIT: Final = "wait"
OTHER: Final = "other"
LOOKS: Final = "looks"
"""How often the sampler looked; not a part."""
PARTS: Final = (
    ("journal", ("relayer/journal.py",)),
    ("log", ("relayer/observer.py", "relayer/metrics.py")),
    ("read", ("relayer/blocks.py", "abci_app/rpc_answers.py", "abci_app/rpc_calls.py")),
    ("proof", ("relayer/prover.py:_judge", "relayer/prover.py:_walk", "ibc/light.py", "ibc/tendermint.py")),
    ("sign", ("relayer/effects.py:_sign", "relayer/messages.py", "tx/envelope.py")),
    ("decide", ("relayer/machine.py",)),
    ("submit", ("relayer/queries.py:broadcast", "relayer/effects.py:_broadcast")),
    (
        "query",
        (
            "relayer/queries.py",
            "relayer/nodes.py",
            "relayer/prover.py",
            "grpc/aio",
            "/aiohttp/",
            "http_writer",
        ),
    ),
    ("loop", ("relayer/driver.py", "relayer/effects.py", "relayer/watcher.py", "asyncio/")),
)
"""What a thread is doing, by the first of these that is found in its stack."""
BUSY: Final = (*(part for part, _ in PARTS), OTHER)
"""Everything that is not waiting."""


def classify(frame: FrameType | None) -> str:
    """Return what a thread is doing."""
    if frame is not None and frame.f_code.co_filename.endswith(("selectors.py", "threading.py", "queue.py")):
        return WAIT
    places = []
    while frame is not None:
        name = frame.f_code.co_filename
        places.append(f"{name}:{frame.f_code.co_name}")
        frame = frame.f_back
    for part, marks in PARTS:
        if any(mark in place for place in places for mark in marks):
            return part
    return OTHER


class Sampler:
    """Counts what the main thread, and any thread that writes the journal, is doing."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._stop = threading.Event()
        self._main = threading.main_thread().ident
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        own = threading.get_ident()
        while not self._stop.wait(INTERVAL_S):
            self.counts[LOOKS] += 1
            for ident, frame in sys._current_frames().items():  # noqa: SLF001 - the documented way to look
                if ident == own:
                    continue
                part = classify(frame)
                if ident == self._main or part == "journal":
                    self.counts[part] += 1


def main() -> None:
    """Relay until told to stop, then write the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    return_freed_memory()
    config = load_config(arguments.config)
    set_up_logs(config.log_format, config.log_level)
    sampler = Sampler()
    sampler.start()
    try:
        asyncio.run(relay(config))
    finally:
        sampler.stop()
        arguments.out.write_text(json.dumps(sampler.counts), encoding="utf-8")


if __name__ == "__main__":
    main()
