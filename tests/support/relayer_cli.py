"""The relayer's commands as a person or a script runs them, on a played pair of chains."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from cli.main import root
from relayer.config_text import format_config
from tests.support.relayer import running_relayer
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from click.testing import Result

    from relayer.config import RelayerConfig
    from tests.support.relayer import Pair


def write_config(config: RelayerConfig) -> Path:
    """Write a configuration beside its journal, in place of the last one."""
    path = config.journal.parent / "relayer.toml"
    path.write_text(format_config(config), encoding="utf-8")
    return path


def run(pair: Pair, *arguments: str) -> Result:
    """Run `gradchain relayer ...` with the configuration that was written last."""
    path = pair.directory / "relayer.toml"
    return CliRunner().invoke(
        root, ["relayer", *arguments, "--config", str(path)], env={"GRADCHAIN_DEBUG": None}
    )


def run_json(pair: Pair, *arguments: str, exit_code: int = 0) -> dict[str, Any]:
    """Run a command with --json and return what it prints."""
    result = run(pair, *arguments, "--json")
    assert result.exit_code == exit_code, result.output
    value = json.loads(result.stdout)
    assert isinstance(value, dict)
    return value


def send(pair: Pair, from_hub: int, from_shard: int = 0) -> None:
    """Have packets sent, and wait until they are."""
    pair.send_from_hub(from_hub)
    for _ in range(from_shard):
        pair.send_from_shard()
    eventually(lambda: pair.hub.has_sent() and pair.shard.has_sent(), "the packets to be sent")


@contextmanager
def relayer_in_thread(config: RelayerConfig) -> Iterator[None]:
    """Run a relayer beside the test, in an event loop of its own."""
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def relay() -> None:
        async with running_relayer(config):
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(relay()))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
