"""The commands about keys, on a played pair of chains."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from abci_app.keyfile import load_key
from cli.errors import Exit
from relayer.config import load_config
from relayer.driver import Driver
from relayer.journal import Journal
from relayer.keyring import load_keys
from relayer.service import connected
from tests.support.relayer import ended, until
from tests.support.relayer_cli import run, run_json, write_config
from tx.keys import format_address
from wire.gradchain.tx.v1 import tx_pb2
from wire.ibc.core.channel.v2 import tx_pb2 as channel_tx_pb2

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.relayer import Pair


def test_keys_are_files_that_only_their_owner_reads_and_sign_for_the_chains_that_are_named(
    pair: Pair,
) -> None:
    added = run_json(pair, "keys", "add", "second", "--chain", "hub-1")
    assert added["chains"] == ["hub-1"]
    path = pair.directory / "keys" / "second.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    config = load_config(pair.directory / "relayer.toml")
    assert config.hub.key_files == (*pair.config.hub.key_files, path)
    assert config.shards == pair.config.shards
    shown = run_json(pair, "keys", "show", "second")
    assert (shown["address"], shown["chains"]) == (added["address"], ["hub-1"])
    again = run_json(pair, "keys", "add", "second")
    assert (again["made"], again["chains"]) == (False, ["shard-1"])
    seed = json.loads(path.read_text())["seed"]
    assert all(seed not in run(pair, "keys", *words).output for words in (("list",), ("show", "second")))


def test_keys_list_names_what_cannot_be_used(pair: Pair) -> None:
    os.chmod(pair.config.hub.key_files[0], 0o644)  # noqa: PTH101 - what a person does
    keys = run_json(pair, "keys", "list")["keys"]
    assert [(key["chain"], key["role"]) for key in keys] == [
        ("hub-1", "relayer"),
        ("hub-1", "authority"),
        ("shard-1", "relayer"),
        ("shard-1", "authority"),
    ]
    assert "node/12" in keys[0]["problem"]
    assert not keys[1]["problem"]
    assert "authority" in run(pair, "keys", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("add", "../x"), Exit.USAGE),
        (("add", "x", "--chain", "shard-9"), Exit.USAGE),
        (("show", "x"), Exit.ENVIRONMENT),
    ],
)
def test_keys_fail_in_one_line(pair: Pair, arguments: tuple[str, ...], exit_code: Exit) -> None:
    result = run(pair, "keys", *arguments)
    assert result.exit_code == exit_code
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == ["error", "cure"]


def test_a_key_that_lies_elsewhere_is_found_by_its_name(pair: Pair) -> None:
    (own,) = pair.config.hub.key_files
    elsewhere = pair.directory / "elsewhere" / "mine.json"
    elsewhere.parent.mkdir()
    own.rename(elsewhere)
    hub = replace(pair.config.hub, key_files=(elsewhere,))
    write_config(replace(pair.config, hub=hub))
    assert run_json(pair, "keys", "show", "mine")["file"] == str(elsewhere)


def test_several_keys_sign_in_turn(pair: Pair) -> None:
    run_json(pair, "keys", "add", "second")
    config = load_config(pair.directory / "relayer.toml")
    asyncio.run(_relay_some(pair, config.journal))
    keys = [load_key(path) for path in load_config(pair.directory / "relayer.toml").shards[0].key_files]
    assert len(keys) == 2
    assert {_signer(tx) for tx in pair.shard.taken[-3:]} == {format_address(key.public_key) for key in keys}


async def _relay_some(pair: Pair, journal: Path) -> None:
    config = load_config(pair.directory / "relayer.toml")
    async with connected(config) as (hub, shards):
        with Journal(journal) as opened:
            driver = Driver(config, opened, hub, shards, load_keys(config.chains))
            task = asyncio.create_task(driver.run())
            for count in range(1, 4):
                pair.send_from_hub()
                await until(partial(_have_ended, pair, count), "an acknowledgement", task)
            task.cancel()
            await asyncio.wait([task])


def _have_ended(pair: Pair, count: int) -> bool:
    return len(ended(pair.hub)) == count


def _signer(tx: bytes) -> str:
    """Return who signed a relayed transaction, as its last message says."""
    body = tx_pb2.TxBody.FromString(tx_pb2.Envelope.FromString(tx).tx.body)
    return channel_tx_pb2.MsgRecvPacket.FromString(body.messages[-1].value).signer
