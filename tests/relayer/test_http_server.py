"""The relayer's HTTP server: metrics, the way of packets, the log level; on loopback, for loopback."""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

import pytest

from abci_app.endpoint import Endpoint
from cli.errors import Exit
from relayer.errors import PortTaken
from relayer.http_server import RelayServer
from relayer.journal import Journal
from relayer.logs import current_level, set_up_logs
from relayer.metrics import RelayMetrics
from tests.relayer.test_cli import start
from tests.support.ports import free_ports
from tests.support.relayer import ended
from tests.support.relayer_cli import run, run_json, write_config
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.relayer import Pair


@dataclass(frozen=True)
class Answer:
    status: int
    kind: str
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, host: str | None = None
) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Host": host} if host else {})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers["Content-Type"], answer.read())
    finally:
        connection.close()


@contextmanager
def served(directory: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    journal = directory / "relayer.db"
    Journal(journal).close()
    with RelayServer(Endpoint("127.0.0.1", port), journal, RelayMetrics().registry):
        yield port


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with served(tmp_path) as found:
        yield found


def test_metrics_are_served_in_prometheus_form(port: int) -> None:
    answer = ask(port, "/metrics")
    assert answer.status == 200
    assert answer.kind.startswith("text/plain")
    assert b"gradchain_relayer_open" in answer.body


def test_the_root_lists_the_paths(port: int) -> None:
    assert any("/packets" in route for route in ask(port, "/").json["routes"])


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nothing", 400, "relayer/15"),
        ("/packets/hub-1/07-tendermint-0/1", 404, "relayer/16"),
        ("/packets/hub-1/07-tendermint-0/x", 400, "relayer/15"),
        ("/packets/hub-1/07-tendermint-0/0", 400, "relayer/15"),
        ("/packets/hub-1/07-tendermint-0/99999999999999999999", 400, "relayer/15"),
        (f"/packets/hub-1/07-tendermint-0/{'9' * 5_000}", 400, "relayer/15"),
        (f"/packets?limit={'9' * 5_000}", 400, "relayer/15"),
        ("/packets?stage=lost", 400, "relayer/15"),
        ("/packets?limit=0", 400, "relayer/15"),
        ("/packets?limits=5", 400, "relayer/15"),
        ("/packets?stage", 400, "relayer/15"),
        ("/packets?limit=9999", 400, "relayer/15"),
    ],
)
def test_a_wrong_question_is_answered_with_a_code_and_a_cure(
    port: int, path: str, status: int, code: str
) -> None:
    answer = ask(port, path)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["cure"]


def test_without_packets_the_list_is_empty(port: int) -> None:
    assert ask(port, "/packets?stage=seen&limit=5").json == {"packets": []}


