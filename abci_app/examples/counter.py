"""The smallest stateful application: transactions are the numbers 0, 1, 2, ... in this order.

`abci-cli test`, CometBFT's conformance test for servers, expects exactly this behaviour.  (Its expectations date from
a counter that CometBFT itself no longer ships; the Go kvstore example does not pass it.)  Nothing is kept on disk:
CometBFT replays all blocks when the process starts again.

    python -m abci_app.examples.counter --address unix:///tmp/counter.sock
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from abci_app.interface import BaseApplication, choose_that_fit
from abci_app.server import serve
from tx.errors import AppError
from wire.tendermint.abci import types_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

OK: Final = 0
BAD_NUMBER: Final = 2
"""Code of a transaction that is not the next number."""

MAX_NUMBER_BYTES: Final = 8


class Counter(BaseApplication):
    """Counts.  A transaction is a number in big-endian bytes, of any length up to eight."""

    def __init__(self) -> None:
        self._committed = (0, 0)
        """Height and count of the last commit; replaced as a whole, so that readers need no lock."""
        self._finalized = (0, 0)

    def info(self, request: types_pb2.RequestInfo) -> types_pb2.ResponseInfo:  # noqa: ARG002
        """Tell height and count."""
        height, count = self._committed
        return types_pb2.ResponseInfo(
            data=f"count {count}", last_block_height=height, last_block_app_hash=hash_count(count)
        )

    def check_tx(self, request: types_pb2.RequestCheckTx) -> types_pb2.ResponseCheckTx:
        """Let numbers in that may still come."""
        return types_pb2.ResponseCheckTx(code=check_number(request.tx, self._committed[1], is_next=False))

    def prepare_proposal(
        self, request: types_pb2.RequestPrepareProposal
    ) -> types_pb2.ResponsePrepareProposal:
        """Propose what may still come, in the order in which it must."""
        count = self._committed[1]
        possible = (tx for tx in request.txs if check_number(tx, count, is_next=False) == OK)
        ordered = sorted(possible, key=lambda tx: int.from_bytes(tx, "big"))
        return types_pb2.ResponsePrepareProposal(txs=choose_that_fit(ordered, request.max_tx_bytes))

    def finalize_block(self, request: types_pb2.RequestFinalizeBlock) -> types_pb2.ResponseFinalizeBlock:
        """Count every transaction that is the next number."""
        count = self._committed[1]
        codes = []
        for tx in request.txs:
            code = check_number(tx, count, is_next=True)
            count += code == OK
            codes.append(code)
        self._finalized = (request.height, count)
        return types_pb2.ResponseFinalizeBlock(
            tx_results=[types_pb2.ExecTxResult(code=code) for code in codes], app_hash=hash_count(count)
        )

    def commit(self, request: types_pb2.RequestCommit) -> types_pb2.ResponseCommit:  # noqa: ARG002
        """Publish the count."""
        self._committed = self._finalized
        return types_pb2.ResponseCommit()


def check_number(tx: bytes, count: int, *, is_next: bool) -> int:
    """Return the code of a transaction: it must be the next number, or at least not a past one."""
    if not 1 <= len(tx) <= MAX_NUMBER_BYTES:
        return BAD_NUMBER
    number = int.from_bytes(tx, "big")
    return OK if number == count or (number > count and not is_next) else BAD_NUMBER


def hash_count(count: int) -> bytes:
    """Return the app hash: nothing for zero, else the count itself."""
    return count.to_bytes(8, "big") if count else b""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a counter until the process is told to stop."""
    parser = argparse.ArgumentParser(prog="counter", description="The counter example of the ABCI server.")
    parser.add_argument("--address", required=True, help="unix:///path or tcp://127.0.0.1:port")
    options = parser.parse_args(arguments)
    try:
        serve(Counter(), options.address)
    except AppError as error:
        print(f"counter: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
