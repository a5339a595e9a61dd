"""Explain every limit that a transaction passes between its sender and a block, in the order in which it meets them.

They stand in three files and each fails in its own words, some of them silently; `gradchain node doctor` prints
these rows.

Source: CometBFT v0.39 rpc/jsonrpc/server/http_server.go, mempool/clist_mempool.go, types/block.go, p2p/conn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from abci_app.comet import GO_FORM_BYTES, CometSettings

_CONFIG: Final = "config/config.toml"
_GENESIS: Final = "config/genesis.json"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit in force."""

    name: str
    value: str
    """With its unit."""
    file: str
    """File of the home that sets it; "" where CometBFT or Go fixes it."""
    setting: str
    """Key within the file, with dots between tables; "" where nothing sets it."""
    exceeded: str
    """What happens above the limit: the text of the answer, and our error."""


def explain_limits(settings: CometSettings) -> tuple[Limit, ...]:
    """Return all limits that the settings put in force."""
    return (*_explain_rpc(settings), *_explain_mempool(settings), *_explain_blocks(settings))


def _explain_rpc(settings: CometSettings) -> tuple[Limit, ...]:
    return (
        Limit(
            "RPC request",
            f"{settings.rpc_body_bytes} bytes",
            _CONFIG,
            "rpc.max_body_bytes",
            'HTTP 400 "http: request body too large" (TxTooLarge); it also limits websocket messages',
        ),
        Limit(
            "form",
            f"{GO_FORM_BYTES} bytes, twice the transaction",
            "",
            "",
            "Go drops the form: CheckTx sees an empty transaction; so max_tx_bytes stays below half of it",
        ),
        Limit(
            "RPC answer",
            f"{settings.rpc_commit_timeout_ms + 1_000} ms to write it",
            _CONFIG,
            "rpc.timeout_broadcast_tx_commit",
            "the connection is cut (EndpointUnreachable): ask for headers and results, not for large blocks",
        ),
    )


def _explain_mempool(settings: CometSettings) -> tuple[Limit, ...]:
    return (
        Limit(
            "transaction",
            f"{settings.max_tx_bytes} bytes",
            _CONFIG,
            "mempool.max_tx_bytes",
            '"Tx too large" (TxTooLarge); a node with another value is cut off by its peers',
        ),
        Limit(
            "waiting transactions",
            f"{settings.mempool_txs}",
            _CONFIG,
            "mempool.size",
            '"mempool is full" (MempoolFull)',
        ),
        Limit(
            "waiting bytes",
            f"{settings.mempool_bytes} bytes",
            _CONFIG,
            "mempool.max_txs_bytes",
            '"mempool is full" (MempoolFull)',
        ),
    )


def _explain_blocks(settings: CometSettings) -> tuple[Limit, ...]:
    send_ms = settings.max_block_bytes * 1_000 // settings.peer_bytes_per_second
    return (
        Limit(
            "block",
            f"{settings.max_block_bytes} bytes",
            _GENESIS,
            "consensus_params.block.max_bytes",
            '"tx pre check" for one transaction that does not fit beside header, commit and evidence (TxTooLarge); '
            "others wait for the next block",
        ),
        Limit(
            "evidence in a block",
            f"{settings.max_evidence_bytes} bytes",
            _GENESIS,
            "consensus_params.evidence.max_bytes",
            "the rest waits for the next block",
        ),
        Limit(
            "rate to a peer",
            f"{settings.peer_bytes_per_second} bytes/s, a full block in {send_ms} ms",
            _CONFIG,
            "p2p.send_rate",
            "no error: proposals arrive late and rounds are wasted",
        ),
        Limit(
            "proposal",
            f"{settings.timeout_propose_ms} ms to build, send and check it",
            _CONFIG,
            "consensus.timeout_propose",
            "the round fails and the next proposer tries, with half a second more",
        ),
    )
