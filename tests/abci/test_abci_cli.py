"""CometBFT's own client against the examples: what shows that the server speaks the protocol."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from abci_app.examples.counter import Counter
from abci_app.examples.kvstore import KvStore
from abci_app.examples.kvstore_storage import Storage
from tests.support.abci import AbciClient, run_server
from tests.support.tools import require_tool
from wire.tendermint.abci.types_pb2 import Request, RequestCheckTx, RequestInfo, RequestPrepareProposal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRANSPORTS = ["unix", "tcp"]

FIRST_SCRIPT = """
echo hello
info
prepare_proposal "abc=123"
process_proposal "abc==456"
process_proposal "abc=123"
finalize_block "abc=123"
commit
info
query "abc"
finalize_block "def=xyz" "ghi=123"
commit
query "def"
query "nothing"
"""

FIRST_ANSWERS = [
    ("echo hello", ["code: OK", "data: hello"]),
    ("info", ["code: OK", 'data: {"size":0}']),
    ("prepare_proposal", ["code: OK", "log: Succeeded. Tx: abc=123"]),
    ("process_proposal", ["code: OK", "status: REJECT"]),
    ("process_proposal", ["code: OK", "status: ACCEPT"]),
    ("finalize_block", ["code: OK", "code: OK"]),
    ("commit", ["code: OK"]),
    ("info", ["code: OK", 'data: {"size":1}']),
    ("query", ["code: OK", "log: exists", "key: abc", "value: 123"]),
    ("finalize_block", ["code: OK", "code: OK", "code: OK"]),
    ("commit", ["code: OK"]),
    ("query", ["code: OK", "log: exists", "key: def", "value: xyz"]),
    ("query", ["code: OK", "log: does not exist", "key: nothing"]),
]

SECOND_SCRIPT = """
check_tx "abc"
check_tx "def=567"
finalize_block "def=567"
commit
finalize_block "hello=world" "broken"
commit
finalize_block "first=second"
commit
info
"""

SECOND_ANSWERS = [
    ("check_tx", ["code: 2"]),
    ("check_tx", ["code: OK"]),
    ("finalize_block", ["code: OK", "code: OK"]),
    ("commit", ["code: OK"]),
    ("finalize_block", ["code: OK", "code: 2", "code: OK"]),
    ("commit", ["code: OK"]),
    ("finalize_block", ["code: OK", "code: OK"]),
    ("commit", ["code: OK"]),
    ("info", ["code: OK", 'data: {"size":3}']),
]


@pytest.fixture(params=TRANSPORTS)
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if request.param == "tcp":
        return "tcp://127.0.0.1:0"
    return f"unix://{tmp_path_factory.mktemp('s')}/abci.sock"


@pytest.fixture
def kvstore(tmp_path: Path) -> Iterator[KvStore]:
    storage = Storage(tmp_path)
    yield KvStore(storage)
    storage.close()


def run_cli(address: str, *arguments: str, script: str = "") -> str:
    command = [require_tool("abci-cli"), "--log_level=error", "--verbose", "--address", address, *arguments]
    result = subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def parse_session(output: str) -> list[tuple[str, list[str]]]:
    """Return command and answers of a session, without the lines that repeat others in hexadecimal."""
    session: list[tuple[str, list[str]]] = []
    for line in output.splitlines():
        if line.startswith("> "):
            session.append((line[2:].strip(), []))
        elif line.startswith("-> ") and not re.match(r"-> (\w+\.hex|height):", line):
            session[-1][1].append(line[3:])
    return session


def test_the_counter_passes_the_conformance_test_of_abci_cli(address: str) -> None:
    with run_server(Counter(), address) as running:
        output = run_cli(running.address, "test")
    assert output.count("Passed test") == 10
    assert "Failed" not in output


@pytest.mark.parametrize(
    ("script", "answers"),
    [(FIRST_SCRIPT, FIRST_ANSWERS), (SECOND_SCRIPT, SECOND_ANSWERS)],
    ids=["first", "second"],
)
def test_the_kvstore_answers_a_session_as_the_one_in_go_does(
    address: str, kvstore: KvStore, script: str, answers: list[tuple[str, list[str]]]
) -> None:
    with run_server(kvstore, address) as running:
        session = parse_session(run_cli(running.address, "batch", script=script))
    assert [answer for _, answer in session] == [answer for _, answer in answers]
    assert [command.startswith(start) for (command, _), (start, _) in zip(session, answers, strict=True)]


def test_the_counter_lets_only_numbers_in_that_may_still_come() -> None:
    with run_server(Counter()) as running, AbciClient(running.address) as client:
        codes = [
            client.call(Request(check_tx=RequestCheckTx(tx=tx))).check_tx.code
            for tx in (b"\x00", b"\x07", b"", b"\x00" * 9)
        ]
        assert codes == [0, 0, 2, 2]
        assert client.call(Request(info=RequestInfo())).info.data == "count 0"


def test_the_counter_proposes_numbers_in_the_order_in_which_they_must_come() -> None:
    request = RequestPrepareProposal(txs=[b"\x02", b"\x00", b"\x01", b""])
    assert list(Counter().prepare_proposal(request).txs) == [b"\x00", b"\x01", b"\x02"]
