"""What relaying costs and brings: balances and earnings from the hub, transactions from the journal.

The hub pays the first valid delivery of each packet that a round waits for, and of each part of a body
(docs/spec/settlement.md).  Neither chain charges for a transaction today: a shard has no token, and the hub takes none
for relaying.  So what is spent is counted in transactions; tokens are counted as the hub states them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from abci_app.keyfile import load_key
from relayer.examine import get_account, get_relay_pay
from relayer.types import TxState
from tx.keys import format_address

if TYPE_CHECKING:
    from relayer.config import RelayerConfig
    from relayer.journal import JournalReader
    from relayer.nodes import ChainNodes

NO_CHARGES: Final = (
    "no chain charges for a transaction, so nothing is spent or refunded; a delivery earns min(relay_fee, share of the "
    "round / 10 / its deliveries)"
)
"""What people and scripts are told beside the numbers."""


@dataclass(frozen=True, slots=True)
class AccountPay:
    """One account on the hub; the word of one node."""

    address: str
    key_file: str
    balance: int
    packets: int
    """Deliveries that settlements have paid for."""
    earned: int
    """Tokens that they have paid for these."""


@dataclass(frozen=True, slots=True)
class ChainTxs:
    """What was sent to one chain since the journal was made."""

    chain_id: str
    fees: int
    """Tokens paid for the transactions below: 0, since no chain charges."""
    included: int
    """Transactions that did their work."""
    failed: int
    """Refused by the chain; nothing was paid for them, so that nothing has to be refunded."""
    expired: int
    """In no block before their expiry."""
    pending: int


@dataclass(frozen=True, slots=True)
class PayReport:
    """Everything."""

    spent: int
    """Tokens, all chains: 0, since no chain charges."""
    earned: int
    """Tokens, all accounts."""
    refunded: int
    """Tokens that came back of what was spent: 0 likewise."""
    accounts: tuple[AccountPay, ...]
    chains: tuple[ChainTxs, ...]
    note: str = NO_CHARGES


async def report_pay(config: RelayerConfig, hub: ChainNodes, journal: JournalReader | None) -> PayReport:
    """Return what was spent, earned and refunded.

    Raises:
      AppError: a key cannot be read, or the hub cannot be asked.

    """
    accounts: list[AccountPay] = []
    for path in config.hub.key_files:
        public_key = load_key(path).public_key
        balance = (await get_account(hub, public_key)).balance
        pay = await get_relay_pay(hub, public_key)
        accounts.append(AccountPay(format_address(public_key), str(path), balance, pay.packets, pay.amount))
    counts: Counter[tuple[str, TxState]] = Counter() if journal is None else Counter(journal.count_txs())
    chains = tuple(
        ChainTxs(
            chain_id=chain.chain_id,
            fees=0,
            included=counts[chain.chain_id, TxState.INCLUDED],
            failed=counts[chain.chain_id, TxState.FAILED],
            expired=counts[chain.chain_id, TxState.EXPIRED],
            pending=counts[chain.chain_id, TxState.PENDING],
        )
        for chain in config.chains
    )
    return PayReport(
        spent=sum(chain.fees for chain in chains),
        earned=sum(account.earned for account in accounts),
        refunded=0,
        accounts=tuple(accounts),
        chains=chains,
    )
