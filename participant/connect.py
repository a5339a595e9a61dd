"""Reach a network in one call, from addresses, a genesis file and a key.

```python
with connect(hub="127.0.0.1:27602", shards=["127.0.0.1:27612"], genesis="genesis.json", key="alice.json") as network:
    participant = network.join(task=1, state="state")
```
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import structlog

from abci_app.client import DEFAULT_TIMEOUT_S, ChainConnection
from abci_app.closing import Closing
from abci_app.errors import NodeUnavailable
from abci_app.keyfile import load_key
from aggregation.kzg import load_setup, setup_path
from aggregation.model import to_float
from participant.sdk import Participant
from participant.tasks import create_task, encode_initial, upload_model, wait_until_open
from participant.tensors import check_tensors, load_vector, to_vector
from participant.verified import open_hub
from tx.errors import AppError
from tx.keys import SigningKey
from wire.gradchain.node.v1 import query_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from aggregation.kzg import Setup
    from participant.verified import ProvenModel, VerifiedHub
    from wire.gradchain.fl.v1 import task_pb2

LOG = structlog.get_logger(__name__)

PROBE_TIMEOUT_S: Final = 5.0
"""How long a node may take to say which chain it is of."""


class ShardDirectory(Mapping[str, ChainConnection]):
    """Connections to shards by chain id; which chain a node is of, the node itself says.

    A node that does not answer is asked again when somebody looks for a shard that no other node is of.  What it says
    is not verified and need not be: an update names its shard under the participant's signature, so that any other
    chain refuses it.
    """

    def __init__(self, addresses: Sequence[str], timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Take the gRPC addresses (`host:port`) of nodes of any shards; nobody is asked yet."""
        self._silent = list(addresses)
        self._timeout_s = timeout_s
        self._found: dict[str, ChainConnection] = {}
        self._lock = threading.Lock()

    def __getitem__(self, chain_id: str) -> ChainConnection:
        """Return the connection to a shard, after asking the nodes that have not said of which chain they are.

        Raises:
          KeyError: no node is of that shard.
          NodeUnavailable: those that answer are not, and others do not answer.

        """
        with self._lock:
            if chain_id not in self._found:
                self._ask()
            if chain_id not in self._found and self._silent:
                raise NodeUnavailable(
                    f"expected a node of shard {chain_id}, got no answer from {', '.join(self._silent)}"
                )
            return self._found[chain_id]

    def __iter__(self) -> Iterator[str]:
        """Yield the chain ids of the shards that are known by now."""
        return iter(tuple(self._found))

    def __len__(self) -> int:
        """Return how many shards are known by now."""
        return len(self._found)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._found.values():
            connection.close()

    def _ask(self) -> None:
        asked, self._silent = self._silent, []
        for address in asked:
            chain_id = _ask_chain_id(address)
            if chain_id is None:
                self._silent.append(address)
            elif chain_id in self._found:
                known = self._found[chain_id]
                known.addresses = [*known.addresses, address]
            else:
                self._found[chain_id] = ChainConnection([address], self._timeout_s)


def _ask_chain_id(address: str) -> str | None:
    connection = ChainConnection([address], PROBE_TIMEOUT_S)
    try:
        request = query_pb2.GetStatusRequest()
        return connection.node(lambda stub: stub.GetStatus(request, timeout=PROBE_TIMEOUT_S)).chain_id
    except NodeUnavailable as error:
        LOG.warning("shard node does not answer", address=address, reason=error.message)
        return None
    finally:
        connection.close()


class Network(Closing):
    """A hub, its shards, and the key of who uses them.  Use `connect`."""

    def __init__(self, key: SigningKey, hub: VerifiedHub, shards: ShardDirectory) -> None:
        self.key = key
        self.hub = hub
        """Everything read through it is verified, where its docstrings do not say otherwise."""
        self.shards = shards

    def close(self) -> None:
        """Close all connections."""
        self.hub.close()
        self.hub.connection.close()
        self.shards.close()

    @cached_property
    def setup(self) -> Setup:
        """The set-up of the commitments; it takes some seconds to load, and only updates need it."""
        return load_setup(setup_path().read_bytes())

    def create_task(self, spec: task_pb2.TaskSpec, module: nn.Module) -> int:
        """Create a task whose first model is the module, and return its number once participants can join.

        The budget of the spec leaves the key's account at once.  `participant.tasks.build_spec` makes a spec.

        Raises:
          ModelMismatch: the module has other tensors than the spec.
          NotFiniteError: a weight is not finite.
          RemoteError: the hub refused it; for want of tokens, say.
          NodeUnavailable, CommitTimeout: the hub does not answer in time.

        """
        check_tensors(module, spec.tensors)
        encoded, root = encode_initial(to_vector(module))
        connection, chain_id = self.hub.connection, self.hub.chain_id
        task = create_task(connection, chain_id, self.key, spec, root)
        upload_model(connection, chain_id, self.key, task, encoded)
        wait_until_open(connection, task)
        return task

    def join(self, task: int, state: Path | str) -> Participant:
        """Register for a task, unless that was done before, and return who takes part in its rounds.

        `state` is the directory for what must not be lost; see `Participant`.

        Raises:
          RemoteError: there is no such task, it takes nobody any more, or no node could take the registration.
          StateMismatch: the directory belongs to another key, task or chain.
          NodeUnavailable: the hub does not answer.

        """
        participant = Participant(
            self.key, hub=self.hub, shards=self.shards, task=task, state=Path(state), setup=self.setup
        )
        participant.register()
        return participant

    def load_model(self, task: int, module: nn.Module) -> ProvenModel:
        """Copy the newest model of a task into a module, and return it with its proof.

        Raises:
          UnverifiedData: header, proof and bytes do not fit.
          ModelMismatch: the module is not the task's.

        """
        check_tensors(module, self.hub.task_spec(task).tensors)
        proven = self.hub.prove_model(task)
        load_vector(module, to_float(proven.model).astype(np.float32))
        return proven


def connect(
    *,
    hub: str | Sequence[str],
    shards: str | Sequence[str],
    genesis: Path | str,
    key: SigningKey | Path | str,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> Network:
    """Connect to a network; close it, or use it in a `with` statement.

    `hub` and `shards` are gRPC addresses (`host:port`) of nodes, one or several; of which shard a node is, is found
    out.  `genesis` is the hub's genesis file, from someone you trust: what nodes say is checked against its
    validators.  `key` is a key or its file.

    Raises:
      KeyFileMissing, KeyFileReadable, KeyFileInvalid, KeyFileUnusable: of the key's file.
      TrustMissing: the genesis file cannot be used.
      NodeUnavailable: no hub node answers.
      UnverifiedData: the node that answers is of another chain.

    """
    signer = key if isinstance(key, SigningKey) else load_key(Path(key))
    connection = ChainConnection(_as_list(hub), timeout_s)
    try:
        verified = open_hub(connection, Path(genesis))
    except AppError:
        connection.close()
        raise
    return Network(signer, verified, ShardDirectory(_as_list(shards), timeout_s))


def _as_list(addresses: str | Sequence[str]) -> list[str]:
    return [addresses] if isinstance(addresses, str) else list(addresses)
