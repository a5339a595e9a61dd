"""A kvstore application for tests, without a node."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from abci_app.examples.kvstore import KvStore
from abci_app.examples.kvstore_storage import Storage
from tests.support.abci_requests import init_chain, public_key, run_block
from wire.tendermint.abci import types_pb2
from wire.tendermint.crypto import keys_pb2

if TYPE_CHECKING:
    from pathlib import Path

KEY = keys_pb2.PublicKey(ed25519=public_key(1)).SerializeToString(deterministic=True)
"""How the kvstore names the first validator."""


def validator_tx(number: int, power: int) -> bytes:
    """Return a transaction that sets a validator's power."""
    return b"val=ed25519!" + base64.b64encode(public_key(number)) + b"!%d" % power


def get_info(app: KvStore) -> types_pb2.ResponseInfo:
    """Return what the application tells CometBFT at its start."""
    return app.info(types_pb2.RequestInfo())


def query(app: KvStore, key: bytes, path: str = "") -> types_pb2.ResponseQuery:
    """Return the answer to a query."""
    return app.query(types_pb2.RequestQuery(data=key, path=path))


def build_source(tmp_path: Path, name: str, heights: int = 4) -> tuple[KvStore, Storage]:
    """Return a node with a state of several chunks."""
    storage = Storage(tmp_path / name)
    app = KvStore(storage, snapshot_interval=2)
    app.init_chain(init_chain(10, 20))
    for height in range(1, heights + 1):
        run_block(app, height, b"key%d=" % height + bytes([height]) * 50_000, b"last=%d" % height)
    return app, storage
