from __future__ import annotations

import pickle
import pkgutil
import subprocess
import sys

import wire
from wire.ibc.lightclients.tendermint.v1 import tendermint_pb2
from wire.tendermint.abci import types_pb2

MODULES = sorted(module.name for module in pkgutil.walk_packages(wire.__path__, "wire."))


def test_every_module_imports_without_a_warning_in_a_fresh_process() -> None:
    code = "\n".join(f"import {name}" for name in MODULES)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_symbols_keep_their_public_names() -> None:
    assert types_pb2.Request.DESCRIPTOR.full_name == "tendermint.abci.Request"
    assert tendermint_pb2.Header.DESCRIPTOR.full_name == "ibc.lightclients.tendermint.v1.Header"


def test_a_message_can_be_pickled() -> None:
    request = types_pb2.Request(echo=types_pb2.RequestEcho(message="hello"))
    assert pickle.loads(pickle.dumps(request)) == request  # noqa: S301  # our own bytes
