"""What most tests of the relayer run on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.relayer import running_pair
from tests.support.relayer_cli import write_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.relayer import Pair


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    """Run a played pair of chains, linked, and write the configuration of a relayer between them."""
    with running_pair(tmp_path) as running:
        write_config(running.config)
        yield running
