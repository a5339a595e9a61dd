"""Addresses of the ABCI server, and the sockets behind them.

Whoever can connect can drive the application: a unix socket is made for its owner alone, and TCP is bound to the
loopback interface only.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from abci_app.closing import Closing
from abci_app.errors import InvalidSocketAddress, SocketInUse, SocketPathTaken, SocketPathTooLong

UNIX_PREFIX: Final = "unix://"
TCP_PREFIX: Final = "tcp://"

MAX_UNIX_PATH_BYTES: Final = 107 if sys.platform == "linux" else 103
"""Room for a path in the system's socket address, without its final zero byte."""

BACKLOG: Final = 128
OWNER_ONLY: Final = 0o600


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A loopback address.  Port 0 lets the system choose one."""

    host: str
    port: int


def parse_address(text: str) -> UnixAddress | TcpAddress:
    """Parse `unix:///path` or `tcp://host:port`.

    Raises:
      InvalidSocketAddress: it is neither, or the host is not the loopback interface.
      SocketPathTooLong: the path does not fit the system's socket addresses.

    """
    if text.startswith(UNIX_PREFIX):
        path = text.removeprefix(UNIX_PREFIX)
        size = len(os.fsencode(path))
        if not path:
            raise InvalidSocketAddress(f"expected a path after {UNIX_PREFIX}, got none")
        if size > MAX_UNIX_PATH_BYTES:
            raise SocketPathTooLong(
                f"expected a path of at most {MAX_UNIX_PATH_BYTES} bytes, got {size}: {path}"
            )
        return UnixAddress(path)
    if text.startswith(TCP_PREFIX):
        return _parse_tcp(text)
    raise InvalidSocketAddress(f"expected {UNIX_PREFIX}/path or {TCP_PREFIX}host:port, got {text!r}")


def _parse_tcp(text: str) -> TcpAddress:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
        is_loopback = host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError as error:
        raise InvalidSocketAddress(f"expected {TCP_PREFIX}host:port, got {text!r}: {error}") from None
    if host is None or port is None or not is_loopback:
        raise InvalidSocketAddress(f"expected a loopback host and a port, got {text!r}")
    return TcpAddress(host, port)


class Listener(Closing):
    """A listening socket.  A unix socket's file goes with it."""

    def __init__(self, address: str) -> None:
        parsed = parse_address(address)
        self._unix_path: str | None = None
        self._identity: tuple[int, int] | None = None
        if isinstance(parsed, UnixAddress):
            self.socket = _bind_unix(parsed.path)
            self._unix_path = parsed.path
            self._identity = _identity_of(parsed.path)
            self.address = address
        else:
            self.socket = _bind_tcp(parsed)
            bound = self.socket.getsockname()
            host = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
            self.address = f"{TCP_PREFIX}{host}:{bound[1]}"
            """The address that is really bound, with the port that the system chose."""

    def close(self) -> None:
        """Stop listening, and remove the socket's file unless another server has put its own there."""
        self.socket.close()
        if self._unix_path is not None:
            with suppress(FileNotFoundError):
                if _identity_of(self._unix_path) == self._identity:
                    os.unlink(self._unix_path)  # noqa: PTH108


def _identity_of(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _bind_unix(path: str) -> socket.socket:
    """Bind a unix socket, replacing the file of a server that is gone."""
    try:
        return _listen_unix(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise InvalidSocketAddress(f"expected to bind {path}, got {error.strerror}") from error
    _remove_stale_socket(path)
    try:
        return _listen_unix(path)
    except OSError as error:
        raise SocketInUse(f"expected to bind {path}, got {error.strerror}") from error


def _listen_unix(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(path)
        # Nobody can connect before `listen`, so there is no moment at which others could.
        os.chmod(path, OWNER_ONLY)  # noqa: PTH101
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _remove_stale_socket(path: str) -> None:
    """Remove a socket's file that nobody listens on.

    Raises:
      SocketPathTaken: the file is no socket.
      SocketInUse: somebody listens.

    """
    try:
        is_socket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not is_socket:
        raise SocketPathTaken(f"expected a socket or nothing at {path}, got another file")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog must not make us wait
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108
            return
        except OSError as error:
            raise SocketInUse(f"expected nobody to listen on {path}, got {error.strerror}") from error
    raise SocketInUse(f"expected nobody to listen on {path}, got a server that answers")


def _bind_tcp(address: TcpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A port whose last connections are still closing can be used again; one that is listened on cannot.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise SocketInUse(f"expected port {address.port} to be free, got {error.strerror}") from error
        raise InvalidSocketAddress(f"expected to bind {address.host}, got {error.strerror}") from error
    return listener
