"""The Grafana dashboard that is shipped."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.support.answers import Answer
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARD: Final = ROOT / "ops" / "grafana" / "gradchain.json"
RATE_INTERVAL: Final = "$__rate_interval"
"""Grafana puts at least four intervals of scraping in its place."""


@dataclass(frozen=True, slots=True)
class Target:
    """One expression of a panel."""

    panel: str
    expression: str
    legend_labels: frozenset[str]


def read_dashboard() -> Answer:
    """Return the file's content."""
    return Answer(json.loads(DASHBOARD.read_text()))


def read_targets(rate_interval: str) -> Iterator[Target]:
    """Yield all expressions, as Grafana sends them to Prometheus.

    `rate_interval` is a duration in PromQL, such as 1m.
    """
    for panel in read_dashboard()["panels"].items():
        for target in panel["targets"].items():
            expression = target["expr"].text().replace(RATE_INTERVAL, rate_interval)
            labels = re.findall(r"\{\{\s*(\w+)\s*\}\}", target["legendFormat"].text())
            yield Target(panel["title"].text(), expression, frozenset(labels))
