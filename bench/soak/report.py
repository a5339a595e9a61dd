"""The three forms of the record of a soak: tables for a terminal, JSON for machines, Markdown for the docs."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from abci_app.table import print_table
from bench.soak.schedule import Victim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.soak.figures import Direction, FaultRecord, SoakRecord


@dataclass(frozen=True, slots=True)
class Table:
    """Cells under columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


PACKET_COLUMNS: Final = (
    "from", "to", "asked", "sent", "received", "acknowledged", "timed out", "receipts", "acks", "open", "repeated",
    "failed", "p50", "p99", "longest",
)  # fmt: skip
FAULT_COLUMNS: Final = ("killed", "process", "kills", "away", "back after", "longest", "relayed meanwhile")


def build_tables(record: SoakRecord) -> tuple[Table, ...]:
    """Return what people read of a record."""
    return (
        Table("Run", ("", ""), _run_rows(record)),
        Table(
            "Packets (latency in blocks of the receiving chain)",
            PACKET_COLUMNS,
            (*map(_direction_row, record.directions), _total_row(record.directions)),
        ),
        Table("Kills (medians, in seconds)", FAULT_COLUMNS, _fault_rows(record.faults)),
        Table(
            "Checks",
            ("check", "expected", "got", ""),
            tuple(
                (check.name, check.expected, check.got, "holds" if check.passed else "FAILS")
                for check in record.checks
            ),
        ),
    )


def _run_rows(record: SoakRecord) -> tuple[tuple[str, ...], ...]:
    blocks = ", ".join(f"{chain} {time:.0f} ms" for chain, time in record.block_ms.items())
    warnings = ", ".join(f"{name}: {count}" for name, count in record.relayer_warnings.items()) or "none"
    first, last = record.last_life[:1], record.last_life[-1:]
    memory = "not seen"
    if first and last:
        peak = max(sample.mib for sample in record.memory)
        memory = (
            f"{first[0].mib:.1f} MiB at {first[0].at_s:.0f} s, {last[0].mib:.1f} MiB at {last[0].at_s:.0f} s; "
            f"peak of all {record.memory[-1].life} lives {peak:.1f} MiB"
        )
    return (
        *((fact.name, fact.value) for fact in record.machine),
        ("seed", str(record.seed)),
        ("load", f"{record.load_s:.0f} s, {record.rate:g} packets a second of 256 bytes"),
        ("until nothing was open", f"{record.drain_s:.1f} s after the last packet"),
        ("nodes", ", ".join(record.nodes)),
        ("mean block times", blocks),
        ("relayer, memory of its last life", memory),
        ("relayer, warnings in its log", warnings),
        ("result", "all checks hold" if record.passed else "CHECKS FAIL"),
    )


def _direction_row(direction: Direction) -> tuple[str, ...]:
    found = direction.latency
    latencies = ("", "", "") if found is None else (f"{found.p50:g}", f"{found.p99:g}", f"{found.longest:g}")
    return (direction.source, direction.destination, *map(str, _counts(direction)), *latencies)


def _counts(direction: Direction) -> tuple[int, ...]:
    return (
        direction.asked,
        direction.sent,
        direction.received,
        direction.acknowledged,
        direction.timed_out,
        direction.receipts,
        direction.acknowledgements,
        direction.open,
        direction.repeated,
        direction.failed,
    )


def _total_row(directions: Sequence[Direction]) -> tuple[str, ...]:
    sums = [sum(column) for column in zip(*map(_counts, directions), strict=True)]
    return ("all", "", *map(str, sums), "", "", "")


def _fault_rows(faults: Sequence[FaultRecord]) -> tuple[tuple[str, ...], ...]:
    rows = []
    for victim in Victim:
        for process in ("", "app", "comet", "both"):
            some = [fault for fault in faults if (fault.victim, fault.process) == (victim.value, process)]
            if some:
                rows.append(
                    (
                        victim.value,
                        process,
                        str(len(some)),
                        f"{median(fault.down_s for fault in some):.1f}",
                        f"{median(fault.recovered_s for fault in some):.1f}",
                        f"{max(fault.recovered_s for fault in some):.1f}",
                        str(sum(fault.relayed for fault in some)),
                    )
                )
    return tuple(rows)


def print_record(record: SoakRecord) -> None:
    """Print the tables, the kills one by one among them."""
    print_table(
        ("at s", "killed", "node", "process", "away s", "back after s", "relayed meanwhile"),
        [
            (
                f"{fault.at_s:.1f}",
                fault.victim,
                fault.node,
                fault.process,
                f"{fault.down_s:.1f}",
                f"{fault.recovered_s:.1f}",
                str(fault.relayed),
            )
            for fault in record.faults
        ],
    )
    for table in build_tables(record):
        print_table(table.columns, table.rows, f"\n{table.title}")


def record_to_json(record: SoakRecord) -> str:
    """Return everything as JSON; the names are those of the fields."""
    document = dataclasses.asdict(record) | {"passed": record.passed}
    return json.dumps(document, indent=1) + "\n"


def record_to_markdown(record: SoakRecord) -> str:
    """Return the record as it stands in the docs: without checks that hold, of which there are many."""
    held = sum(check.passed for check in record.checks)
    lines = [f"Started {record.started}; of {len(record.checks)} checks {held} hold.", ""]
    for table in build_tables(record):
        rows = [row for row in table.rows if row[-1] != "holds"]
        if not rows:
            continue
        lines += [
            f"**{table.title}**",
            "",
            f"| {' | '.join(table.columns)} |",
            "|---" * len(table.columns) + "|",
        ]
        lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows] + [""]
    return "\n".join(lines)