def test_a_page_under_another_name_gets_nothing(port: int) -> None:
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example:80", "[", "[::1"):
        assert ask(port, "/packets", host=host).status == 400
    for host in (f"localhost:{port}", "localhost", "127.0.0.1", f"[::1]:{port}"):
        assert ask(port, "/packets", host=host).status == 200


def test_the_log_level_changes_at_once(port: int) -> None:
    before = current_level()
    try:
        assert ask(port, "/log-level", "PUT", b"debug\n").json == {"level": "debug"}
        assert (ask(port, "/log-level").json["level"], current_level()) == ("debug", "debug")
    finally:
        set_up_logs("text", before)


def test_the_log_says_to_which_level_it_was_changed(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    before = current_level()
    try:
        set_up_logs("json", "info")
        assert ask(port, "/log-level", "PUT", b"debug").status == 200
    finally:
        set_up_logs("text", before)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["now"] for line in lines if line["event"] == "log level changed"] == ["debug"]


@pytest.mark.parametrize("body", [b"loud", b"", b"\xff", b"x" * 5_000])
def test_what_is_no_log_level_changes_nothing(port: int, body: bytes) -> None:
    before = current_level()
    assert ask(port, "/log-level", "PUT", body).status == 400
    assert current_level() == before


def test_a_length_that_is_no_number_of_bytes_is_refused(port: int) -> None:
    for length in ("9" * 5_000, "x", "-1", ""):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("PUT", "/log-level", b"", {"Content-Length": length})
        assert connection.getresponse().status == 400
        connection.close()


def test_an_address_in_use_is_an_error_with_a_cure(port: int, tmp_path: Path) -> None:
    with pytest.raises(PortTaken, match=str(port)):
        RelayServer(Endpoint("127.0.0.1", port), tmp_path / "relayer.db", RelayMetrics().registry)


def test_a_packet_shows_each_stage_with_its_transactions_while_the_relayer_runs(pair: Pair) -> None:
    (port,) = free_ports(1)
    write_config(replace(pair.config, http=Endpoint("127.0.0.1", port)))
    with start(pair) as process:
        pair.send_from_hub()
        eventually(lambda: ended(pair.hub) == ["acknowledged"], "an acknowledgement")
        path = "/packets/hub-1/07-tendermint-0/1"
        eventually(lambda: ask(port, path).json.get("stage") == "acknowledged", "the end of the packet")
        # The outcome of a transaction may be heard after the block that made it moved the packet on.
        eventually(
            lambda: {move["tx_state"] for move in ask(port, path).json["moves"]} == {"", "included"},
            "the outcomes",
        )
        found = ask(port, path).json
        sampled = (b"gradchain_relayer_balance{", b'gradchain_relayer_node_up{chain="hub-1"')
        eventually(lambda: all(name in ask(port, "/metrics").body for name in sampled), "a sample")
        assert run(pair, "log-level", "debug").stdout == "debug\n"
        assert run_json(pair, "log-level") == {"level": "debug"}
        process.terminate()
        process.communicate(timeout=30)
    moves = {move["stage"]: move for move in found["moves"]}
    assert list(moves) == [
        "seen",
        "proved",
        "submitted",
        "committed",
        "ack_proved",
        "ack_submitted",
        "acknowledged",
    ]
    for stage in ("submitted", "ack_submitted"):
        assert len(moves[stage]["tx_hash"]) == 64
        assert moves[stage]["tx_height"] > 0
    assert found["ended"]
    told = {
        move["stage"]: move
        for move in run_json(pair, "packet", "--chain", "hub-1", "--sequence", "1")["moves"]
    }
    # The command asks the chain as well, for the transaction that delivered the packet.
    assert told.pop("committed")["tx_hash"] == moves["submitted"]["tx_hash"]
    assert moves.pop("committed")["tx_hash"] == ""
    assert told == moves
    said = run(pair, "packet", "--chain", "hub-1", "--sequence", "1").stdout
    assert re.match(r".*#1: acknowledged, seen \d+ s ago, failed attempts: 0\n", said)
    assert "ack_submitted" in said


def test_without_an_address_the_setting_is_at_fault_and_no_node(pair: Pair) -> None:
    result = run(pair, "log-level", "debug")
    assert result.exit_code == Exit.ENVIRONMENT
    assert "[relayer/7]" in result.stderr
    assert "cure: Set `http` in `[relayer]`" in result.stderr


def test_without_a_relayer_its_commands_say_so(pair: Pair) -> None:
    (port,) = free_ports(1)
    write_config(replace(pair.config, http=Endpoint("127.0.0.1", port)))
    result = run(pair, "log-level", "debug")
    assert result.exit_code == Exit.UNREACHABLE
    assert "the relayer does not run [relayer/17]" in result.stderr
    assert "cure: Start the relayer" in result.stderr
    assert "Set `http`" not in result.stderr
    assert run(pair, "packet", "--chain", "hub-1", "--sequence", "1").exit_code == Exit.ENVIRONMENT
    with Journal(pair.config.journal):
        assert f"the relayer runs as process {os.getpid()} [relayer/17]" in run(pair, "log-level").stderr


def test_a_relayer_whose_address_is_taken_ends_with_the_reason(pair: Pair) -> None:
    with served(pair.directory / "hub") as port:
        write_config(replace(pair.config, http=Endpoint("127.0.0.1", port)))
        with start(pair) as process:
            _, logged = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "[relayer/14]" in logged
