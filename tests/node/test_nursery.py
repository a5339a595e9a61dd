from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import NurseryFailed
from abci_app.nursery import Nursery, NurseryPool
from abci_app.process import identify, is_alive, send_group_signal
from abci_app.supervisor import child_environment
from localnet.daemon import PRELOADED
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from abci_app.nursery import Child
    from abci_app.process import ProcessId

PYTHON = "python"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for modules that the nursery's children can run."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return folder


@pytest.fixture
def nursery(tmp_path: Path, programs: Path) -> Iterator[Nursery]:
    opened = Nursery(["json"], child_environment(), tmp_path / "nursery.log")
    yield opened
    opened.close()


def write_program(programs: Path, text: str) -> None:
    (programs / "program.py").write_text(text)


def run(nursery: Nursery, log: Path, *arguments: str) -> int:
    return nursery.launch([PYTHON, "-m", "program", *arguments], log).wait()


def require_identity(child: Child) -> ProcessId:
    found = identify(child.pid)
    assert found is not None
    return found


def test_a_child_is_the_main_program_with_its_arguments_and_its_log(
    tmp_path: Path, programs: Path, nursery: Nursery
) -> None:
    write_program(programs, "import sys; print(__name__, sys.argv[1:]); print('oops', file=sys.stderr)")
    log = tmp_path / "log"
    log.write_text("before\n")
    assert run(nursery, log, "a", "--b") == 0
    assert log.read_text() == "before\n__main__ ['a', '--b']\noops\n"


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("pass", 0),
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit('text')", 1),
        ("raise ValueError('broken')", 1),
        ("import os; os._exit(4)", 4),
        ("import os; os.kill(os.getpid(), 9)", -9),
    ],
)
def test_every_end_has_the_status_that_python_gives_it(
    tmp_path: Path, programs: Path, nursery: Nursery, program: str, status: int
) -> None:
    write_program(programs, program)
    assert run(nursery, tmp_path / "log") == status


def test_the_traceback_of_a_failure_is_in_the_log(tmp_path: Path, programs: Path, nursery: Nursery) -> None:
    write_program(programs, "raise ValueError('broken')")
    run(nursery, tmp_path / "log")
    assert "ValueError: broken" in (tmp_path / "log").read_text()


def test_what_was_imported_is_there_before_the_program_asks(
    tmp_path: Path, programs: Path, nursery: Nursery
) -> None:
    write_program(programs, "import sys; print('json' in sys.modules, 'program' in sys.modules)")
    run(nursery, tmp_path / "log")
    assert (tmp_path / "log").read_text() == "True False\n"


def test_children_run_at_the_same_time_and_end_on_their_own(
    tmp_path: Path, programs: Path, nursery: Nursery
) -> None:
    write_program(programs, "import sys, time; time.sleep(600 if sys.argv[1] == 'long' else 0)")
    long = nursery.launch([PYTHON, "-m", "program", "long"], tmp_path / "log")
    short = nursery.launch([PYTHON, "-m", "program", "short"], tmp_path / "log")
    assert short.wait() == 0
    assert long.poll() is None
    long.send_signal(signal.SIGTERM)
    assert long.wait() == -signal.SIGTERM
    long.send_signal(signal.SIGTERM)
    assert long.poll() == -signal.SIGTERM


def test_an_interrupt_reaches_a_child_as_it_reaches_any_python(
    tmp_path: Path, programs: Path, nursery: Nursery
) -> None:
    write_program(
        programs,
        "import time\nprint('up', flush=True)\ntry:\n    time.sleep(600)\nexcept KeyboardInterrupt:\n    print('down')",
    )
    log = tmp_path / "log"
    child = nursery.launch([PYTHON, "-m", "program"], log)
    eventually(lambda: log.exists() and "up" in log.read_text(), "the program")
    child.send_signal(signal.SIGINT)
    assert child.wait() == 0
    assert log.read_text() == "up\ndown\n"


def test_a_child_leads_a_group_from_its_first_moment(
    tmp_path: Path, programs: Path, nursery: Nursery
) -> None:
    write_program(programs, "import time; time.sleep(600)")
    child = nursery.launch([PYTHON, "-m", "program"], tmp_path / "log")
    assert os.getpgid(child.pid) == child.pid
    send_group_signal(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


def test_children_end_with_their_nursery(tmp_path: Path, programs: Path) -> None:
    write_program(programs, "import time; time.sleep(600)")
    nursery = Nursery([], child_environment(), tmp_path / "nursery.log")
    child = nursery.launch([PYTHON, "-m", "program"], tmp_path / "log")
    process = require_identity(child)
    nursery.close()
    eventually(lambda: not is_alive(process), "the end of the child")
    assert child.wait() == -signal.SIGKILL


def test_a_pool_replaces_a_nursery_that_was_killed(tmp_path: Path, programs: Path) -> None:
    write_program(programs, "import os, time; print(os.getppid(), flush=True); time.sleep(600)")
    pool = NurseryPool(1, [], child_environment(), tmp_path / "nursery.log")
    try:
        launch = pool.launcher(7)
        log = tmp_path / "log"
        first = launch([PYTHON, "-m", "program"], log)
        parent = eventually(lambda: (log.exists() and log.read_text().strip()) or None, "the parent")
        os.kill(int(parent), signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        assert pool.list_sockets() == []
        second = launch([PYTHON, "-m", "program"], log)
        assert second.poll() is None
        assert len(pool.list_sockets()) == 1
    finally:
        pool.close()


def test_nurseries_of_a_pool_order_their_sets_differently(
    tmp_path: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    write_program(programs, "print(hash('order'))")
    pool = NurseryPool(2, [], child_environment(), tmp_path / "nursery.log")
    try:
        for index in range(4):
            assert pool.launcher(index)([PYTHON, "-m", "program"], tmp_path / f"log-{index}").wait() == 0
    finally:
        pool.close()
    hashes = [(tmp_path / f"log-{index}").read_text() for index in range(4)]
    assert hashes[0] == hashes[2] != hashes[1] == hashes[3]


def test_a_nursery_that_cannot_import_says_so(tmp_path: Path) -> None:
    nursery = Nursery(["no_such_module_anywhere"], child_environment(), tmp_path / "nursery.log")
    with pytest.raises(NurseryFailed):
        nursery.launch([PYTHON, "-m", "json.tool"], tmp_path / "log")
    nursery.close()
    assert "no_such_module_anywhere" in (tmp_path / "nursery.log").read_text()


@pytest.mark.parametrize("module", sorted({module for modules in PRELOADED.values() for module in modules}))
def test_every_module_that_a_localnet_imports_early_exists(module: str) -> None:
    assert find_spec(module) is not None


def test_a_child_can_be_stopped_from_its_first_moment(
    tmp_path: Path, programs: Path, nursery: Nursery
) -> None:
    write_program(programs, "import time; time.sleep(600)")
    children = [nursery.launch([PYTHON, "-m", "program"], tmp_path / "log") for _ in range(20)]
    for child in children:
        child.send_signal(signal.SIGTERM)
    at_once = nursery.launch([PYTHON, "-m", "program"], tmp_path / "log")
    at_once.send_signal(signal.SIGTERM)
    assert {child.wait() for child in (*children, at_once)} == {-signal.SIGTERM}
