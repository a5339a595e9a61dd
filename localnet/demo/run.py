"""A run of the demo from start to end, and the clean-up whatever happens."""

from __future__ import annotations

import dataclasses
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from localnet.demo.audit import (
    chain_checks,
    check_agreement,
    check_given_up,
    check_relay_pay,
    check_rounds,
    check_tokens,
    count_events,
    get_relay_pay,
    model_check,
)
from localnet.demo.chaos import Chaos
from localnet.demo.children import Children
from localnet.demo.options import BUDGET, DemoResult, Tamper
from localnet.demo.plot import draw_accuracy
from localnet.demo.setup import (
    CREATOR,
    assign_workers,
    describe_task,
    link_chains,
    participant_keys,
    publish_task,
    start_chains,
    start_relayer,
    start_workers,
)
from localnet.demo.tamper import FaultPlanter
from localnet.demo.watch import Progress, RoundWatch
from localnet.errors import VerificationFailed
from participant.baseline import run_baseline
from participant.data import load_digits, split_digits
from participant.verified import open_hub
from wire.gradchain.hub.v1 import query_pb2 as hub_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    from localnet.demo.display import DemoDisplay
    from localnet.demo.options import DemoOptions, RoundRow
    from localnet.demo.setup import DemoChains
    from participant.data import Federation
    from participant.verified import VerifiedHub


