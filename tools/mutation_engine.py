"""Make mutants of the folder that it is started in, run its tests on each, and write down what became of them.

mutmut mutates the functions and runs the tests that call them: `run_mutmut`.  It changes operators, numbers, texts and
arguments; `tools/mutation_operators.py` adds mutants that take rules out.  What stands outside of functions mutmut
leaves alone, so `run_constants` tries that with fresh processes.

`tools/mutation.py` starts this in a folder that holds the code, the tests and `pyproject.toml`, because mutmut reads
its settings from there when it is imported.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from mutmut import __main__ as mutmut_program
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.mutators import mutation_operators
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

from tools.mutation_constants import STATS, run_constants
from tools.mutation_operators import OPERATORS, lift_properties
from tools.mutation_results import FUNCTIONS, KILLED, TIMED_OUT, Mutant, changed_lines
from tools.mutation_session import SessionForkRunner

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def run_functions(names: Sequence[str], *, again: bool) -> None:
    """Run the mutants whose names match, or those that have not been run yet; write what is known of all."""
    # Which tests call which function may have changed since.
    Path(STATS).unlink(missing_ok=True)
    for path in walk_mutatable_files():
        if again:
            _forget_survivors(path)
        source = path.read_text()
        lifted = lift_properties(source)
        if lifted != source:
            path.write_text(lifted)
    mutation_operators.extend(OPERATORS)  # type: ignore[attr-defined]
    vars(mutmut_program)["get_mutant_runner"] = SessionForkRunner
    mutmut_program._run(tuple(names), 1)  # noqa: SLF001 - what `mutmut run` calls, in the process with the operators
    Path(FUNCTIONS).write_text(json.dumps([asdict(mutant) for mutant in read_mutants()], indent=1))


def _forget_survivors(path: Path) -> None:
    data = SourceFileMutationData(path=path)
    data.load()
    if data.exit_code_by_key:
        for name, exit_code in data.exit_code_by_key.items():
            if status_by_exit_code[exit_code] not in {KILLED, TIMED_OUT}:
                data.exit_code_by_key[name] = None
        data.save()


def read_mutants() -> Iterator[Mutant]:
    """Yield every mutant that mutmut has tried."""
    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            if exit_code is None:
                continue
            function, owner = orig_function_and_class_names_from_key(name)
            before, after = changed_lines(get_diff_for_mutant(name, path=path))
            yield Mutant(
                file=str(path),
                function=f"{owner}.{function}" if owner else function,
                before=before,
                after=after,
                status=status_by_exit_code[exit_code],
                name=name,
            )


def main() -> int:
    """Run one of the two stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=["functions", "constants"])
    parser.add_argument("names", nargs="*", help="patterns of mutants, or files")
    parser.add_argument(
        "--again", action="store_true", help="only what survived the last run, or has changed"
    )
    options = parser.parse_args()
    if options.stage == "functions":
        run_functions(options.names, again=options.again)
    else:
        files = [Path(name) for name in options.names] or sorted(walk_mutatable_files())
        run_constants(files, again=options.again)
    return 0


if __name__ == "__main__":
    sys.exit(main())
