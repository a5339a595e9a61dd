"""The app process of a node: assembles store, app, gRPC services and ABCI server, and runs until told to stop."""

from __future__ import annotations

import argparse
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import structlog

from abci_app.application import ChainApplication
from abci_app.context import Services
from abci_app.errors import ApplicationFailed, HomeInvalid, NodeError
from abci_app.gateway import UpdateBundler
from abci_app.grpc_server import GrpcServer
from abci_app.ibc_service import IbcService
from abci_app.metrics import Metrics
from abci_app.node_service import NodeService
from abci_app.nodehome import NodeConfig, NodeHome, load_config
from abci_app.rpc import CometRpc
from abci_app.server import Server
from abci_app.store import Store, open_store
from aggregation.kzg import load_setup, setup_path
from tx.errors import AppError
from wire.gradchain.hub.v1 import query_pb2_grpc as hub_grpc
from wire.gradchain.ibc.v1 import query_pb2_grpc as ibc_grpc
from wire.gradchain.node.v1 import query_pb2_grpc as node_grpc
from wire.gradchain.shard.v1 import query_pb2_grpc as shard_grpc

if TYPE_CHECKING:
    from abci_app.definition import AppDefinition

LOG = structlog.get_logger(__name__)

AddService = tuple[str, Callable[[grpc.Server], None]]


@dataclass(frozen=True, slots=True)
class _Assembly:
    """What differs between hub and shard."""

    definition: AppDefinition
    services: Callable[[ChainApplication, CometRpc], list[AddService]]


def _assemble_hub(_config: NodeConfig) -> _Assembly:
    from hub.app import build_hub_app  # noqa: PLC0415 - a shard node does not load the hub
    from hub.service import HubServicer  # noqa: PLC0415

    def services(application: ChainApplication, _sink: CometRpc) -> list[AddService]:
        servicer = HubServicer(application.store.latest)
        return [
            (
                "gradchain.hub.v1.HubService",
                lambda server: hub_grpc.add_HubServiceServicer_to_server(servicer, server),
            )
        ]

    return _Assembly(build_hub_app(), services)


def _assemble_shard(config: NodeConfig) -> _Assembly:
    from shards.app import build_shard_app  # noqa: PLC0415 - a hub node does not load the shard
    from shards.service import ShardServicer  # noqa: PLC0415

    def services(application: ChainApplication, sink: CometRpc) -> list[AddService]:
        from cli.submit_update import UpdateSubmitter  # noqa: PLC0415

        bundler = UpdateBundler(application, sink, max_tx_bytes=config.comet.max_tx_bytes)
        servicer = ShardServicer(application.store.latest, UpdateSubmitter(application, bundler).submit)
        return [
            (
                "gradchain.shard.v1.ShardService",
                lambda server: shard_grpc.add_ShardServiceServicer_to_server(servicer, server),
            )
        ]

    return _Assembly(build_shard_app(), services)


def _assemble(config: NodeConfig) -> _Assembly:
    if config.kind == "hub":
        return _assemble_hub(config)
    if config.kind == "shard":
        return _assemble_shard(config)
    raise HomeInvalid(f"expected kind hub or shard in node.toml, got {config.kind!r}")


def _start_grpc(
    config: NodeConfig, application: ChainApplication, sink: CometRpc, specific: list[AddService]
) -> GrpcServer | None:
    if config.grpc is None:
        return None
    node = NodeService(application, sink, rpc_address=str(config.rpc))
    ibc = IbcService(application.store.latest)
    return GrpcServer(
        str(config.grpc),
        [
            (
                "gradchain.node.v1.NodeService",
                lambda server: node_grpc.add_NodeServiceServicer_to_server(node, server),
            ),
            (
                "gradchain.ibc.v1.IbcService",
                lambda server: ibc_grpc.add_IbcServiceServicer_to_server(ibc, server),
            ),
            *specific,
        ],
    )


def run_app(home_path: Path) -> None:
    """Run the app of the node whose home is given, until SIGTERM or SIGINT.

    Raises:
      AppError: the home is invalid or locked, a port is in use, the state is corrupt, the disk is full.

    """
    home = NodeHome(home_path)
    config = load_config(home)
    assembly = _assemble(config)
    store: Store = open_store(home.app_directory, config.backend or None)
    metrics = Metrics(config.chain_id)
    services = Services(kzg=load_setup(setup_path().read_bytes()))
    application = ChainApplication(
        assembly.definition, store, services, chain_id=config.chain_id, metrics=metrics
    )
    sink = CometRpc(config.rpc_url)
    server = Server(application, config.abci)
    grpc_server = _start_grpc(config, application, sink, assembly.services(application, sink))
    if config.metrics is not None:
        metrics.serve(config.metrics.host, config.metrics.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    LOG.info("app ready", chain=config.chain_id, height=store.latest().height, grpc=str(config.grpc))
    try:
        server.serve_forever()
    except ApplicationFailed as failure:
        # A full disk or a damaged file is no defect, and has a cure of its own.
        if isinstance(failure.__cause__, NodeError):
            raise failure.__cause__ from None
        raise
    finally:
        if grpc_server is not None:
            grpc_server.stop()
        store.close()
    LOG.info("app stopped", chain=config.chain_id)


def run_variant(about: str | None, change: Callable[[], None]) -> int:
    """Run the app of the node that `--home` names, with something exchanged before; return the exit code.

    For the processes of benchmarks and of the demo's faults, which differ from a node's app in one thing each.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--home", type=Path, required=True)
    arguments = parser.parse_args()
    change()
    try:
        run_app(arguments.home)
    except AppError as error:
        logging.getLogger(__name__).error("%s", error)  # noqa: TRY400 - an expected failure has no traceback
        return 1
    return 0
