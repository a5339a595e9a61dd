"""How many cases were judged side by side with a reference implementation, and with what outcome."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

PROPERTY: Final = "cases judged"
"""The name under which a test reports its outcomes; it travels from the workers of a run to its end."""
AGREED: Final = frozenset({"verified", "untrusted", "invalid"})
"""Outcomes in which ours and every reference have the same verdict."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind of cases that ours and reference implementations judge."""

    subject: str
    made_by: str
    """Whose code makes the cases."""
    judged_by: str
    """Whose verdicts, or bytes, are compared with ours."""


@dataclass(slots=True)
class Tally:
    """Cases by their outcome: the verdict of all, or the name of a listed difference."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: str) -> None:
        """Count one case."""
        self.outcomes[outcome] += 1

    def __getitem__(self, outcome: str) -> int:
        return self.outcomes[outcome]

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.outcomes.total()

    @property
    def equal(self) -> int:
        """How many had the same verdict everywhere."""
        return sum(count for outcome, count in self.outcomes.items() if outcome in AGREED)

    @property
    def differences(self) -> list[tuple[str, int]]:
        """The listed differences that came up, the most frequent first."""
        return [item for item in self.outcomes.most_common() if item[0] not in AGREED]


def encode_report(subject: str, tally: Tally) -> str:
    """Return the property of a test."""
    return json.dumps([subject, dict(tally.outcomes)])


def decode_report(text: str) -> tuple[str, Tally]:
    """Return the subject and the cases of a test's property."""
    subject, outcomes = json.loads(text)
    return subject, Tally(Counter(outcomes))


def describe_report(text: str) -> str:
    """Return the line for the end of a run."""
    subject, tally = decode_report(text)
    counts = ", ".join(f"{name} {count}" for name, count in tally.outcomes.most_common())
    return f"{PROPERTY}: {subject}: {tally.cases}, equal {tally.equal} ({counts})"
