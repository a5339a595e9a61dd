"""Cures name commands; those must exist, with the options that the cure gives them."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest

from cli.lazy import load_command
from cli.main import COMMANDS
from tx.errors import REGISTRY

MODULES = (
    "tx.failures",
    "aggregation.errors",
    "ibc.errors",
    "abci_app.errors",
    "hub.errors",
    "shards.errors",
    "relayer.errors",
    "participant.errors",
    "localnet.errors",
    "cli.errors",
)
for module in MODULES:
    import_module(module)

PRODUCT = {import_module(module).__name__.partition(".")[0] for module in MODULES}
QUOTED = sorted(
    {
        (f"{space}/{code}", quoted)
        for (space, code), error in REGISTRY.items()
        if error.__module__.partition(".")[0] in PRODUCT
        for quoted in re.findall(r"`gradchain ([^`]*)`", error.CURE)
    }
)


@pytest.mark.parametrize(("code", "quoted"), QUOTED, ids=[f"{code}: {quoted}" for code, quoted in QUOTED])
def test_a_command_that_a_cure_names_exists(code: str, quoted: str) -> None:
    words = quoted.split()
    assert words[0] in COMMANDS, f"{code}: no noun {words[0]}"
    command = load_command(COMMANDS[words[0]])
    rest = words[1:]
    while isinstance(command, click.Group) and rest:
        assert rest[0] in command.commands, f"{code}: {quoted}"
        command = command.commands[rest.pop(0)]
    known = {flag for parameter in command.params for flag in parameter.opts}
    assert {word for word in rest if word.startswith("--")} <= known, f"{code}: {quoted}"
