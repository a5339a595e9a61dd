from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import InvalidSocketAddress, NodeError, SocketInUse, SocketPathTaken, SocketPathTooLong
from abci_app.listener import MAX_UNIX_PATH_BYTES, Listener, TcpAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A path for a socket: test names are longer than socket paths may be."""
    return tmp_path_factory.mktemp("s") / "abci.sock"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:///tmp/a.sock", UnixAddress("/tmp/a.sock")),  # noqa: S108
        ("unix://a.sock", UnixAddress("a.sock")),
        ("tcp://127.0.0.1:26658", TcpAddress("127.0.0.1", 26658)),
        ("tcp://127.1.2.3:0", TcpAddress("127.1.2.3", 0)),
        ("tcp://localhost:1", TcpAddress("localhost", 1)),
        ("tcp://[::1]:7", TcpAddress("::1", 7)),
    ],
)
def test_an_address_is_parsed(text: str, expected: UnixAddress | TcpAddress) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unix://",
        "/tmp/a.sock",  # noqa: S108
        "tcp://",
        "tcp://127.0.0.1",
        "tcp://:26658",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:x",
        "tcp://0.0.0.0:26658",
        "tcp://192.0.2.1:26658",
        "tcp://example.org:26658",
        "tcp://[::]:7",
        "grpc://127.0.0.1:26658",
    ],
)
def test_an_address_that_is_not_a_local_socket_is_refused(text: str) -> None:
    with pytest.raises(InvalidSocketAddress):
        parse_address(text)


def test_a_path_that_does_not_fit_a_socket_address_is_refused() -> None:
    parse_address("unix:///" + "x" * (MAX_UNIX_PATH_BYTES - 1))
    with pytest.raises(SocketPathTooLong):
        parse_address("unix:///" + "x" * MAX_UNIX_PATH_BYTES)


def test_the_longest_path_can_really_be_bound(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("s")
    path = directory / ("x" * (MAX_UNIX_PATH_BYTES - len(os.fsencode(directory)) - 1))
    with Listener(f"unix://{path}"):
        assert path.is_socket()


def test_a_unix_socket_is_for_its_owner_alone_and_goes_with_its_listener(short_path: Path) -> None:
    with Listener(f"unix://{short_path}"):
        assert short_path.stat().st_mode & 0o777 == 0o600
    assert not short_path.exists()


def test_the_file_of_a_server_that_is_gone_is_replaced(short_path: Path) -> None:
    gone = socket.socket(socket.AF_UNIX)
    gone.bind(str(short_path))
    gone.close()
    assert short_path.is_socket()
    with Listener(f"unix://{short_path}"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(short_path))


def test_a_socket_that_somebody_listens_on_is_left_alone(short_path: Path) -> None:
    with Listener(f"unix://{short_path}"):
        with pytest.raises(SocketInUse):
            Listener(f"unix://{short_path}")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(short_path))


def test_a_file_that_is_no_socket_is_left_alone(short_path: Path) -> None:
    short_path.write_text("precious")
    with pytest.raises(SocketPathTaken):
        Listener(f"unix://{short_path}")
    assert short_path.read_text() == "precious"


def test_the_socket_of_another_server_is_not_removed(short_path: Path) -> None:
    first = Listener(f"unix://{short_path}")
    short_path.unlink()
    with Listener(f"unix://{short_path}"):
        first.close()
        assert short_path.is_socket()


def test_a_directory_that_does_not_exist_is_a_typed_error(short_path: Path) -> None:
    with pytest.raises(InvalidSocketAddress):
        Listener(f"unix://{short_path.parent}/missing/abci.sock")


def test_a_port_that_somebody_listens_on_is_a_typed_error() -> None:
    with Listener("tcp://127.0.0.1:0") as first, pytest.raises(SocketInUse):
        Listener(first.address)


def test_a_closed_port_can_be_bound_again_at_once() -> None:
    with Listener("tcp://127.0.0.1:0") as first:
        address = first.address
    Listener(address).close()


def test_the_port_that_the_system_chose_is_told() -> None:
    with Listener("tcp://127.0.0.1:0") as listener:
        assert listener.address == f"tcp://127.0.0.1:{listener.socket.getsockname()[1]}"


@pytest.mark.parametrize("error", [SocketInUse, SocketPathTaken, SocketPathTooLong, InvalidSocketAddress])
def test_each_error_says_how_to_cure_it(error: type[NodeError]) -> None:
    assert error.CURE
