"""A small real network, brought up with nothing but the command line, and what tests need to use it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from localnet.manifest import NETWORKS
from localnet.network import Localnet
from tests.support.e2e import Console, Trail, finish
from tests.support.tools import ROOT
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from localnet.nodes import ChainHandle
    from tests.support.e2e import Finished

EXAMPLE = ROOT / "docs" / "examples" / "own_task.py"


@dataclass(frozen=True, slots=True)
class SmallNetwork:
    """A hub and two shards with a validator each, and a relayer."""

    console: Console
    localnet: Localnet
    relayer_log: Path

    @property
    def hub(self) -> ChainHandle:
        return self.localnet.chains["hub"]

    @property
    def shards(self) -> list[ChainHandle]:
        return [chain for chain in self.localnet.chains.values() if chain.kind == "shard"]

    @property
    def genesis(self) -> Path:
        """The hub's genesis file."""
        return self.hub.nodes[0].home.genesis_file

    @property
    def addresses(self) -> list[str]:
        """The options of programs that use the SDK."""
        shards = [part for chain in self.shards for part in ("--shard", chain.grpc_addresses[0])]
        return ["--hub", self.hub.grpc_addresses[0], *shards, "--genesis", str(self.genesis)]

    def new_key(self, name: str, amount: int = 0) -> Path:
        """Make a key of the user, give it tokens, and return its file."""
        made = self.console.view("key", "new", name)
        if amount:
            self.console.view("faucet", "--to", name, "--amount", str(amount))
        return Path(str(made["file"]))

    def start_example(self, *options: str) -> subprocess.Popen[str]:
        """Start the example of the documentation."""
        return self.console.start_python(str(EXAMPLE), *self.addresses, *options)

    def create_example(self, key: Path) -> int:
        """Let the example create its task, and return the number."""
        done = finish(self.start_example("--key", str(key), "--create"))
        assert done.exit_code == 0, done.describe()
        return int(done.stdout.removeprefix("task "))

    def train_example(self, task: int, keys: Sequence[Path]) -> list[Finished]:
        """Let the example take part for each key, side by side, until the task ends."""
        started = [
            self.start_example("--key", str(key), "--task", str(task), "--seed", str(number))
            for number, key in enumerate(keys, start=1)
        ]
        return [finish(process) for process in started]


@contextmanager
def small_network(folder: Path) -> Iterator[SmallNetwork]:
    """Bring a small network up, linked and relayed; take it down and check that nothing of it is left."""
    trail = Trail()
    directory = folder / "net"
    console = Console(folder / "home", trail, {"GRADCHAIN_LOCALNET": str(directory)})
    relayer = None
    try:
        console.text("localnet", "up", "--network", str(write_manifest(folder)))
        links = console.view("relayer", "link")["links"]
        assert isinstance(links, list)
        assert len(links) == 2
        log = folder / "relayer.log"
        relayer = start_relayer(console, log)
        yield SmallNetwork(console, Localnet.open(directory), log)
    finally:
        if relayer is not None:
            relayer.send_signal(signal.SIGTERM)
            relayer.wait()
        console.text("localnet", "down")
    assert trail.list_processes() == {}


def write_manifest(folder: Path) -> Path:
    """Write the manifest of the network `small`, but on any free ports."""
    path = folder / "small.toml"
    text = (NETWORKS / "small.toml").read_text()
    changed = re.sub(r"^base_port = \d+$", "base_port = 0", text, flags=re.MULTILINE)
    assert changed != text
    path.write_text(changed)
    return path


def start_relayer(console: Console, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start the relayer of the localnet in the background, as a user would."""
    return start_in_background(console, log, "relayer", "start", *options)


def start_in_background(console: Console, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command that goes on until it is told to stop, with its output in a log."""
    variables = {"GRADCHAIN_HOME": str(console.home), **console.variables}
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=console.trail.environment(variables),
        )
    console.trail.wait_for_mark(process)
    return process


def wait_for_round(console: Console, task: int, number: int) -> dict[str, object]:
    """Wait until a round of a task is open, and return what is said of it."""

    def look() -> dict[str, object] | None:
        view = console.view("task", "show", str(task))
        return view if int(str(view["round"])) >= number else None

    return eventually(look, f"round {number} of task {task}")
