"""The file of alert rules loads, and each alert names the page's section that tells what to do."""

from __future__ import annotations

import re
from typing import Final

import pytest

from tests.support.prometheus_go import read_rules
from tests.support.scraped import RULES
from tests.support.tools import ROOT

RUNBOOK: Final = ROOT / "docs" / "alerts.md"
OPERATIONS: Final = ROOT / "docs" / "operations.md"


def read_anchors() -> dict[str, str]:
    """Return the text of each section of the runbook by its anchor."""
    parts = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {title.lower().replace(" ", "-"): text.strip() for title, text in pairs}


def test_prometheus_loads_the_rules() -> None:
    rules = read_rules(RULES.read_text())
    assert rules.errors == ()
    assert len({alert.name for alert in rules.alerts}) == len(rules.alerts)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("changes(gradchain_height[2m]) == 0", "changes(gradchain_height[2m] == 0"),
        ("changes(gradchain_height[2m]) == 0", "changes(gradchain_height) == 0"),
        ("for: 2m", "for: 2 minutes"),
        ("{{ $labels.job }}", "{{ $labels.job }"),
        ("{{ $labels.job }}", "{{ labels.job }}"),
        ("annotations:", "annotation:"),
    ],
)
def test_rules_that_prometheus_would_not_load_are_noticed(good: str, bad: str) -> None:
    text = RULES.read_text()
    assert good in text
    assert read_rules(text.replace(good, bad, 1)).errors


def test_every_alert_tells_how_grave_it_is_and_what_has_happened() -> None:
    for alert in read_rules(RULES.read_text()).alerts:
        assert alert.labels["severity"] in {"warning", "critical"}, alert.name
        assert alert.annotations.keys() == {"summary", "runbook"}, alert.name


def test_every_alert_names_its_section_of_the_runbook() -> None:
    sections = read_anchors()
    alerts = read_rules(RULES.read_text()).alerts
    for alert in alerts:
        page, _, anchor = alert.annotations["runbook"].partition("#")
        assert ROOT / page == RUNBOOK
        assert anchor == alert.name.lower()
        assert sections[anchor], alert.name
    assert len(sections) == len(alerts)


def test_sections_that_the_runbook_refers_to_exist() -> None:
    sections = read_anchors()
    named = set(re.findall(r"\]\(#([^)]+)\)", RUNBOOK.read_text()))
    assert named
    assert named <= sections.keys()
    titles = re.findall(r"^## (.+)$", OPERATIONS.read_text(), flags=re.MULTILINE)
    outside = set(re.findall(r"\]\(operations\.md#([^)]+)\)", RUNBOOK.read_text()))
    assert outside <= {title.lower().replace(" ", "-") for title in titles}


def test_the_page_for_operators_leads_to_the_runbook() -> None:
    assert "](alerts.md)" in OPERATIONS.read_text()
