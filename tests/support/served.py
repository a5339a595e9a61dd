"""Hub and shard with real doors: real store, real gRPC services, signed headers, and blocks made on demand.

Everything on this side is the product but consensus: a transaction that passes CheckTx gets a block at once, and so
does every look at the RPC's status, as if time had passed.
"""

from __future__ import annotations

import threading
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from abci_app.application import ChainApplication
from abci_app.comet import LOCALNET
from abci_app.comet_home import Genesis, GenesisValidator, format_genesis
from abci_app.context import Services
from abci_app.gateway import UpdateBundler
from abci_app.grpc_server import GrpcServer
from abci_app.ibc_service import IbcService
from abci_app.metrics import Metrics
from abci_app.node_service import NodeService
from abci_app.rpc_answers import BroadcastOutcome
from abci_app.state import Overlay
from abci_app.store import open_store
from cli.submit_update import UpdateSubmitter
from hub.app import build_hub_app
from hub.service import HubServicer
from shards.app import build_shard_app
from shards.service import ShardServicer
from tests.support.aggregation import shared_setup
from tests.support.comet_rpc import CometEndpoint
from tests.support.hub import HUB_CHAIN, HubChain
from tests.support.ibc import SimulatedChain
from tests.support.shard_rounds import SHARD_CHAIN
from tests.support.shards import MemoryState, ShardChain
from tests.support.txs import SECOND_NS
from wire.gradchain.hub.v1 import query_pb2_grpc as hub_grpc
from wire.gradchain.ibc.v1 import query_pb2_grpc as ibc_grpc
from wire.gradchain.node.v1 import query_pb2 as node_query
from wire.gradchain.node.v1 import query_pb2_grpc as node_grpc
from wire.gradchain.shard.v1 import query_pb2_grpc as shard_grpc
from wire.tendermint.abci import types_pb2 as abci_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import grpc

    from abci_app.definition import AppDefinition
    from abci_app.execution import BlockOutcome
    from abci_app.state import StateReader
    from wire.gradchain.fl.v1 import packet_pb2
    from wire.tendermint.types import types_pb2

    AddService = tuple[str, Callable[[grpc.Server], None]]

BEHIND_S = 400
"""Blocks start so long ago, so that making them by the second does not run ahead of the clock."""

TICK_S = 0.05


