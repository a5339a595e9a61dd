"""Every expression of the alert rules and of the dashboard is PromQL about what is exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, get_args

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from relayer.metrics import NODE_CHECKS, ForkOutcome
from relayer.types import STAGE_NAMES, TxState
from tests.support.dashboard import read_targets
from tests.support.prometheus_go import Parsed, parse_expressions, query, read_rules
from tests.support.scraped import RULES, Watched, make_busy

OF_COUNTERS: Final = {"rate", "irate", "increase", "resets"}
OF_GAUGES: Final = {"changes", "delta", "idelta", "deriv", "predict_linear"}
ADDED_BY_PROMETHEUS: Final = {"job", "instance"}
VALUES: Final = {
    "stage": set(STAGE_NAMES.values()),
    "state": {state.value for state in TxState},
    "outcome": set(get_args(ForkOutcome)),
    "check": set(NODE_CHECKS),
}


@dataclass(frozen=True)
class Export:
    kind: str
    labels: frozenset[str]


@pytest.fixture(scope="module")
def network() -> Watched:
    """A network in which everything has happened."""
    busy = Watched()
    make_busy(busy)
    return busy


@pytest.fixture(scope="module")
def exports(network: Watched) -> dict[str, Export]:
    """Kind and labels of every series that is scraped, by name."""
    found = {"up": Export("gauge", frozenset(ADDED_BY_PROMETHEUS))}
    for registry in (network.relay.registry, network.node.registry):
        for family in text_string_to_metric_families(generate_latest(registry).decode()):
            for sample in family.samples:
                labels = frozenset(sample.labels) | ADDED_BY_PROMETHEUS
                found[sample.name] = Export(family.type, labels)
    return found


@pytest.fixture(scope="module")
def expressions() -> list[str]:
    """Those of the dashboard and of the rules."""
    shown = {target.expression for target in read_targets("1m")}
    watched = {alert.expression for alert in read_rules(RULES.read_text()).alerts}
    assert shown
    assert watched
    return sorted(shown | watched)


def find_faults(parsed: Parsed, exports: dict[str, Export]) -> list[str]:
    """Return what is wrong with an expression."""
    if parsed.error:
        return [parsed.error]
    faults = [f"no metric {one.metric}" for one in parsed.selectors if one.metric not in exports]
    if faults:
        return faults
    for one in parsed.selectors:
        export = exports[one.metric]
        faults += [f"{one.metric} has no label {label}" for label in one.values.keys() - export.labels]
        for label, values in one.values.items():
            faults += [f"{label} is never {value}" for value in set(values) - VALUES.get(label, set())]
        if OF_COUNTERS & set(one.calls[:1]) and export.kind not in {"counter", "histogram"}:
            faults.append(f"{one.metric} is a {export.kind}")
        if OF_GAUGES & set(one.calls[:1]) and export.kind != "gauge":
            faults.append(f"{one.metric} is a {export.kind}")
        if "histogram_quantile" in one.calls and not one.metric.endswith("_bucket"):
            faults.append(f"{one.metric} are no buckets")
    for grouping in parsed.groupings:
        for metric in grouping.metrics:
            faults += [
                f"{metric} has no label {label}" for label in set(grouping.labels) - exports[metric].labels
            ]
    return faults


def test_every_expression_is_about_what_is_exported(
    expressions: list[str], exports: dict[str, Export]
) -> None:
    for expression, parsed in zip(expressions, parse_expressions(expressions), strict=True):
        assert find_faults(parsed, exports) == [], expression
        assert parsed.selectors, expression


def test_prometheus_evaluates_every_expression_without_a_remark(
    expressions: list[str], network: Watched
) -> None:
    results = query(network.scrapes, expressions, network.now_s * 1_000)
    for expression, result in zip(expressions, results, strict=True):
        assert (result.error, result.odd) == ("", ()), expression


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(gradchain_relayer_txs_total[5m]", "unclosed left parenthesis"),
        ("rate(gradchain_relayer_txs_total)", "expected type range vector"),
        ("sum by chain (gradchain_relayer_open)", "unexpected"),
        ("gradchain_relayer_opened", "no metric gradchain_relayer_opened"),
        ("gradchain_relayer_txs", "no metric gradchain_relayer_txs"),
        ('gradchain_relayer_txs_total{fate="failed"}', "has no label fate"),
        ('gradchain_relayer_txs_total{state=~"failed|lost"}', "state is never lost"),
        ('gradchain_relayer_node_problem{check="chain id"}', "check is never chain id"),
        ("sum by (client) (rate(gradchain_relayer_txs_total[5m]))", "has no label client"),
        ("gradchain_relayer_open + on (chain) gradchain_relayer_height", "open has no label chain"),
        ("rate(gradchain_relayer_open[5m])", "gradchain_relayer_open is a gauge"),
        ("changes(gradchain_relayer_txs_total[5m])", "gradchain_relayer_txs_total is a counter"),
        ("histogram_quantile(0.5, rate(gradchain_commit_seconds_sum[5m]))", "are no buckets"),
    ],
)
def test_a_fault_of_an_expression_is_noticed(expression: str, fault: str, exports: dict[str, Export]) -> None:
    (parsed,) = parse_expressions([expression])
    assert fault in " ".join(find_faults(parsed, exports))


def test_a_quantile_without_the_bounds_of_the_buckets_is_remarked(network: Watched) -> None:
    wrong = "histogram_quantile(0.5, sum by (stage) (rate(gradchain_relayer_packet_seconds_bucket[5m])))"
    (result,) = query(network.scrapes, [wrong], network.now_s * 1_000)
    assert any("bucket label" in remark for remark in result.odd)
