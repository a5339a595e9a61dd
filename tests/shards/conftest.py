from __future__ import annotations

import pytest

from abci_app.context import Services
from tests.support.aggregation import shared_setup


@pytest.fixture
def services() -> Services:
    return Services(shared_setup())
