from __future__ import annotations

import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abci_app.backend import BACKENDS, RECORD_FILE, Backend, open_backend
from abci_app.errors import (
    BackendMismatch,
    BackendUnavailable,
    CorruptState,
    HomeLocked,
    StoreClosed,
    UnknownBackend,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
KEYS = st.lists(st.sampled_from([0x00, 0x61, 0xFF]), min_size=1, max_size=3).map(bytes)
BATCHES = st.dictionaries(KEYS, st.none() | st.binary(min_size=1, max_size=3), max_size=8)


@pytest.fixture(params=BACKENDS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    opened = open_backend(tmp_path / "home", request.param)
    yield opened
    opened.close()


def apply(model: dict[bytes, bytes], writes: dict[bytes, bytes | None]) -> dict[bytes, bytes]:
    changed = {**model, **writes}
    return {key: value for key, value in changed.items() if value is not None}


@given(st.lists(BATCHES, max_size=6), KEYS | st.just(b""))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_snapshot_keeps_its_content(
    database: Backend, batches: list[dict[bytes, bytes | None]], prefix: bytes
) -> None:
    database.write(dict.fromkeys((key for key, _ in database.snapshot().scan(b"")), None))
    model: dict[bytes, bytes] = {}
    versions = [(database.snapshot(), model)]
    for batch in batches:
        database.write(batch)
        model = apply(model, batch)
        versions.append((database.snapshot(), model))
    for snapshot, content in versions:
        expected = [(key, value) for key, value in sorted(content.items()) if key.startswith(prefix)]
        assert list(snapshot.scan(prefix)) == expected
        for key in {key for batch in batches for key in batch}:
            assert snapshot.get(key) == content.get(key)
    for key in {key for batch in batches for key in batch}:
        assert database.get(key) == model.get(key)


def test_a_scan_that_has_begun_does_not_see_later_writes(database: Backend) -> None:
    database.write({b"k%04d" % number: b"old" for number in range(1000)})
    scan = database.snapshot().scan(b"k")
    first = next(scan)
    database.write({b"k%04d" % number: b"new" if number % 2 else None for number in range(1000)})
    assert [first, *scan] == [(b"k%04d" % number, b"old") for number in range(1000)]


def test_two_scans_of_a_snapshot_do_not_disturb_each_other(database: Backend) -> None:
    database.write({b"k%04d" % number: b"v" for number in range(700)})
    snapshot = database.snapshot()
    pairs = list(zip(snapshot.scan(b"k"), snapshot.scan(b"k"), strict=True))
    assert len(pairs) == 700
    assert all(one == other for one, other in pairs)


def test_a_scan_stops_at_the_end_of_its_prefix(database: Backend) -> None:
    database.write({b"a\xff": b"1", b"a\xff\xff": b"2", b"b": b"3", b"a": b"4"})
    assert [key for key, _ in database.snapshot().scan(b"a\xff")] == [b"a\xff", b"a\xff\xff"]


def test_other_threads_read_whole_batches_while_one_writes(database: Backend) -> None:
    stop = threading.Event()
    torn: list[list[bytes]] = []

    def read() -> None:
        while not stop.is_set():
            snapshot = database.snapshot()
            values = {snapshot.get(b"first") or b"", snapshot.get(b"last") or b""}
            values |= {value for _, value in snapshot.scan(b"")}
            if len(values - {b""}) > 1:
                torn.append(sorted(values))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(150):
        database.write(dict.fromkeys([b"first", *(b"k%d" % i for i in range(20)), b"last"], b"%d" % number))
    stop.set()
    for reader in readers:
        reader.join()
    assert torn == []


def test_threads_share_one_snapshot(database: Backend) -> None:
    content = [(b"k%04d" % number, b"%d" % number) for number in range(600)]
    database.write(dict(content))
    snapshot = database.snapshot()
    wrong: list[int] = []

    def read(seed: int) -> None:
        numbers = range(seed, 600, 7)
        wrong.extend(number for number in numbers if snapshot.get(b"k%04d" % number) != b"%d" % number)
        if list(snapshot.scan(b"k")) != content:
            wrong.append(-1)

    readers = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_content_survives_a_reopening(database: Backend, tmp_path: Path) -> None:
    database.write({b"key": b"value", b"gone": b"1"})
    database.write({b"gone": None})
    database.close()
    reopened = open_backend(tmp_path / "home", None)
    assert (reopened.name, list(reopened.snapshot().scan(b""))) == (database.name, [(b"key", b"value")])
    reopened.close()


def test_a_closed_database_refuses_every_call(database: Backend) -> None:
    database.write({b"key": b"value"})
    snapshot = database.snapshot()
    scan = snapshot.scan(b"")
    database.close()
    database.close()
    calls = (
        lambda: database.get(b"key"),
        database.snapshot,
        lambda: database.write({b"key": b"other"}),
        lambda: snapshot.get(b"key"),
        lambda: next(scan),
    )
    for call in calls:
        with pytest.raises(StoreClosed):
            call()


def test_closing_waits_for_readers_and_stops_them(database: Backend) -> None:
    database.write({b"k%05d" % number: b"v" for number in range(5000)})
    snapshot = database.snapshot()
    outcomes: list[str] = []
    started = threading.Barrier(4)

    def read() -> None:
        started.wait()
        try:
            while True:
                for _ in snapshot.scan(b"k"):
                    pass
        except StoreClosed:
            outcomes.append("closed")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    started.wait()
    database.close()
    for reader in readers:
        reader.join()
    assert outcomes == ["closed"] * 3


def test_a_second_opening_in_this_process_is_refused(database: Backend, tmp_path: Path) -> None:
    with pytest.raises(HomeLocked, match="expected to open the database"):
        open_backend(tmp_path / "home", None)


def test_a_second_process_is_refused(database: Backend, tmp_path: Path) -> None:
    script = "import sys, pathlib; from abci_app.backend import open_backend; open_backend(pathlib.Path(sys.argv[1]), None)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "home")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "HomeLocked" in done.stderr


def test_a_new_home_takes_the_first_database_and_records_it(tmp_path: Path) -> None:
    opened = open_backend(tmp_path / "home", None)
    opened.close()
    expected = BACKENDS[0] if find_spec(BACKENDS[0]) else BACKENDS[1]
    assert (opened.name, (tmp_path / "home" / RECORD_FILE).read_text()) == (expected, f"{expected}\n")


def test_a_new_home_takes_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.backend.find_spec", lambda name: None if name == BACKENDS[0] else object())
    opened = open_backend(tmp_path / "home", None)
    opened.close()
    assert opened.name == BACKENDS[1]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_home_without_its_library_says_what_to_install(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_backend(tmp_path / "home", name).close()
    monkeypatch.setattr("abci_app.backend.find_spec", lambda other: None if other == name else object())
    with pytest.raises(BackendUnavailable, match=f"install {name}"):
        open_backend(tmp_path / "home", None)


def test_without_any_library_the_home_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("abci_app.backend.find_spec", lambda _: None)
    with pytest.raises(BackendUnavailable, match="got none"):
        open_backend(tmp_path / "home", None)
    assert not (tmp_path / "home" / RECORD_FILE).exists()


def test_a_home_refuses_another_database_than_its_own(database: Backend, tmp_path: Path) -> None:
    database.close()
    other = next(name for name in BACKENDS if name != database.name)
    with pytest.raises(BackendMismatch, match=f"expected {database.name}.*got {other}"):
        open_backend(tmp_path / "home", other)


def test_an_unknown_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownBackend, match="got sqlite"):
        open_backend(tmp_path / "home", "sqlite")


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD_FILE).write_bytes(b"\xff\x00what")
    with pytest.raises(CorruptState, match=RECORD_FILE):
        open_backend(tmp_path, None)


def test_damaged_files_are_refused(database: Backend, tmp_path: Path) -> None:
    database.write({b"key": b"value"})
    database.close()
    (tmp_path / "home" / "state" / "CURRENT").write_bytes(b"nonsense")
    with pytest.raises(CorruptState):
        open_backend(tmp_path / "home", None)
