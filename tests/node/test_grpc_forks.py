"""gRPC's own handlers of a fork are off in all processes of ours: they have ended children, and their parents.

They stop the poller before a fork and start it again on both sides.  A child that is about to execute another program
closes the poller's files under it ("epoll_wait error: Bad file descriptor") and is aborted.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PACKAGES = ("abci_app", "bench", "cli", "hub", "localnet", "participant", "relayer", "shards")

LOOK = """
import importlib, os, sys
class Look:
    def find_spec(self, name, path, target=None):
        if name == "grpc":
            print(os.environ.get("GRPC_ENABLE_FORK_SUPPORT"))
sys.meta_path.insert(0, Look())
importlib.import_module(sys.argv[1])
"""

FORK = """
import os, sys, threading
from concurrent import futures
from pathlib import Path
import abci_app.client
from abci_app.process import spawn
import grpc

server = grpc.server(futures.ThreadPoolExecutor(2))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
ended = threading.Event()

def call():
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        while not ended.is_set():
            try:
                channel.unary_unary("/a/b")(b"", timeout=5)
            except grpc.RpcError:
                pass

callers = [threading.Thread(target=call) for _ in range(2)]
for caller in callers:
    caller.start()
print({spawn(["true"], os.environ, Path(os.devnull)).wait() for _ in range(40)})
ended.set()
for caller in callers:
    caller.join()
server.stop(None)
"""


def imports_grpc(path: Path) -> bool:
    """Tell whether a file imports gRPC when it is imported itself."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.partition(".")[0] in {"grpc", "grpc_reflection"} for name in names):
            return True
    return False


MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
    if imports_grpc(path)
)


def run_python(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program in an interpreter of its own."""
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        check=False,
    )


@pytest.mark.parametrize("module", MODULES)
def test_the_handlers_are_off_before_grpc_is_imported(module: str) -> None:
    done = run_python(LOOK, module)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr


def test_children_live_that_are_started_amid_calls() -> None:
    done = run_python(FORK)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{0}\n", "")
