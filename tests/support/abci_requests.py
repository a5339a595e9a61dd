"""Requests as CometBFT sends them, for tests that drive an application without a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wire.tendermint.abci import types_pb2
from wire.tendermint.crypto import keys_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from abci_app.interface import Application


def public_key(number: int) -> bytes:
    """Return 32 bytes that pass for an Ed25519 public key."""
    return number.to_bytes(32, "big")


def init_chain(*powers: int) -> types_pb2.RequestInitChain:
    """Return a genesis with one validator a power, numbered from one."""
    return types_pb2.RequestInitChain(
        chain_id="test-1",
        initial_height=1,
        validators=[
            types_pb2.ValidatorUpdate(pub_key=keys_pb2.PublicKey(ed25519=public_key(number)), power=power)
            for number, power in enumerate(powers, 1)
        ],
    )


def finalize_block(height: int, txs: Iterable[bytes] = ()) -> types_pb2.RequestFinalizeBlock:
    """Return a block."""
    return types_pb2.RequestFinalizeBlock(height=height, txs=txs)


def run_block(app: Application, height: int, *txs: bytes) -> types_pb2.ResponseFinalizeBlock:
    """Finalize and commit a block."""
    answer = app.finalize_block(finalize_block(height, txs))
    app.commit(types_pb2.RequestCommit())
    return answer