class StoreState(MemoryState):
    """The committed state of a chain in its store, with the interface that the test chains use."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def get(self, store: str, key: bytes) -> bytes | None:
        return self._host.reader.get(store, key)

    def scan(self, store: str, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._host.reader.scan(store, prefix)

    def get_blob(self, segment: bytes, digest: bytes) -> bytes | None:
        return self._host.reader.get_blob(segment, digest)

    def apply(self, overlay: Overlay) -> None:
        self._host.apply(overlay)


class Host:
    """What a node has besides its app: store, headers and doors."""

    def __init__(self, directory: Path, definition: AppDefinition, chain_id: str, time_ns: int) -> None:
        self.store = open_store(directory)
        self.services = Services(shared_setup())
        self.application = ChainApplication(
            definition, self.store, self.services, chain_id=chain_id, metrics=Metrics(chain_id)
        )
        self.headers = SimulatedChain(chain_id=chain_id, time_ns=time_ns)
        self.genesis_time_s = time_ns // SECOND_NS - 1
        self.lock = threading.RLock()
        self.state = StoreState(self)
        self._genesis: Overlay | None = None
        self._app_hash = sha256(b"").digest()
        self._block = (0, 0)
        self._rpc: CometEndpoint | None = None
        self._grpc: GrpcServer | None = None

    @property
    def reader(self) -> StateReader:
        """The state that the next block starts from."""
        return self._genesis if self._genesis is not None else self.store.latest()

    @property
    def rpc_address(self) -> str:
        assert self._rpc is not None
        return self._rpc.address

    @property
    def address(self) -> str:
        """Address of the gRPC services."""
        assert self._grpc is not None
        return f"127.0.0.1:{self._grpc.port}"

    def begin_block(self, height: int, time_ns: int) -> None:
        """Sign the header of the next block: it carries the app hash of the last one."""
        self.headers.time_ns = time_ns
        self.headers.add_block(self._app_hash)
        self._block = (height, time_ns)

    def apply(self, overlay: Overlay) -> None:
        """Commit the writes of the block that was begun; those of the genesis wait for the first."""
        pending = self._genesis if self._genesis is not None else Overlay(self.store.latest())
        own = Overlay(pending)
        own.writes, own.blobs, own.dropped_segments = overlay.writes, overlay.blobs, overlay.dropped_segments
        own.merge()
        staged = self.store.stage(pending)
        self._app_hash = staged.app_hash
        if self._block == (0, 0):
            self._genesis = pending
            return
        self.store.commit(staged, *self._block)
        self._genesis = None

    def end_block(self, txs: Sequence[bytes], outcome: BlockOutcome) -> None:
        """Tell those who wait."""
        self.application.pending.settle(outcome.claims)
        hashes = [sha256(tx).digest() for tx in txs]
        height = self._block[0]
        self.application.outcomes.record(height, dict(zip(hashes, outcome.results, strict=True)))

    def open(self, tick: Callable[[], object], services: Sequence[AddService]) -> None:
        """Open the doors."""

        def newest() -> types_pb2.LightBlock:
            with self.lock:
                tick()
                return self.headers.blocks[-1]

        def at(height: int) -> types_pb2.LightBlock:
            with self.lock:
                return self.headers.light_block(height)

        self._rpc = CometEndpoint(newest, at)
        self._grpc = GrpcServer("127.0.0.1:0", services)

    def close(self) -> None:
        if self._grpc is not None:
            self._grpc.stop()
        if self._rpc is not None:
            self._rpc.close()
        self.store.close()

    def write_genesis(self, path: Path) -> Path:
        """Write the genesis file that the headers go back to."""
        validators = tuple(
            GenesisValidator(member.key.public_key, member.power) for member in self.headers.members
        )
        genesis = Genesis(self.headers.chain_id, self.genesis_time_s, validators, {})
        path.write_text(format_genesis(genesis, LOCALNET))
        return path


class Sink:
    """Takes the place of CometBFT: whatever passes CheckTx is in the next block."""

    def __init__(self, host: Host, make_block: Callable[..., object]) -> None:
        self._host = host
        self._make_block = make_block

    def broadcast_tx_sync(self, tx: bytes) -> BroadcastOutcome:
        with self._host.lock:
            checked = self._host.application.check_tx(abci_pb2.RequestCheckTx(tx=tx))
            if not checked.code:
                self._make_block(tx, after_s=TICK_S)
        return BroadcastOutcome(sha256(tx).digest(), checked.code, checked.codespace, checked.log)


def common_services(host: Host, sink: Sink, rpc_address: Callable[[], str]) -> list[AddService]:
    """Return the services that every node has."""
    node = _LateNodeService(host.application, sink, rpc_address)
    ibc = IbcService(host.store.latest)
    return [
        (
            "gradchain.node.v1.NodeService",
            lambda server: node_grpc.add_NodeServiceServicer_to_server(node, server),
        ),
        (
            "gradchain.ibc.v1.IbcService",
            lambda server: ibc_grpc.add_IbcServiceServicer_to_server(ibc, server),
        ),
    ]


class _LateNodeService(NodeService):
    """Knows the address of the RPC only once it is open."""

    def __init__(self, application: ChainApplication, sink: Sink, rpc_address: Callable[[], str]) -> None:
        super().__init__(application, sink, rpc_address="")
        self._find_rpc_address = rpc_address

    def GetStatus(  # noqa: N802 - gRPC names
        self, request: node_query.GetStatusRequest, context: grpc.ServicerContext
    ) -> node_query.GetStatusResponse:
        answer = super().GetStatus(request, context)
        answer.rpc_address = self._find_rpc_address()
        return answer


class LyingServicer:
    """Answers as the real service does, unless the test has put a lie in its place."""

    def __init__(self, honest: object) -> None:
        self._honest = honest
        self.lies: dict[str, Callable[[Any], Any]] = {}
        """By the name of the call: from the true answer to the one that is given."""

    def __getattr__(self, name: str) -> Callable[[object, object], object]:
        def answer(request: object, context: object) -> object:
            true = getattr(self._honest, name)(request, context)
            return self.lies.get(name, lambda answer: answer)(true)

        return answer


class ServedHub(HubChain):
    """A hub that can be asked over gRPC, with a light client's view of it."""

    def __init__(self, directory: Path) -> None:
        time_ns = time.time_ns() - BEHIND_S * SECOND_NS
        self.host = Host(directory, build_hub_app(), HUB_CHAIN, time_ns)
        super().__init__(state=self.host.state, services=self.host.services, time_ns=time_ns)
        self._servicer = LyingServicer(HubServicer(self.host.store.latest))
        self.lies = self._servicer.lies
        self.outbox: list[packet_pb2.HubPacket] = []
        """What the hub has sent and nobody has carried yet."""

    def block(self, *txs: bytes, after_s: float = 1) -> BlockOutcome:
        with self.host.lock:
            self.host.begin_block(self.height + 1, self.time_ns + int(after_s * SECOND_NS))
            outcome = super().block(*txs, after_s=after_s)
            self.host.end_block(txs, outcome)
            self.outbox += [content for _, content in self.sent(outcome)]
        return outcome

    def open(self, **params: int) -> ServedHub:
        """Start the chain, with parameters other than the defaults, and open its doors."""
        self.start(**params)
        sink = Sink(self.host, self.block)
        services = common_services(self.host, sink, lambda: self.host.rpc_address)
        services.append(
            (
                "gradchain.hub.v1.HubService",
                lambda server: hub_grpc.add_HubServiceServicer_to_server(
                    self._servicer,  # type: ignore[arg-type]
                    server,
                ),
            )
        )
        self.host.open(lambda: self.block(after_s=TICK_S), services)
        return self


