"""The report on mutants: what is counted, what may survive, and what is stale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import libcst as cst
import pytest

from tools.mutation_list import InvalidListError, check_justified, read_justified
from tools.mutation_operators import OPERATORS, lift_properties
from tools.mutation_report import Report, render_survivors, render_table
from tools.mutation_results import Mutant, changed_lines

if TYPE_CHECKING:
    from pathlib import Path

    from tools.mutation_list import Justified

CODE: Final = """\
class Counter:
    def step(self, by: int) -> int:
        if by > 9:
            by = 9
        return by
"""

LIST: Final = """\
[[mutant]]
file = "ibc/program.py"
function = "Counter.step"
before = "if by > 9:"
after = "if by >= 9:"
why = "Nine stays nine."
"""


def write_repository(root: Path, text: str = LIST) -> Path:
    for name, content in (("ibc/program.py", CODE), ("tests/ibc/mutants.toml", text)):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def mutant(after: str, status: str = "survived") -> Mutant:
    return Mutant("ibc/program.py", "Counter.step", "if by > 9:", after, status, "x")


@pytest.fixture
def justified(tmp_path: Path) -> tuple[Justified, ...]:
    return tuple(read_justified(write_repository(tmp_path)))


def test_a_survivor_with_a_reason_is_no_problem(justified: tuple[Justified, ...]) -> None:
    killed = [mutant(f"if by > {number}:", "killed") for number in range(10, 29)]
    report = Report((*killed, mutant("if by >= 9:")), justified)
    assert report.problems() == []
    assert report.rows()[-1].cells() == ("all", "20", "19", "0", "1", "1", "95.0")


def test_a_survivor_without_a_reason_is_a_problem(justified: tuple[Justified, ...]) -> None:
    killed = [mutant(f"if by > {number}:", "killed") for number in range(10, 109)]
    report = Report((*killed, mutant("if by >= 9:"), mutant("if False:")), justified)
    (problem,) = report.problems()
    assert "    - if by > 9:\n    + if False:" in problem


def test_less_than_95_percent_is_a_problem_even_with_reasons(justified: tuple[Justified, ...]) -> None:
    killed = [mutant(f"if by > {number}:", "killed") for number in range(10, 28)]
    report = Report((*killed, mutant("if by >= 9:")), justified)
    assert report.problems() == ["expected at least 95.0 % killed, got 94.7 %"]


@pytest.mark.parametrize("status", ["killed", "timeout"])
def test_a_reason_for_what_is_killed_is_stale(justified: tuple[Justified, ...], status: str) -> None:
    (problem,) = Report((mutant("if by >= 9:", status),), justified).problems()
    assert "stale" in problem


def test_a_mutant_that_no_test_runs_has_survived(justified: tuple[Justified, ...]) -> None:
    assert Report((mutant("if False:", "no tests"),), ()).rows()[-1].survived == 1


def test_a_table_has_a_row_for_each_file_and_one_for_all() -> None:
    other = Mutant("ibc/other.py", "f", "a", "b", "timeout", "x")
    table = render_table(Report((mutant("c", "killed"), other), ()))
    assert table.splitlines()[2:] == [
        "| ibc/other.py | 1 | 0 | 1 | 0 | 0 | 100.0 |",
        "| ibc/program.py | 1 | 1 | 0 | 0 | 0 | 100.0 |",
        "| all | 2 | 1 | 1 | 0 | 0 | 100.0 |",
    ]


def test_survivors_are_shown_with_their_reasons(justified: tuple[Justified, ...]) -> None:
    assert "| `Counter.step` | `` if by > 9: `` | `` if by >= 9: `` | Nine stays nine. |" in render_survivors(
        justified
    )


def test_a_good_list_has_no_problems(tmp_path: Path) -> None:
    root = write_repository(tmp_path)
    assert check_justified(root, read_justified(root)) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("ibc/program.py", "ibc/gone.py", "expected a file, got none"),
        ("Counter.step", "Counter.walk", "expected the lines as in the code"),
        ("if by > 9:", "if by > 8:", "expected the lines as in the code"),
    ],
)
def test_an_entry_that_does_not_fit_the_code_is_found(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    root = write_repository(tmp_path, LIST.replace(old, new, 1))
    (found,) = check_justified(root, read_justified(root))
    assert problem in found


def test_an_entry_that_stands_there_twice_is_found(tmp_path: Path) -> None:
    root = write_repository(tmp_path, LIST + LIST)
    (found,) = check_justified(root, read_justified(root))
    assert "expected once, got again" in found


@pytest.mark.parametrize(
    "text",
    [
        "[[mutant]]\n",
        LIST + 'more = "text"\n',
        LIST.replace('"Nine stays nine."', "9"),
        LIST.replace("Nine stays nine.", ""),
        "[[mutants]]\n",
        "[[",
    ],
    ids=["no keys", "another key", "no text", "no reason", "another table", "no TOML"],
)
def test_a_malformed_list_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidListError):
        read_justified(write_repository(tmp_path, text))


def test_the_changed_lines_of_a_diff_are_told_apart() -> None:
    diff = "--- a\n+++ a\n@@ -1,2 +1,2 @@\n def f():\n-    return 1\n+    return 2"
    assert changed_lines(diff) == ("return 1", "return 2")


def mutate(source: str, kind: type[cst.CSTNode]) -> list[str]:
    """Return the code of every mutant of the nodes of a kind."""
    (operator,) = (operator for node_kind, operator in OPERATORS if node_kind is kind)
    module = cst.parse_module(source)
    found: list[str] = []

    class Visitor(cst.CSTVisitor):
        def on_visit(self, node: cst.CSTNode) -> bool:
            if isinstance(node, kind):
                found.extend(
                    changed.code
                    for mutated in operator(node)
                    if isinstance(changed := module.deep_replace(node, mutated), cst.Module)
                )
            return True

    module.visit(Visitor())
    return found


@pytest.mark.parametrize(
    ("kind", "source", "mutants"),
    [
        (cst.Expr, "check(x)\n'text'\n", ["pass\n'text'\n"]),
        (cst.If, "if a:\n    b()\n", ["if False:\n    b()\n"]),
        (cst.BooleanOperation, "x = a or b\n", ["x = (a)\n", "x = (b)\n"]),
        (cst.CompIf, "x = [a for a in b if a]\n", ["x = [a for a in b if True]\n"]),
    ],
)
def test_a_rule_is_taken_out(kind: type[cst.CSTNode], source: str, mutants: list[str]) -> None:
    assert mutate(source, kind) == mutants


def test_a_property_is_made_after_its_function() -> None:
    source = "class A:\n    @property\n    def size(self) -> int:\n        return 1\n"
    lifted = "class A:\n    def size(self) -> int:\n        return 1\n    size = property(size)\n"
    assert lift_properties(source) == lifted
    assert lift_properties(CODE) == CODE
