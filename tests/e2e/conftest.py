"""Networks and runs of the demo that several tests look at: each is made once, and only if a test needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.e2e import run_demo
from tests.support.e2e_network import small_network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.e2e import DemoRun
    from tests.support.e2e_network import SmallNetwork

QUIET_ROUNDS = 6


@pytest.fixture(scope="session")
def quiet_demo(tmp_path_factory: pytest.TempPathFactory) -> DemoRun:
    """A demo without faults, on two shards."""
    return run_demo(tmp_path_factory.mktemp("quiet"), "--rounds", str(QUIET_ROUNDS))


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallNetwork]:
    """A network that tests share; each makes keys and tasks of its own."""
    with small_network(tmp_path_factory.mktemp("network")) as running:
        yield running
