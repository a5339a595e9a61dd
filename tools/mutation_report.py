"""The report of a run of mutants: a table by file, the survivors, and the page docs/mutation.md."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tools.mutation_results import KILLED, TIMED_OUT
from tools.page_parts import LAST_RUN, replace_part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tools.mutation_list import Justified
    from tools.mutation_results import Mutant

PAGE: Final = Path("docs/mutation.md")
NEEDED_PERCENT: Final = 95.0

_SURVIVORS: Final = ("<!-- survivors -->\n", "<!-- end of survivors -->\n")


@dataclass(frozen=True, slots=True)
class Row:
    """The mutants of a file, or of all, counted."""

    name: str
    mutants: int
    killed: int
    timed_out: int
    justified: int

    @property
    def survived(self) -> int:
        """How many no test has noticed."""
        return self.mutants - self.killed - self.timed_out

    @property
    def percent(self) -> float:
        """Share of the mutants that a test has noticed."""
        return 100.0 * (self.killed + self.timed_out) / self.mutants if self.mutants else 100.0

    def cells(self) -> tuple[str, ...]:
        """Return the row of the table."""
        numbers = (self.mutants, self.killed, self.timed_out, self.survived, self.justified)
        return (self.name, *map(str, numbers), f"{self.percent:.1f}")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the mutants of some files."""

    mutants: tuple[Mutant, ...]
    justified: tuple[Justified, ...]
    """Of these files."""

    def unjustified(self) -> list[Mutant]:
        """Return the survivors that are not in the list."""
        return [
            mutant
            for mutant in self.mutants
            if not mutant.is_killed and not any(entry.covers(mutant) for entry in self.justified)
        ]

    def stale(self) -> list[Justified]:
        """Return the entries of the list that are no survivors (any more)."""
        survivors = [mutant for mutant in self.mutants if not mutant.is_killed]
        return [entry for entry in self.justified if not any(entry.covers(mutant) for mutant in survivors)]

    def rows(self) -> list[Row]:
        """Return a row for each file, and one for all."""
        files = sorted({mutant.file for mutant in self.mutants})
        return [
            *(
                self._count(file, [mutant for mutant in self.mutants if mutant.file == file])
                for file in files
            ),
            self._count("all", self.mutants),
        ]

    def _count(self, name: str, mutants: Sequence[Mutant]) -> Row:
        statuses = [mutant.status for mutant in mutants]
        open_ones = {id(mutant) for mutant in self.unjustified()}
        return Row(
            name,
            len(mutants),
            statuses.count(KILLED),
            statuses.count(TIMED_OUT),
            sum(not mutant.is_killed and id(mutant) not in open_ones for mutant in mutants),
        )

    def problems(self) -> list[str]:
        """Return why the run is not good enough."""
        total = self.rows()[-1]
        found = []
        if total.percent < NEEDED_PERCENT:
            found.append(f"expected at least {NEEDED_PERCENT} % killed, got {total.percent:.1f} %")
        found += [_describe(f"{mutant.status}, {mutant.name}", mutant) for mutant in self.unjustified()]
        found += [_describe("stale, for it is killed or no mutant", entry) for entry in self.stale()]
        return found


def _describe(what: str, change: Mutant | Justified) -> str:
    lines = [f"    - {line}" for line in change.before.splitlines()]
    lines += [f"    + {line}" for line in change.after.splitlines()]
    return "\n".join([f"{change.file} {change.function}: {what}", *lines])


def render_table(report: Report) -> str:
    """Return the table of a report in Markdown."""
    head = ("file", "mutants", "killed", "timed out", "survived", "of these justified", "% killed")
    lines = [head, ("---", *["--:"] * (len(head) - 1)), *(row.cells() for row in report.rows())]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def render_survivors(entries: Iterable[Justified]) -> str:
    """Return the justified survivors in Markdown."""
    return "".join(_render_survivors(list(entries)))


def _render_survivors(entries: Sequence[Justified]) -> Iterator[str]:
    for file in sorted({entry.file for entry in entries}):
        yield f"\n### {file}\n\n| where | the code | the mutant | why it cannot matter |\n|---|---|---|---|\n"
        for entry in entries:
            if entry.file == file:
                where = f"`{entry.function}`" if entry.function else "outside of functions"
                yield f"| {where} | {_cell(entry.before)} | {_cell(entry.after)} | {entry.why} |\n"


def _cell(code: str) -> str:
    return "<br>".join(f"`` {line} ``".replace("|", "\\|") for line in code.splitlines())


def write_run(page: str, text: str) -> str:
    """Return the page with the table of another run."""
    return replace_part(page, LAST_RUN, text)


def write_survivors(page: str, entries: Iterable[Justified]) -> str:
    """Return the page with the list of survivors as it is now."""
    return replace_part(page, _SURVIVORS, render_survivors(entries))
