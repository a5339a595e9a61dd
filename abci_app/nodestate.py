"""What the supervisor of a node last said of it, in run/state.json."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from abci_app.json_reader import parse_json
from abci_app.lifecycle import Phase
from abci_app.process import ProcessId, identify, is_alive

if TYPE_CHECKING:
    from abci_app.lifecycle import NodeMachine
    from abci_app.nodehome import NodeHome


@dataclass(frozen=True, slots=True)
class SupervisedState:
    """A node as its supervisor sees it."""

    phase: str
    restarts: int
    """How often its processes were started again since the supervisor started."""
    reason: str
    """Why the last time; "" if it never was."""
    is_supervised: bool
    """Whether the supervisor that said so still runs."""


STOPPED = SupervisedState(Phase.IDLE, 0, "", is_supervised=False)


def publish_state(home: NodeHome, machine: NodeMachine) -> None:
    """Write the state for others to read, in one step."""
    own = identify(os.getpid())
    values = {
        "phase": machine.phase,
        "restarts": machine.restarts,
        "reason": machine.reason,
        "pid": os.getpid(),
        "started": own.started if own is not None else "",
    }
    fresh = home.state_file.with_suffix(".new")
    fresh.write_text(json.dumps(values) + "\n")
    fresh.replace(home.state_file)


def read_state(home: NodeHome) -> SupervisedState:
    """Return the node's state.  Without a living supervisor it is stopped, or was given up by the last one.

    Raises:
      RpcMalformed: the file is not what a supervisor writes.

    """
    try:
        values = parse_json(home.state_file.read_bytes(), str(home.state_file))
    except FileNotFoundError:
        return STOPPED
    supervisor = ProcessId(values.integer("pid"), values.text("started"))
    phase, restarts, reason = values.text("phase"), values.integer("restarts"), values.text("reason")
    if is_alive(supervisor):
        return SupervisedState(phase, restarts, reason, is_supervised=True)
    return SupervisedState(
        Phase.GIVEN_UP if phase == Phase.GIVEN_UP else Phase.IDLE, restarts, reason, is_supervised=False
    )
