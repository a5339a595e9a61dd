"""The step that a block takes for rounds by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hub.params import get_params
from hub.rounds.closing import close_round_if_due
from hub.rounds.opening import open_round_if_ready
from hub.schedule import take_due_tasks
from hub.tasks.state import get_task

if TYPE_CHECKING:
    from abci_app.context import BlockContext
    from abci_app.state import StateWriter


def advance_rounds(block: BlockContext, state: StateWriter) -> None:
    """Close and open rounds of the tasks that are due, up to a number a block.

    A task that gets its turn closes at most one round and opens at most one: a round that was just opened is looked
    at again when something happens to it, or at its deadline.
    """
    for number in take_due_tasks(state, block.time_ns, get_params(state).tasks_per_block):
        task = get_task(state, number)
        if task is not None:
            open_round_if_ready(block, state, close_round_if_due(block, state, task))
