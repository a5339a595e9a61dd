"""The step that settles aggregated rounds when their challenge window is over."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hub.accounts.state import pay_from_escrow, release_escrow
from hub.params import get_params
from hub.rounds.state import get_info, put_round
from hub.rounds.tail import tell_shards_of_settlement
from hub.rounds.types import RoundId, RoundRecord, RoundStatus
from hub.settlement.events import emit_round_settled
from hub.settlement.payout import divide_share, settlement_root
from hub.settlement.relays import record_relay_payment
from hub.settlement.state import get_treasury, put_paid, take_due_settlements
from hub.tasks.state import put_task, require_task

if TYPE_CHECKING:
    from abci_app.context import BlockContext
    from abci_app.state import StateWriter
    from hub.settlement.types import PendingSettlement


def settle_rounds(block: BlockContext, state: StateWriter) -> None:
    """Settle the rounds whose window is over, up to a number a block; others follow in the next block."""
    limit = get_params(state).tasks_per_block
    for task, round_number, pending in take_due_settlements(state, block.time_ns, limit):
        _settle_round(block, state, task, round_number, pending)


def _settle_round(
    block: BlockContext, state: StateWriter, number: int, round_number: int, pending: PendingSettlement
) -> None:
    settled = divide_share(get_params(state).relay_fee, pending)
    for payment in settled.payments:
        if payment.amount:
            pay_from_escrow(state, payment.account, payment.amount)
    for relay_payment in settled.relay_payments:
        pay_from_escrow(state, relay_payment.account, relay_payment.amount)
        record_relay_payment(state, number, round_number, relay_payment)
    left_over = pending.budget - settled.paid - settled.relay_paid
    release_escrow(state, get_treasury(state), left_over)
    task = require_task(state, number)
    put_task(
        state,
        replace(task, escrow=task.escrow - pending.budget, reserved=task.reserved - pending.budget),
    )
    root = settlement_root(number, round_number, settled.payments, settled.relay_payments)
    put_paid(state, number, round_number, settled, root)
    round_id = RoundId(number, round_number, pending.attempt)
    put_round(state, round_id, RoundRecord(RoundStatus.SETTLED))
    emit_round_settled(block, number, round_number, settled, left_over, root)
    tell_shards_of_settlement(block, state, round_id, get_info(state, round_id))