class Demo:
    """One run."""

    def __init__(self, options: DemoOptions, display: DemoDisplay) -> None:
        self.options = options
        self.display = display
        self.result = DemoResult(options=_describe(options))
        self._children = Children(options.directory / "logs")
        self._progress = Progress()

    @contextmanager
    def _timed(self, stage: str, text: str) -> Iterator[None]:
        self.display.stage(text)
        begin = time.monotonic()
        yield
        self.result.timings[stage] = time.monotonic() - begin

    def run(self) -> DemoResult:
        """Run everything in an empty directory; stops all processes on the way out, whatever happens.

        Raises:
          AppError: a part failed, or something was not verified.

        """
        torch.set_num_threads(1)  # small products: more threads only wait for each other, and for the nodes
        chains: DemoChains | None = None
        try:
            with self._timed("start_chains", f"starting {self.options.shards + 1} chains"):
                chains = start_chains(self.options)
                if self.options.tamper is None:
                    start_workers(self._children, self.options, self._progress.take)
                federation = split_digits(load_digits(), self.options.participants, seed=self.options.seed)
                chains.localnet.wait_ready()
            self._train(chains, federation)
        finally:
            self._children.stop()
            if chains is not None:
                chains.close()
                chains.localnet.stop()
        self._compare(federation)
        failed = [check for check in self.result.checks if not check.passed]
        if failed:
            raise VerificationFailed(
                "; ".join(f"{check.name} ({check.by}): {check.detail or check.count}" for check in failed)
            )
        return self.result

    def _train(self, chains: DemoChains, federation: Federation) -> None:
        options, result = self.options, self.result
        with self._timed("link_chains", "creating light clients, registering shards"):
            config = link_chains(chains, options.directory / "relayer")
            # Where a packet is to be carried wrongly, nobody else may carry it first.
            by_hand = options.tamper in (Tamper.HEADER, Tamper.PROOF, Tamper.BODY)
            relayer = None if by_hand else start_relayer(self._children, config)
        with self._timed("publish_task", "creating the task"):
            task = publish_task(chains, options)
            result.balances_before = self._balances(chains)
            hub = open_hub(chains.hub_connection, chains.genesis)
        if options.tamper is not None:
            with self._timed("tamper", f"planting a fault: {options.tamper.value}"):
                result.tamper = dataclasses.asdict(FaultPlanter(options, chains, hub, task).plant())
            return
        begin = time.monotonic()
        assign_workers(chains, options, task)
        chaos = Chaos(chains, self._children, config, relayer) if options.chaos and relayer else None
        watch = RoundWatch(
            chains, hub, task, federation.test, self._children, self._progress, self.display, chaos
        )
        self.display.stage("participants register")
        ended = watch.follow(self._on_row)
        result.timings["rounds"] = time.monotonic() - begin
        result.timings["training_per_update"] = self._progress.mean_seconds("train_seconds")
        result.timings["preparing_per_update"] = self._progress.mean_seconds("prepare_seconds")
        result.timings["submitting_per_update"] = self._progress.mean_seconds("submit_seconds")
        result.updates = self._progress.reports_of("submitted")
        result.refused = self._progress.reports_of("refused")
        result.memory_peak_mib = {kind: round(size, 1) for kind, size in sorted(watch.memory_mib.items())}
        result.memory_total_mib = round(watch.memory_total_mib, 1)
        if chaos is not None:
            result.kills = [dataclasses.asdict(kill) for kill in chaos.kills]
        with self._timed("audit", "auditing"):
            self._audit(chains, hub, task, ended)

    def _on_row(self, row: RoundRow) -> None:
        self.result.rows.append(row)
        self.display.round_done(row)

    def _balances(self, chains: DemoChains) -> dict[str, int]:
        accounts = {
            CREATOR: chains.localnet.key(CREATOR).public_key,
            "treasury": chains.localnet.key("treasury").public_key,
            "relayer": chains.localnet.key("relayer").public_key,
        }
        for index, key in enumerate(participant_keys(self.options)):
            accounts[f"participant-{index}"] = key.public_key
        return {
            name: chains.hub_connection.hub(
                lambda stub, account=account: stub.GetAccount(  # type: ignore[misc]
                    hub_query.GetAccountRequest(account=account), timeout=30.0
                )
            ).balance
            for name, account in accounts.items()
        }

    def _audit(self, chains: DemoChains, hub: VerifiedHub, task: int, ended: hub_query.Task) -> None:
        result = self.result
        proven = hub.prove_model(task, bytes.fromhex(result.rows[-1].model_root) if result.rows else None)
        result.model = {
            "root": proven.root.hex(),
            "height": proven.proof.height,
            "header_hash": proven.proof.header_hash.hex(),
            "app_hash": proven.proof.app_hash.hex(),
            "signatures": proven.proof.signatures,
        }
        result.balances_after = self._balances(chains)
        # The budget left the creator's balance when the task was created, before the balances were taken.
        before = {**result.balances_before, "escrow": BUDGET}
        pay = get_relay_pay(chains)
        result.relay_pay = {"packets": pay.packets, "amount": pay.amount}
        earned = result.balances_after["relayer"] - result.balances_before["relayer"]
        result.checks = [
            model_check(proven, result.rows),
            *check_rounds(hub, chains, task, result.rows),
            *check_tokens(chains, before, result.balances_after, ended.escrow),
            check_relay_pay(chains, task, result.rows, pay, earned),
            check_given_up(result.refused),
            *[check_agreement(chain) for chain in chains.localnet.chains.values()],
            *chain_checks(
                {chain.name: count_events(chain) for chain in chains.localnet.chains.values()},
                chains,
                self.options,
            ),
        ]

    def _compare(self, federation: Federation) -> None:
        """Run the float baselines and draw the picture."""
        options, result = self.options, self.result
        if options.tamper is not None:
            return
        with self._timed("baselines", "float FedAvg on the same data"):
            hints = describe_task(options).training
            for by_examples in (False, True):
                baseline = run_baseline(
                    federation, hints, seed=options.seed, rounds=options.rounds, by_examples=by_examples
                )
                result.baselines[baseline.name] = list(baseline.accuracy)
        plot = options.directory / "accuracy.png"
        title = f"{options.participants} participants, {options.shards} shards, seed {options.seed}"
        draw_accuracy(plot, [row.accuracy for row in result.rows], result.baselines, title)
        result.paths = {
            "plot": str(plot),
            "logs": str(options.directory / "logs"),
            "chains": str(options.directory / "chains"),
        }


def _describe(options: DemoOptions) -> dict[str, object]:
    described = dataclasses.asdict(options)
    described["directory"] = str(options.directory)
    described["tamper"] = options.tamper.value if options.tamper else None
    return described
