"""The shipped dashboard and alert rules: every expression is about metrics and labels that are exported."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from prometheus_client.metrics import MetricWrapperBase

from abci_app.metrics import Metrics
from relayer.metrics import RelayMetrics
from relayer.types import STAGE_NAMES, TxState
from tests.support.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

RULES = ROOT / "ops" / "prometheus" / "gradchain.rules.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "gradchain.json"
OPERATIONS = ROOT / "docs" / "operations.md"
ADDED_BY_PROMETHEUS = {"instance", "job", "le"}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}


def read_exports() -> dict[str, set[str]]:
    """Return the labels of every series that the relayer or a node exports, by name."""
    collectors = [
        collector
        for registry in (RelayMetrics().registry, Metrics("hub").registry)
        for collector in registry._collector_to_names
        if isinstance(collector, MetricWrapperBase)
    ]
    found = {
        collector._name + suffix: set(collector._labelnames) | ADDED_BY_PROMETHEUS
        for collector in collectors
        for suffix in SUFFIXES[str(collector._type)]
    }
    # A gauge that is made with its label set already.
    return found | {"gradchain_height": {"chain"} | ADDED_BY_PROMETHEUS}


def read_panels() -> list[dict[str, object]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert isinstance(panels, list)
    return panels


def panel_targets() -> Iterator[tuple[str, str]]:
    """Yield (expression, legend) of every target of the dashboard."""
    for panel in read_panels():
        targets = panel["targets"]
        assert isinstance(targets, list)
        for target in targets:
            yield target["expr"], target["legendFormat"]


def read_alerts() -> dict[str, dict[str, str]]:
    """Return the fields of each alert by its name."""
    alerts: dict[str, dict[str, str]] = {}
    fields: dict[str, str] = {}
    for line in RULES.read_text().splitlines():
        match = re.fullmatch(r"\s+(?:- )?(alert|expr|for|severity|summary): (.+)", line)
        if match is None:
            continue
        if match[1] == "alert":
            fields = alerts[match[2]] = {}
        else:
            fields[match[1]] = match[2]
    return alerts


EXPRESSIONS = [expression for expression, _ in panel_targets()] + [
    fields["expr"] for fields in read_alerts().values()
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_names_what_is_exported(expression: str) -> None:
    exports = read_exports()
    names = set(re.findall(r"gradchain_\w+", expression))
    assert names
    assert names <= exports.keys()
    known = set.intersection(*(exports[name] for name in names))
    grouped = {
        label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")
    }
    selected = set(re.findall(r"[{,]\s*(\w+)\s*=", expression))
    assert grouped | selected <= known
    values = {value for text in re.findall(r'=~"([^"]*)"', expression) for value in text.split("|")}
    assert values <= set(STAGE_NAMES.values()) | {state.value for state in TxState}
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize(("expression", "legend"), list(panel_targets()))
def test_a_legend_names_labels_that_the_expression_leaves(expression: str, legend: str) -> None:
    exports = read_exports()
    names = re.findall(r"gradchain_\w+", expression)
    left = set.intersection(*(exports[name] for name in names))
    for group in re.findall(r"by \(([^)]*)\)", expression):
        left &= {label.strip() for label in group.split(",")}
    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= left


def test_every_metric_of_the_relayer_is_on_the_dashboard() -> None:
    shown = " ".join(expression for expression, _ in panel_targets())
    for collector in RelayMetrics().registry._collector_to_names:
        assert isinstance(collector, MetricWrapperBase)
        assert collector._name in shown


def test_every_alert_is_complete_and_explained() -> None:
    alerts = read_alerts()
    assert len(alerts) >= 10
    page = OPERATIONS.read_text()
    for name, fields in alerts.items():
        assert {"expr", "severity", "summary"} <= fields.keys(), name
        assert fields["severity"] in {"warning", "critical"}
        assert f"`{name}`" in page, name


def test_panels_lie_side_by_side() -> None:
    places = [
        tuple(panel["gridPos"].items()) for panel in read_panels() if isinstance(panel["gridPos"], dict)
    ]
    assert len(set(places)) == len(read_panels())
    assert len({str(panel["id"]) for panel in read_panels()}) == len(read_panels())
