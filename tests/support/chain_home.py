"""The home of a single validator of a real hub, for tests that do to it what nobody should."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

from abci_app.comet_home import Genesis, GenesisValidator, format_genesis
from abci_app.endpoint import Endpoint
from abci_app.errors import EndpointUnreachable, NodeError
from abci_app.nodehome import NodeConfig, NodeHome, choose_socket, load_config, make_home
from abci_app.rpc import CometRpc
from tests.support.hub import HUB_CHAIN, genesis_state
from tests.support.localnet import QUICK, build_node_keys
from tests.support.ports import free_ports
from tests.support.txs import SECOND_NS
from tests.support.waiting import eventually
from tx.envelope import make_tx

if TYPE_CHECKING:
    from pathlib import Path

    from google.protobuf.message import Message

    from abci_app.comet import CometSettings
    from tx.keys import SigningKey


def make_hub_home(
    path: Path, *, app: str = "", comet: CometSettings = QUICK, block_bytes: int = 0
) -> NodeHome:
    """Make the home; `block_bytes` puts a smaller limit into the genesis than the settings allow for."""
    home = NodeHome(path)
    rpc, p2p, grpc = free_ports(3)
    config = NodeConfig(
        kind="hub",
        name="hub",
        chain_id=HUB_CHAIN,
        abci=choose_socket(home),
        rpc=Endpoint("127.0.0.1", rpc),
        p2p=Endpoint("127.0.0.1", p2p),
        grpc=Endpoint("127.0.0.1", grpc),
        app=app,
        comet=comet,
    )
    keys = build_node_keys()
    validator = GenesisValidator(keys.validator.public_key, 10, config.name)
    app_state = json.loads(json.dumps(genesis_state()))
    text = format_genesis(Genesis(HUB_CHAIN, int(time.time()), (validator,), app_state), comet)
    if block_bytes:
        genesis = json.loads(text)
        genesis["consensus_params"]["block"]["max_bytes"] = str(block_bytes)
        genesis["consensus_params"]["evidence"]["max_bytes"] = str(min(block_bytes, comet.max_evidence_bytes))
        text = json.dumps(genesis)
    make_home(home, config, text, keys)
    return home


def sign_now(*messages: Message, keys: tuple[SigningKey, ...]) -> bytes:
    """Return a transaction for the hub that may be included during the next minute."""
    return make_tx(HUB_CHAIN, messages, keys, time.time_ns() + 60 * SECOND_NS, os.urandom(16))


def height_of(home: NodeHome) -> int:
    """Return the height of the last block, 0 while the node does not answer."""
    with CometRpc(load_config(home).rpc_url) as rpc:
        try:
            return rpc.abci_info().height
        except (EndpointUnreachable, NodeError):
            return 0


def wait_for_blocks(home: NodeHome, count: int = 2) -> int:
    """Wait until the node has made so many more blocks than it has now; return its height."""
    start = height_of(home)

    def look() -> int | None:
        height = height_of(home)
        return height if height >= start + count else None

    return eventually(look, f"{count} more blocks")
