"""Run a module in a process that ends with the one that started it: `python -m abci_app.bound PARENT MODULE [ARGUMENT...]`.

The process asks the kernel for it itself.  To ask with the `preexec_fn` of `Popen` would run Python between fork and
exec, with the hooks that libraries have for a fork: gRPC aborts such a child when other threads are amid a call, and in
the parent a Ctrl-C that comes during a hook is lost, since Python drops what hooks raise.
"""

from __future__ import annotations

import os
import runpy
import sys
from typing import TYPE_CHECKING

from abci_app.process import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence


def bound_command(module: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that runs `python -m module` bound to this process; use it from the main thread."""
    return [sys.executable, "-m", "abci_app.bound", str(os.getpid()), module, *arguments]


def run_bound(parent: int, module: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m` does, unless the parent has ended already."""
    die_with_parent()
    if os.getppid() != parent:
        sys.exit(f"expected to be started by process {parent}, which has ended")
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_bound(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
