"""Prometheus metrics of a node's application.  Names are listed in docs/operations.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.execution import TxResult


class Metrics:
    """The metrics of one application, on a registry of its own so that tests can run several in a process."""

    def __init__(self, chain_id: str) -> None:
        self.registry = CollectorRegistry()
        self.height = Gauge(
            "gradchain_height", "Last committed height.", ["chain"], registry=self.registry
        ).labels(chain_id)
        self.transactions = Counter(
            "gradchain_transactions", "Transactions in committed blocks.", ["verdict"], registry=self.registry
        )
        self.refused = Counter(
            "gradchain_refused",
            "Transactions that did not enter the mempool.",
            ["codespace", "code"],
            registry=self.registry,
        )
        self.finalize_seconds = Histogram(
            "gradchain_finalize_seconds", "Execution of a block.", registry=self.registry
        )
        self.commit_seconds = Histogram(
            "gradchain_commit_seconds", "Durable write of a block.", registry=self.registry
        )

    def observe_block(self, height: int, results: Iterable[TxResult]) -> None:
        """Count a committed block."""
        self.height.set(height)
        for result in results:
            self.transactions.labels("failed" if result.code else "accepted").inc()

    def serve(self, host: str, port: int) -> None:
        """Serve `/metrics` on that address, in a thread of its own."""
        start_http_server(port, addr=host, registry=self.registry)
