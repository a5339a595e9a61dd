"""Every panel of the dashboard shows something, under legends that tell the lines apart."""

from __future__ import annotations

import pytest

from relayer.metrics import RelayMetrics
from tests.support.dashboard import read_dashboard, read_targets
from tests.support.prometheus_go import query
from tests.support.scraped import Watched, make_busy


@pytest.mark.parametrize("step_s", [15, 60])
def test_every_panel_shows_something_however_often_is_scraped(step_s: int) -> None:
    network = Watched(step_s)
    make_busy(network)
    targets = list(read_targets(f"{4 * step_s}s"))
    expressions = [target.expression for target in targets]
    results = query(network.scrapes, expressions, network.now_s * 1_000)
    for target, result in zip(targets, results, strict=True):
        assert result.elements, target
        shown = [
            tuple(sorted(set(one.items()) & legend_items(one, target.legend_labels)))
            for one in result.elements
        ]
        assert len(set(shown)) == len(shown), f"two lines under one legend: {target}"
        assert all(target.legend_labels <= one.keys() for one in result.elements), target


def legend_items(labels: object, names: frozenset[str]) -> set[tuple[str, str]]:
    assert isinstance(labels, dict)
    return {(name, value) for name, value in labels.items() if name in names}


def test_windows_follow_the_interval_of_scraping() -> None:
    for target in read_targets("RATE"):
        assert target.expression.count("[") == target.expression.count("[RATE]"), target


def test_the_only_variable_is_the_source_of_the_data() -> None:
    """A variable that asks Prometheus has an expression, which would have to be looked at as well."""
    dashboard = read_dashboard()
    (variable,) = dashboard["templating"]["list"].items()
    assert (variable["type"].text(), variable["name"].text()) == ("datasource", "source")
    for panel in dashboard["panels"].items():
        for owner in (panel, *panel["targets"].items()):
            assert owner["datasource"]["uid"].text() == "${source}"


def test_every_metric_of_the_relayer_is_on_the_dashboard() -> None:
    shown = " ".join(target.expression for target in read_targets("1m"))
    missing = [metric.name for metric in RelayMetrics().registry.collect() if metric.name not in shown]
    assert not missing


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[float, float]] = set()
    numbers: set[float] = set()
    for panel in read_dashboard()["panels"].items():
        place = panel["gridPos"]
        left, top = place["x"].number(), place["y"].number()
        assert left + place["w"].number() <= 24
        cells = {
            (left + column, top + row)
            for column in range(int(place["w"].number()))
            for row in range(int(place["h"].number()))
        }
        assert not cells & taken, panel["title"].text()
        assert panel["id"].number() not in numbers
        taken |= cells
        numbers.add(panel["id"].number())
