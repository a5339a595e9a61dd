"""A process that runs several participants of the demo: `python -m participant.worker --config FILE`.

Every participant has its own key, data and state directory; they share the process, its torch and its light client.
They train one at a time, so that results do not depend on how many there are, and submit side by side.
Progress goes to standard output, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

import structlog
import torch

from abci_app.client import ChainConnection
from abci_app.keyfile import load_key
from aggregation.kzg import load_setup, setup_path
from participant.data import load_digits, split_digits
from participant.digits import build_network, to_tensors
from participant.errors import UpdateRefused
from participant.sdk import Participant
from participant.training import options_of, train_classifier, warm_up
from participant.verified import open_hub
from tx.errors import AppError

if TYPE_CHECKING:
    from participant.data import Digits
    from participant.sdk import RoundWork

POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What the process is told, as JSON."""

    hub: list[str]
    """gRPC addresses of hub nodes."""
    genesis: str
    """Path of the hub's genesis file: the root of trust."""
    shards: dict[str, list[str]]
    """gRPC addresses of shard nodes, by chain id."""
    task: int
    seed: int
    """Of the split of the data."""
    participants: int
    """How many there are in all."""
    members: dict[str, str]
    """Index of each participant of this process, and the path of its key."""
    state: str
    """Directory below which each participant keeps its state."""


class Reporter:
    """Writes progress, a JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def report(self, event: str, **values: object) -> None:
        """Write one line."""
        with self._lock:
            print(json.dumps({"event": event, **values}), file=self._stream, flush=True)


class Member:
    """One participant of the process."""

    def __init__(
        self, index: int, digits: Digits, participant: Participant, train_lock: threading.Lock
    ) -> None:
        self._examples, self._labels = to_tensors(digits)
        self._module = build_network(0)
        self._index = index
        self._participant = participant
        self._train_lock = train_lock

    def run(self, reporter: Reporter) -> None:
        """Take part in every round until the task ends."""
        self._participant.register()
        reporter.report("registered", participant=self._index, examples=len(self._labels))
        for work in self._participant.rounds():
            try:
                self._run_round(work, reporter)
            except UpdateRefused as error:
                reporter.report("refused", participant=self._index, round=work.number, error=str(error))

    def _run_round(self, work: RoundWork, reporter: Reporter) -> None:
        options = options_of(
            self._participant.spec.training, participant_index=self._index, round_number=work.number
        )
        with self._train_lock:
            begin = time.monotonic()
            work.load_into(self._module)
            loss = train_classifier(self._module, self._examples, self._labels, options)
            trained = time.monotonic()
            ready = work.prepare(self._module)
            prepared = time.monotonic()
        done = work.send(ready)
        reporter.report(
            "submitted",
            participant=self._index,
            round=work.number,
            shard=done.shard,
            height=done.height,
            payload_bytes=len(ready.payload),
            loss=loss,
            train_seconds=trained - begin,
            prepare_seconds=prepared - trained,
            submit_seconds=time.monotonic() - prepared,
        )


def run_worker(config: WorkerConfig, reporter: Reporter) -> None:
    """Run all participants of the process.

    Raises:
      AppError: a participant failed for good.

    """
    setup = load_setup(setup_path().read_bytes())
    hub = open_hub(ChainConnection(config.hub), Path(config.genesis))
    shards = {chain: ChainConnection(addresses) for chain, addresses in config.shards.items()}
    federation = split_digits(load_digits(), config.participants, seed=config.seed)
    train_lock = threading.Lock()
    members = [
        Member(
            int(index),
            federation.parts[int(index)],
            Participant(
                load_key(Path(key)),
                hub=hub,
                shards=shards,
                task=config.task,
                state=Path(config.state) / f"participant-{index}",
                setup=setup,
            ),
            train_lock,
        )
        for index, key in sorted(config.members.items(), key=lambda item: int(item[0]))
    ]
    reporter.report("ready", participants=[int(index) for index in config.members])
    with ThreadPoolExecutor(len(members)) as pool:
        for done in [pool.submit(member.run, reporter) for member in members]:
            done.result()


def main() -> int:
    """Run the process; exit 1 when a participant failed for good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="Waited for, if it does not exist yet.")
    path: Path = parser.parse_args().config
    reporter = Reporter(sys.stdout)
    # Standard output is for reports alone.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    torch.set_num_threads(1)
    warm_up()
    while not path.exists():
        time.sleep(POLL_S)
    config = WorkerConfig(**json.loads(path.read_text(encoding="utf-8")))
    try:
        run_worker(config, reporter)
    except AppError as error:
        reporter.report("failed", error=str(error))
        return 1
    reporter.report("finished")
    return 0


if __name__ == "__main__":
    sys.exit(main())
