"""Settings for all tests."""

from __future__ import annotations

import signal
import tempfile
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import Phase, settings

import abci_app  # noqa: F401  # sets what gRPC reads when it is imported
from tests.support.differential import PROPERTY, describe_report

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes depends on what else the machine does: no test may fail because of it.
settings.register_profile("gradchain", deadline=None)
settings.load_profile("gradchain")
# For `./run mutate`: thousands of short runs, each like the one before.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=20,
    phases=(Phase.explicit, Phase.generate),
)


def pytest_configure() -> None:
    """Let tests interrupt what they start: a shell starts what it runs in the background with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many cases were judged side by side with reference implementations.

    It stands here as the process that distributes the tests among others loads no settings of folders below.
    """
    for test in terminalreporter.getreports("passed"):
        for name, value in test.user_properties:
            if name == PROPERTY:
                terminalreporter.write_line(describe_report(str(value)))


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give what tests start a temporary directory that ends with them: some of it is killed and cleans nothing up.

    Its path is short, as sockets need it.
    """
    # pytest's own directory is chosen before, and stays to be looked at.
    tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(prefix="gc-") as directory, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", directory)
        patch.setattr(tempfile, "tempdir", directory)
        yield


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Undo what a test has told the log: commands send it to the streams of their own run."""
    yield
    structlog.reset_defaults()
