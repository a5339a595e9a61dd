"""From nothing to a task that participants can join: chains, link, relayer, task."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from abci_app.client import ChainConnection
from abci_app.keyfile import save_key
from abci_app.nodehome import save_config
from abci_app.supervisor import child_environment
from localnet.demo.options import (
    BATCH_SIZE,
    BUDGET,
    EPOCHS,
    LEARNING_RATE,
    RELAY_FEE,
    ROUND_SECONDS,
    Tamper,
)
from localnet.errors import ChildFailed
from localnet.keys import derive_key
from localnet.manifest import parse_manifest
from localnet.network import Localnet
from localnet.relay import write_relayer_config
from participant.digits import build_network
from participant.tasks import build_spec, create_task, encode_initial, upload_model
from participant.tensors import to_vector
from wire.gradchain.fl.v1 import task_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from localnet.demo.children import Child, Children, Report
    from localnet.demo.options import DemoOptions
    from localnet.manifest import Manifest
    from localnet.nodes import ChainHandle
    from tx.keys import SigningKey

if TYPE_CHECKING:
    from collections.abc import Callable

CREATOR: Final = "creator"
LYING_APP: Final = "cli.lying_shard"
"""App of a shard whose validators all lie about their sum; named, not imported: it lies in a layer above."""

LINK_TIMEOUT_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class DemoChains:
    """A running localnet with its connections."""

    localnet: Localnet
    hub: ChainHandle
    shards: tuple[ChainHandle, ...]
    hub_connection: ChainConnection
    shard_connections: dict[str, ChainConnection]
    """By chain id."""

    @property
    def genesis(self) -> Path:
        """The hub's genesis file: the root of all trust."""
        return self.hub.nodes[0].home.genesis_file

    def close(self) -> None:
        """Close all connections."""
        self.hub_connection.close()
        for connection in self.shard_connections.values():
            connection.close()


def build_manifest(options: DemoOptions) -> Manifest:
    """Return the manifest of the demo's localnet."""
    shards = [{"name": f"shard-{index}", "kind": "shard"} for index in range(options.shards)]
    return parse_manifest(
        {
            "name": "demo",
            "seed": f"gradchain demo {options.seed}",
            "base_port": 0,
            "validators": options.validators,
            "accounts": {CREATOR: BUDGET, "faucet": BUDGET},
            "chains": [{"name": "hub", "kind": "hub", "params": {"relay_fee": RELAY_FEE}}, *shards],
        },
        "the demo's manifest",
    )


def start_chains(options: DemoOptions) -> DemoChains:
    """Make the localnet and start it; `DemoChains.localnet.wait_ready` waits for it."""
    localnet = Localnet.create(build_manifest(options), options.directory / "chains")
    if options.tamper is Tamper.SUM:
        for node in localnet.chains["shard-0"].nodes:
            save_config(node.home, replace(node.config, app=LYING_APP))
    localnet.start(detach=False)
    return connect(localnet)


def connect(localnet: Localnet) -> DemoChains:
    """Return connections to all chains of a localnet."""
    hub = next(chain for chain in localnet.chains.values() if chain.kind == "hub")
    shards = tuple(chain for chain in localnet.chains.values() if chain.kind == "shard")
    return DemoChains(
        localnet=localnet,
        hub=hub,
        shards=shards,
        hub_connection=ChainConnection(hub.grpc_addresses),
        shard_connections={shard.chain_id: ChainConnection(shard.grpc_addresses) for shard in shards},
    )


def link_chains(chains: DemoChains, directory: Path) -> Path:
    """Create the light clients and register the shards; return the relayer's configuration.

    Raises:
      ChildFailed: the command failed; its message says why.

    """
    config = write_relayer_config(chains.localnet, directory)
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "relayer", "link", "--config", str(config)],
        capture_output=True,
        text=True,
        timeout=LINK_TIMEOUT_S,
        env=child_environment(),
        check=False,
    )
    (directory / "link.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        raise ChildFailed(f"relayer link failed: {done.stderr.strip()}")
    return config


def start_relayer(children: Children, config: Path) -> Child:
    """Start the relayer."""
    return children.start("relayer", "relayer", "relayer.main", ["--config", str(config)])


def describe_task(options: DemoOptions) -> task_pb2.TaskSpec:
    """Return the spec of the demo's task."""
    return build_spec(
        build_network(options.seed),
        name="digits",
        description="Reads handwritten digits: 5,000 real MNIST images, split among the participants.",
        licence="Apache-2.0",
        rounds=options.rounds,
        round_seconds=ROUND_SECONDS,
        min_shards=options.shards,
        min_participants=options.participants,
        budget=BUDGET,
        training=task_pb2.LocalTraining(
            optimiser="sgd",
            learning_rate=LEARNING_RATE,
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            seed=options.seed,
        ),
    )


def publish_task(chains: DemoChains, options: DemoOptions) -> int:
    """Create the task with its budget and first model, and return its number."""
    key = chains.localnet.key(CREATOR)
    spec = describe_task(options)
    encoded, root = encode_initial(to_vector(build_network(options.seed)))
    task = create_task(chains.hub_connection, chains.hub.chain_id, key, spec, root)
    upload_model(chains.hub_connection, chains.hub.chain_id, key, task, encoded)
    return task


def participant_keys(options: DemoOptions) -> list[SigningKey]:
    """Return the keys of the demo's participants."""
    return [
        derive_key(f"gradchain demo {options.seed}", "participant", str(index))
        for index in range(options.participants)
    ]


def start_workers(children: Children, options: DemoOptions, on_report: Callable[[Report], None]) -> None:
    """Start the processes of the participants.  They load what they need, and wait for `assign_workers`."""
    folder = options.directory / "participants"
    for worker in range(count_workers(options)):
        path = folder / f"worker-{worker}.json"
        child = children.start(
            f"participants-{worker}", "participants", "participant.worker", ["--config", str(path)], on_report
        )
        child.expected_to_end = True


def count_workers(options: DemoOptions) -> int:
    """Return over how many processes the participants are spread."""
    return min(options.workers, options.participants)


def assign_workers(chains: DemoChains, options: DemoOptions, task: int) -> None:
    """Tell the processes of the participants what to do: register, and train until the task ends."""
    folder = options.directory / "participants"
    paths = []
    for index, key in enumerate(participant_keys(options)):
        path = folder / "keys" / f"participant-{index}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_key(path, key)
        paths.append(str(path))
    count = count_workers(options)
    for worker in range(count):
        values = {
            "hub": list(chains.hub.grpc_addresses),
            "genesis": str(chains.genesis),
            "shards": {shard.chain_id: list(shard.grpc_addresses) for shard in chains.shards},
            "task": task,
            "seed": options.seed,
            "participants": options.participants,
            "members": {str(index): paths[index] for index in range(worker, options.participants, count)},
            "state": str(folder / "state"),
        }
        complete = folder / f"worker-{worker}.new"
        complete.write_text(json.dumps(values, indent=1), encoding="utf-8")
        complete.rename(folder / f"worker-{worker}.json")
