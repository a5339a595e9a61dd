"""Expected failures over gRPC: a status, a readable text, and the registered code in the trailing metadata."""

from __future__ import annotations

from typing import Final, NoReturn

import grpc

from abci_app.errors import (
    EndpointUnreachable,
    MempoolFull,
    NodeCatchingUp,
    NodeUnavailable,
    RpcRefused,
    TooManyWaiting,
)
from tx.errors import AppError

ERROR_KEY: Final = "gradchain-error"
"""Trailing metadata key; its value is `codespace/code`."""

_CODE_DIGITS: Final = 9
"""More than any registered code has; the other end may send any number of them."""

CANNOT_NOW: Final = (
    EndpointUnreachable,
    MempoolFull,
    NodeCatchingUp,
    NodeUnavailable,
    RpcRefused,
    TooManyWaiting,
)
"""What a node answers that cannot take a transaction now, as while its CometBFT starts: another node may, or the same one
later."""


class RemoteError(AppError):
    """A refusal that was decided by another process; it keeps the registered code that it came with."""

    def __init__(self, codespace: str, code: int, message: str) -> None:
        super().__init__(message)
        self.CODESPACE = codespace  # type: ignore[misc]  # the instance speaks for another process
        self.CODE = code  # type: ignore[misc]

    def is_error(self, error_class: type[AppError]) -> bool:
        """Tell whether this is the remote form of that registered error."""
        return (self.CODESPACE, self.CODE) == (error_class.CODESPACE, error_class.CODE)


def abort(
    context: grpc.ServicerContext,
    error: AppError,
    status: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION,
) -> NoReturn:
    """End the call with an error that a client can match on."""
    abort_with(context, error.CODESPACE, error.CODE, error.message, status)


def abort_with(
    context: grpc.ServicerContext,
    codespace: str,
    code: int,
    message: str,
    status: grpc.StatusCode = grpc.StatusCode.FAILED_PRECONDITION,
) -> NoReturn:
    """End the call with a registered code that comes from another process, such as the verdict of CheckTx."""
    context.set_trailing_metadata(((ERROR_KEY, f"{codespace}/{code}"),))
    context.abort(status, f"{message} [{codespace}/{code}]")


def read_code(text: str) -> tuple[str, int] | None:
    """Return (codespace, code) of the trailing metadata's value, or None when it is none."""
    codespace, _, code = text.partition("/")
    return (codespace, int(code)) if code.isdecimal() and len(code) <= _CODE_DIGITS else None


def error_of(call: grpc.RpcError) -> tuple[str, int, str] | None:
    """Return (codespace, code, message) of a failed call, or None when it carries no registered code."""
    if not isinstance(call, grpc.Call):
        return None
    for key, value in call.trailing_metadata() or ():
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        read = read_code(text) if key == ERROR_KEY else None
        if read is not None:
            return *read, (call.details() or "").removesuffix(f" [{text}]")
    return None
