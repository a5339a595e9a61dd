"""Prometheus behind functions: its rule format, parser, engine and templates.

The program in `tests/ops/evaluator` imports the released Go module; each question is a process of its own.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.gobuild import REPOSITORY, build_program
from tests.support.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_SOURCES: Final = REPOSITORY / "tests" / "ops" / "evaluator"


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert rule."""

    name: str
    expression: str
    for_s: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules; without any if there are errors."""

    errors: tuple[str, ...]
    alerts: tuple[Alert, ...]


@dataclass(frozen=True, slots=True)
class Selector:
    """A mention of a metric."""

    metric: str
    values: Mapping[str, tuple[str, ...]]
    """By label: what it is compared with."""
    calls: tuple[str, ...]
    """Functions around it, the innermost first."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Labels in `by`, `without`, `on`, `ignoring`, `group_left` or `group_right`, and the metrics beneath."""

    labels: tuple[str, ...]
    metrics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parsed:
    """An expression."""

    error: str
    selectors: tuple[Selector, ...]
    groupings: tuple[Grouping, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series."""

    labels: Mapping[str, str]
    """With `__name__`."""
    value: float


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one target said at one time.  What it does not say any more has ended."""

    at_ms: int
    target: str
    samples: tuple[Sample, ...]

    def encode(self) -> dict[str, object]:
        """Return the form in which the program reads it."""
        samples = [{"labels": sample.labels, "value": sample.value} for sample in self.samples]
        return {"at_ms": self.at_ms, "target": self.target, "samples": samples}


@dataclass(frozen=True, slots=True)
class Result:
    """What an expression comes to."""

    error: str
    odd: tuple[str, ...]
    """What the engine remarks."""
    elements: tuple[Mapping[str, str], ...]
    """Labels of each element of the vector."""
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fires."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.labels["alertname"]


def read_rules(text: str) -> Rules:
    """Read a file of rules as Prometheus does when it loads it."""
    answer = _ask("rules", {"text": text})
    alerts = tuple(
        Alert(
            found["name"].text(),
            found["expression"].text(),
            found["for_s"].number(),
            found["labels"].text_by_name(),
            found["annotations"].text_by_name(),
        )
        for found in answer["alerts"].items()
    )
    return Rules(answer["errors"].texts(), alerts)


def parse_expressions(expressions: Sequence[str]) -> tuple[Parsed, ...]:
    """Parse expressions, one by one."""
    return tuple(map(_read_parsed, _ask("parse", {"expressions": list(expressions)}).items()))


def _read_parsed(answer: Answer) -> Parsed:
    return Parsed(
        answer["error"].text(),
        tuple(
            Selector(
                found["metric"].text(),
                {match["label"].text(): match["values"].texts() for match in found["matchers"].items()},
                found["calls"].texts(),
            )
            for found in answer["selectors"].items()
        ),
        tuple(
            Grouping(found["labels"].texts(), found["metrics"].texts())
            for found in answer["groupings"].items()
        ),
    )


def query(scrapes: Sequence[Scrape], expressions: Sequence[str], at_ms: int) -> tuple[Result, ...]:
    """Evaluate expressions, one by one, at a time."""
    case = {
        "scrapes": [scrape.encode() for scrape in scrapes],
        "expressions": list(expressions),
        "at_ms": at_ms,
    }
    return tuple(
        Result(
            answer["error"].text(),
            answer["odd"].texts(),
            tuple(found["labels"].text_by_name() for found in answer["elements"].items()),
            tuple(float(found["value"].text()) for found in answer["elements"].items()),
        )
        for answer in _ask("query", case).items()
    )


def find_firing(
    text: str, scrapes: Sequence[Scrape], from_ms: int, until_ms: int, step_ms: int
) -> tuple[Firing, ...]:
    """Evaluate a file of rules at every step and return what fires at the last one.

    Raises:
      RuntimeError: a rule cannot be evaluated, or a template names a label that the result does not have.

    """
    case = {
        "text": text,
        "scrapes": [scrape.encode() for scrape in scrapes],
        "from_ms": from_ms,
        "until_ms": until_ms,
        "step_ms": step_ms,
    }
    return tuple(
        Firing(found["labels"].text_by_name(), found["annotations"].text_by_name())
        for found in _ask("alerts", case).items()
    )


def _ask(mode: str, case: Mapping[str, object]) -> Answer:
    question = json.dumps({"mode": mode, "case": case})
    done = subprocess.run(
        [str(build_program(_SOURCES))], input=question, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return Answer(json.loads(done.stdout))
