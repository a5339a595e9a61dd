"""A node on loopback: the real application and gRPC services, and a CometBFT that this module plays.

Consensus is played by keys that sign every block, and the RPC by a small HTTP and websocket server; what they serve
has CometBFT's exact forms, so light clients and proofs are real from end to end.
"""

from __future__ import annotations

import base64
import threading
import time
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from abci_app.application import ChainApplication
from abci_app.context import Services
from abci_app.errors import NodeUnavailable
from abci_app.grpc_server import GrpcServer
from abci_app.ibc_service import IbcService
from abci_app.metrics import Metrics
from abci_app.node_service import NodeService
from abci_app.rpc_answers import BroadcastOutcome
from abci_app.store import Store, open_store
from bench.errors import NetworkStalled
from bench.played.answers import (
    VALIDATORS,
    encode_error,
    encode_result,
    header_json,
    hex_of,
    make_validator_set,
    results_json,
    stamp_of,
    stamp_text,
    time_text,
    validators_json,
)
from bench.played.rpc import START_S, PlayedRpc
from bench.played.services import ToyHubService, ToyShardService
from ibc.header import BlockId, VoteEncoder, header_hash
from ibc.validators import address_of, validator_set_from_wire
from relayer.config import NodeAddress
from wire.gradchain.ibc.v1 import query_pb2_grpc as ibc_grpc
from wire.gradchain.node.v1 import query_pb2_grpc as node_grpc
from wire.tendermint.abci import types_pb2 as abci_pb2
from wire.tendermint.types import types_pb2
from wire.tendermint.version import types_pb2 as version_pb2

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from aggregation.kzg import Setup
    from bench.played.app import ToyChain


@dataclass
class PlayedBlock:
    """A block of the played chain."""

    header: types_pb2.Header
    hash: bytes
    commit: dict[str, object]
    results: dict[str, object]
    txs: list[bytes]


