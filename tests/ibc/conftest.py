"""What holds for every refusal that a test of this folder provokes."""

from __future__ import annotations

import re
from typing import Final

import pytest

from ibc.errors import IbcError
from tx.errors import AppError

MESSAGE: Final = re.compile(r"([^:]+: )?expected .+, got .*", re.DOTALL)


@pytest.fixture(autouse=True)
def _every_refusal_says_what_was_expected_and_what_was_got(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_message(self: IbcError, message: str) -> None:
        assert MESSAGE.fullmatch(message), message
        AppError.__init__(self, message)

    monkeypatch.setattr(IbcError, "__init__", check_message)
