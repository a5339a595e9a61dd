"""A process whose application fails in FinalizeBlock."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from abci_app.errors import ApplicationFailed
from abci_app.server import BaseApplication, serve

if TYPE_CHECKING:
    from wire.tendermint.abci import types_pb2


class FailingApplication(BaseApplication):
    """Works but for one call."""

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        """Fail as a defect would."""
        raise ZeroDivisionError("the password is swordfish")


if __name__ == "__main__":
    try:
        serve(FailingApplication(), sys.argv[1])
    except ApplicationFailed:
        sys.exit(1)
