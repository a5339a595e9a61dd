"""A runner for mutmut that collects the tests once, so that a mutant costs a fork and its tests, and nothing else.

mutmut starts pytest anew in each fork, which takes longer than most of these tests.
"""

from __future__ import annotations

import gc
from functools import _lru_cache_wrapper
from typing import TYPE_CHECKING, Final

from _pytest.config import _prepareconfig
from _pytest.main import Session
from mutmut.configuration import config
from mutmut.runners.harness import PytestRunner
from mutmut.state import state
from mutmut.utils.file_utils import change_cwd
from mutmut.workers.isolation import ForkRunner, run_in_fork

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

# Nothing is captured or reported: only whether a test fails counts, and a fork must not write to our output.
_ARGUMENTS: Final = (
    "--rootdir=.",
    "--capture=no",
    "-p",
    "no:terminal",
    "-p",
    "no:randomly",
    "-p",
    "no:xdist",
)


class SessionRunner(PytestRunner):
    """Runs tests of one session of pytest, in forks of it."""

    def __init__(self) -> None:
        super().__init__()
        self._items: dict[str, pytest.Item] = {}
        self._session: Session | None = None

    def collect(self) -> None:
        """Collect all tests; nothing has been mutated yet."""
        settings = config()
        selected = [*settings.pytest_add_cli_args_test_selection, *settings.pytest_add_cli_args]
        with change_cwd("mutants"):
            pytest_config = _prepareconfig([*_ARGUMENTS, *selected])
            # Nobody reads how a test fails, and to write it down takes longer than the test.
            pytest_config.option.tbstyle = "line"
            pytest_config._do_configure()  # noqa: SLF001 - what pytest.main does before a session
            self._session = Session.from_config(pytest_config)
            pytest_config.hook.pytest_sessionstart(session=self._session)
            pytest_config.hook.pytest_collection(session=self._session)
        self._items = {item.nodeid: item for item in self._session.items}

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        """Run tests until one fails, and return 1 then; without a mutant, in the way of mutmut."""
        if self._session is None:
            return super().run_tests(mutant_name=mutant_name, tests=tests)
        items = [self._items[test] for test in tests]
        with change_cwd("mutants"):
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if self._session.testsfailed:
                    return 1
        return 0

    def run_all(self) -> int:
        """Run every test, the fastest first as for a mutant."""
        durations = state().duration_by_test
        return self.run_tests(mutant_name="", tests=sorted(self._items, key=lambda test: durations[test]))


class SessionForkRunner(ForkRunner):
    """mutmut's runner with forks, whose tests are collected once before the first of them."""

    def __init__(self, max_workers: int) -> None:
        self._tests = SessionRunner()
        super().__init__(max_workers, self._tests)

    def startup(self) -> None:
        """Collect the tests, and see that they pass in this way without a mutant."""
        self._tests.collect()
        if run_in_fork(self._tests.run_all) != 0:
            raise SystemExit("expected the tests to pass on the code as it is, got a failure")
        clear_caches()
        super().startup()


def clear_caches() -> None:
    """Forget what helpers of the tests have computed with the code as it is."""
    for found in gc.get_objects():
        if isinstance(found, _lru_cache_wrapper) and str(getattr(found, "__module__", "")).startswith(
            "tests."
        ):
            found.cache_clear()
