"""Driving the command line in this process, against any network."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from click.testing import CliRunner

from cli.main import root

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from click.testing import Result


@dataclass(frozen=True, slots=True)
class Cli:
    """Runs commands with the same environment, and with options that say which network is meant."""

    home: Path
    """Where keys and state of the user are."""
    network: tuple[str, ...] = ()
    env: Mapping[str, str | None] = field(default_factory=dict)

    def run(self, *arguments: str, env: Mapping[str, str | None] | None = None) -> Result:
        """Run a command as it is given."""
        cleared = dict.fromkeys(
            ("GRADCHAIN_HUB", "GRADCHAIN_SHARDS", "GRADCHAIN_GENESIS", "GRADCHAIN_LOCALNET", "GRADCHAIN_KEY")
        )
        merged = {
            **cleared,
            "GRADCHAIN_DEBUG": None,
            "GRADCHAIN_HOME": str(self.home),
            **self.env,
            **(env or {}),
        }
        return CliRunner().invoke(root, list(arguments), env=merged)

    def on(self, *arguments: str) -> Result:
        """Run a command on the network."""
        return self.run(*arguments, *self.network)

    def text(self, *arguments: str) -> str:
        """Run a command on the network that succeeds, and return what it prints."""
        result = self.on(*arguments)
        assert result.exit_code == 0, result.output
        assert "error:" not in result.stderr
        return result.stdout

    def json(self, *arguments: str) -> dict[str, object]:
        """Run a command on the network that succeeds, and return the JSON that it prints."""
        result = self.on(*arguments, "--json")
        assert result.exit_code == 0, result.output
        value = json.loads(result.stdout)
        assert isinstance(value, dict)
        return value

    def new_key(self, name: str) -> str:
        """Make a key and return its address."""
        result = self.run("key", "new", name, "--json")
        assert result.exit_code == 0, result.output
        address = json.loads(result.stdout)["address"]
        assert isinstance(address, str)
        return address


def fails(result: Result, exit_code: int, text: str, *, cure: bool = True) -> None:
    """Check that a command has failed with one line of error, its cure, and nothing on standard output."""
    assert result.exit_code == exit_code, result.output
    lines = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == (["error", "cure"] if cure else ["error"]), (
        result.stderr
    )
    assert text in lines[0]
    assert result.stdout == ""
