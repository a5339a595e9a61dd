"""The root of the failures of the link between chains."""

from __future__ import annotations

from tx.errors import AppError


class IbcError(AppError):
    """Root of the failures of the link between chains."""

    CODESPACE = "ibc"