@dataclass
class PlayedNode:
    """A chain of one node."""

    chain_id: str
    toy: ToyChain
    home: Path
    block_s: float = 0.02
    """Pause between blocks while there is something to do."""
    empty_s: float = 0.25
    """Pause after which there is a block in any case."""
    blocks: dict[int, PlayedBlock] = field(default_factory=dict)
    mempool: list[bytes] = field(default_factory=list)
    refuse_broadcast: bool = False
    """Take no transactions, as if the node's CometBFT were down."""
    refused: int = 0
    """Transactions that came meanwhile."""
    taken: list[bytes] = field(default_factory=list)
    held_signer: str = ""
    """Keep what this address signs out of blocks, as if it lay in the mempool for long."""
    held: list[bytes] = field(default_factory=list)
    asked_too_early: int = 0
    """Questions for the newest block before there was one."""
    earliest: int = 1
    is_paused: bool = False
    catching_up: bool = False
    clock_ahead_s: float = 0.0
    """What the node's own clock is ahead of ours."""

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._rpc = PlayedRpc(self._answer_locked, lambda: time.time() + self.clock_ahead_s)
        self.store: Store = open_store(self.home)
        services = Services(kzg=cast("Setup", None))
        self.application = ChainApplication(
            self.toy.build(), self.store, services, chain_id=self.chain_id, metrics=Metrics(self.chain_id)
        )
        self._validators = make_validator_set()
        self._app_hash = self.application.init_chain(
            abci_pb2.RequestInitChain(
                chain_id=self.chain_id, time=stamp_of(time.time_ns()), app_state_bytes=b"{}"
            )
        ).app_hash

    # --- consensus ------------------------------------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Height of the newest block; 0 before the first."""
        return len(self.blocks)

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        """Take a transaction as CometBFT's RPC does.

        Raises:
          NodeUnavailable: it takes none.

        """
        if self.refuse_broadcast:
            self.refused += 1
            raise NodeUnavailable("expected CometBFT to answer")
        answer = self.application.check_tx(abci_pb2.RequestCheckTx(tx=tx))
        if not answer.code:
            with self._lock:
                (self.held if self._is_held(tx) else self.mempool).append(tx)
                self.taken.append(tx)
        return BroadcastOutcome(sha256(tx).digest(), answer.code, answer.codespace, answer.log)

    def _is_held(self, tx: bytes) -> bool:
        # Every message names its signer in text.
        return bool(self.held_signer) and self.held_signer.encode() in tx

    def release(self) -> None:
        """Let what is held into the next block."""
        with self._lock:
            self.held_signer = ""
            self.mempool += self.held
            self.held = []

    def has_sent(self) -> bool:
        """Tell whether all packets that it was asked for are in blocks, and these are complete."""
        with self._lock:
            return not self.toy.outbox

    def make_block(self) -> None:
        """Execute what waits, sign the block and tell of it."""
        with self._lock:
            height = self.height + 1
            before = self.blocks.get(height - 1)
            now_ns = time.time_ns()
            if before is not None:
                last = before.header.time
                now_ns = max(now_ns, last.seconds * 10**9 + last.nanos + 1)
            txs, self.mempool = self.mempool, []
            request = abci_pb2.RequestFinalizeBlock(
                txs=txs, height=height, time=stamp_of(now_ns), hash=sha256(b"%d" % height).digest()
            )
            answer = self.application.finalize_block(request)
            self.application.commit(abci_pb2.RequestCommit())
            header = self._make_header(height, now_ns, before)
            self._app_hash = answer.app_hash
            self.blocks[height] = PlayedBlock(
                header, header_hash(header), self._sign(header), results_json(height, answer), txs
            )
        self._rpc.notify(height)

    def _make_header(self, height: int, now_ns: int, before: PlayedBlock | None) -> types_pb2.Header:
        digest = sha256(b"anything").digest()
        validators_hash = validator_set_from_wire(self._validators).hash
        header = types_pb2.Header(
            version=version_pb2.Consensus(block=11, app=1),
            chain_id=self.chain_id,
            height=height,
            time=stamp_of(now_ns),
            last_commit_hash=digest,
            data_hash=digest,
            validators_hash=validators_hash,
            next_validators_hash=validators_hash,
            consensus_hash=digest,
            app_hash=self._app_hash,
            last_results_hash=digest,
            evidence_hash=digest,
            proposer_address=address_of(VALIDATORS[0].public_key),
        )
        if before is not None:
            parts = types_pb2.PartSetHeader(total=1, hash=digest)
            header.last_block_id.CopyFrom(types_pb2.BlockID(hash=before.hash, part_set_header=parts))
        return header

    def _sign(self, header: types_pb2.Header) -> dict[str, object]:
        digest = sha256(b"parts").digest()
        block_hash = header_hash(header)
        encoder = VoteEncoder(self.chain_id, header.height, 0, BlockId(block_hash, 1, digest))
        vote_ns = header.time.seconds * 10**9 + header.time.nanos + 5
        return {
            "height": str(header.height),
            "round": 0,
            "block_id": {"hash": hex_of(block_hash), "parts": {"total": 1, "hash": hex_of(digest)}},
            "signatures": [
                {
                    "block_id_flag": 2,
                    "validator_address": hex_of(address_of(key.public_key)),
                    "timestamp": time_text(vote_ns),
                    "signature": base64.b64encode(key.sign(encoder.sign_bytes(vote_ns))).decode(),
                }
                for key in VALIDATORS
            ],
        }

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> PlayedNode:
        """Serve and make blocks; return when there is one, or at once if the chain is paused.

        Raises:
          NetworkStalled: it takes too long.

        """
        self._rpc.start()
        self._start_grpc(0)
        self._block_thread = threading.Thread(target=self._make_blocks)
        self._block_thread.start()
        deadline = time.monotonic() + START_S
        while not (self.is_paused or self.height >= 1):
            if time.monotonic() > deadline:
                raise NetworkStalled(f"expected a block of {self.chain_id} within {START_S:g} s")
            time.sleep(self.block_s)
        return self

    def _start_grpc(self, port: int) -> None:
        latest = self.application.store.latest
        node = NodeService(self.application, self, rpc_address=f"127.0.0.1:{self._rpc.port}")
        services: list[tuple[str, Callable[..., None]]] = [
            ("gradchain.node.v1.NodeService", lambda s: node_grpc.add_NodeServiceServicer_to_server(node, s)),
            (
                "gradchain.ibc.v1.IbcService",
                lambda s: ibc_grpc.add_IbcServiceServicer_to_server(IbcService(latest), s),
            ),
        ]
        toy = ToyHubService(latest, self.toy) if self.toy.kind == "hub" else ToyShardService(self.toy)
        services.append((toy.NAME, toy.add_to))
        self._grpc = GrpcServer(f"127.0.0.1:{port}", services)

    @property
    def address(self) -> NodeAddress:
        """Where the node is asked."""
        return NodeAddress(f"http://127.0.0.1:{self._rpc.port}", f"127.0.0.1:{self._grpc.port}")

    def stop(self) -> None:
        """Stop everything and wait for it."""
        self._stop.set()
        self._block_thread.join()
        self._rpc.stop()
        self._grpc.stop()
        self.store.close()

    def _make_blocks(self) -> None:
        last_made = 0.0
        while not self._stop.wait(self.block_s):
            if self.is_paused:
                continue
            newest = self.blocks.get(self.height)
            changed = newest is None or newest.header.app_hash != self._app_hash
            if changed or self.mempool or self.toy.outbox or time.monotonic() - last_made > self.empty_s:
                self.make_block()
                last_made = time.monotonic()

    # --- rpc ------------------------------------------------------------------------------------------------------

    def drop_subscribers(self) -> None:
        """Cut all websockets."""
        self._rpc.drop_subscribers()

    def _answer_locked(self, path: str, query: dict[str, str]) -> bytes:
        with self._lock:
            return self._answer(path, query)

    def _answer(self, path: str, query: dict[str, str]) -> bytes:
        if path == "/health":
            return encode_result({})
        if path == "/status":
            return encode_result(self._status_json())
        if path == "/abci_info":
            # Like CometBFT, in base64, and without what is zero.
            self.asked_too_early += not self.height
            state = {"last_block_height": str(self.height)} if self.height else {}
            app_hash = base64.b64encode(self._app_hash).decode()
            return encode_result({"response": {**state, "last_block_app_hash": app_hash}})
        height = int(query["height"])
        block = self.blocks.get(height)
        if height < 1:
            return encode_error(f"height must be greater than 0, but got {height}")
        if block is None or block.header.height < self.earliest:
            return encode_error(f"could not find results for height #{height}")
        header = header_json(block.header)
        answers: dict[str, Callable[[], object]] = {
            "/header": lambda: {"header": header},
            "/commit": lambda: {
                "signed_header": {"header": header, "commit": block.commit},
                "canonical": True,
            },
            "/validators": lambda: {
                "block_height": query["height"],
                "total": str(len(VALIDATORS)),
                "validators": validators_json(),
            },
            "/block_results": lambda: block.results,
            "/block": lambda: {
                "block_id": {"hash": hex_of(block.hash)},
                "block": {
                    "header": header,
                    "data": {"txs": [base64.b64encode(tx).decode() for tx in block.txs]},
                },
            },
        }
        return encode_result(answers[path]())

    def _status_json(self) -> object:
        newest = self.blocks.get(self.height)
        return {
            "node_info": {"network": self.chain_id, "id": "ab", "moniker": "played", "version": "0.39.4"},
            "sync_info": {
                "latest_block_height": str(self.height),
                "latest_app_hash": hex_of(self._app_hash),
                "latest_block_time": time_text(0) if newest is None else stamp_text(newest.header.time),
                "earliest_block_height": str(self.earliest),
                "catching_up": self.catching_up,
            },
            "validator_info": {"voting_power": "10"},
        }
