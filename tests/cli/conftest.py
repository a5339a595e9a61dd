"""A network in this process: a hub and a shard with real services, and the command line pointed at them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import structlog

from abci_app.keyfile import save_key
from tests.support.cli import Cli
from tests.support.hub import CREATOR, make_spec, participant_key
from tests.support.served import ServedHub, ServedShard, carry_packets
from tests.support.shard_rounds import SHARD_CHAIN
from wire.gradchain.hub.v1 import tx_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tx.keys import SigningKey
    from wire.gradchain.fl.v1 import task_pb2


@dataclass
class Network:
    """A hub and its only shard."""

    hub: ServedHub
    shard: ServedShard
    genesis: Path

    @property
    def hub_option(self) -> tuple[str, ...]:
        return "--hub", self.hub.host.address

    @property
    def options(self) -> tuple[str, ...]:
        """Everything that a command can be told about the network."""
        shard = f"{SHARD_CHAIN}={self.shard.host.address}"
        return *self.hub_option, "--shard", shard, "--genesis", str(self.genesis), "--timeout", "20"

    def start_task(self, participants: int = 2, spec: task_pb2.TaskSpec | None = None) -> int:
        """Create a task whose first round is open on hub and shard, for the first participants by number."""
        task = self.hub.create_task(make_spec(min_participants=participants) if spec is None else spec)
        self.hub.register(task, *range(participants))
        carry_packets(self.hub, self.shard)
        return task

    def give(self, public_key: bytes, amount: int) -> None:
        """Send tokens of the creator to an account."""
        message = tx_pb2.MsgTransfer(to=public_key, amount=amount)
        setattr(message, "from", CREATOR.public_key)
        self.hub.must_send(CREATOR, message)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    """The command line of a user with an empty home, in an empty folder."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield Cli(tmp_path / "home")
    structlog.reset_defaults()


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    hub = ServedHub(tmp_path / "hub").open()
    shard = ServedShard(tmp_path / "shard").open_doors()
    hub.add_shards(SHARD_CHAIN)
    yield Network(hub, shard, hub.host.write_genesis(tmp_path / "genesis.json"))
    shard.close()
    hub.host.close()


@pytest.fixture
def online(cli: Cli, network: Network) -> Cli:
    """The command line, told everything about the network."""
    return Cli(cli.home, network.options)


@pytest.fixture
def keep_key(cli: Cli) -> Callable[[str, SigningKey], None]:
    """Put a key that the test knows into the user's home."""

    def keep(name: str, key: SigningKey) -> None:
        directory = cli.home / "keys"
        directory.mkdir(parents=True, exist_ok=True)
        save_key(directory / f"{name}.json", key)

    return keep


@pytest.fixture
def creator(keep_key: Callable[[str, SigningKey], None]) -> str:
    """Name of the key that owns almost all tokens."""
    keep_key("creator", CREATOR)
    return "creator"


@pytest.fixture
def alice(keep_key: Callable[[str, SigningKey], None]) -> str:
    """Name of the first participant's key."""
    keep_key("alice", participant_key(0))
    return "alice"