class ServedShard(ShardChain):
    """A shard that takes updates over gRPC."""

    def __init__(self, directory: Path) -> None:
        time_ns = time.time_ns() - BEHIND_S * SECOND_NS
        self.host = Host(directory, build_shard_app(), SHARD_CHAIN, time_ns)
        super().__init__(state=self.host.state, services=self.host.services, time_ns=time_ns)
        self.bundler: UpdateBundler | None = None
        self.lies: dict[str, Callable[[Any], Any]] = {}

    def block(self, *txs: bytes, after_s: float = 1) -> BlockOutcome:
        with self.host.lock:
            self.host.begin_block(self.height + 1, self.time_ns + int(after_s * SECOND_NS))
            outcome = super().block(*txs, after_s=after_s)
            self.host.end_block(txs, outcome)
        return outcome

    def open_doors(self) -> ServedShard:
        """Start the chain and open its doors."""
        self.start()
        sink = Sink(self.host, self.block)
        self.bundler = UpdateBundler(self.host.application, sink, max_tx_bytes=LOCALNET.max_tx_bytes)
        servicer = ShardServicer(
            self.host.store.latest, UpdateSubmitter(self.host.application, self.bundler).submit
        )
        lying = LyingServicer(servicer)
        lying.lies = self.lies
        services = common_services(self.host, sink, lambda: self.host.rpc_address)
        services.append(
            (
                "gradchain.shard.v1.ShardService",
                lambda server: shard_grpc.add_ShardServiceServicer_to_server(
                    lying,  # type: ignore[arg-type]
                    server,
                ),
            )
        )
        self.host.open(lambda: self.block(after_s=TICK_S), services)
        return self

    def close(self) -> None:
        if self.bundler is not None:
            self.bundler.stop()
        self.host.close()


def carry_packets(hub: ServedHub, shard: ServedShard) -> None:
    """Bring what the hub has sent since the last time to its shard, as the relayer would."""
    with hub.host.lock:
        packets, hub.outbox = hub.outbox, []
    with shard.host.lock:
        shard.inbox += packets
        shard.block()
