"""`gradchain key`: keys in files that only their owner can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from cli.keystore import describe_key, is_path, open_home
from cli.options import json_option
from cli.output import show
from tx.keys import format_address


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key.  Its secret half is in the file alone."""

    name: str
    address: str
    public_key: bytes
    file: str


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One line of the list."""

    name: str
    address: str | None
    problem: str | None
    """Why the file cannot be used."""


@dataclass(frozen=True, slots=True)
class KeyList:
    """All keys of the user."""

    keys: tuple[KeyRow, ...]


@click.group("key", no_args_is_help=True)
def key_group() -> None:
    """Make and show keys.

    A key is a file in keys/ of $GRADCHAIN_HOME (default ~/.gradchain) that only its owner can read. Whoever has the
    file has the account: back it up, and show it to nobody.
    """


@key_group.command("new")
@click.argument("name")
@json_option
def new_command(name: str, *, as_json: bool) -> None:
    """Make a key and keep it under NAME."""
    home = open_home()
    key = home.make_key(name)
    view = KeyView(name, format_address(key.public_key), key.public_key, str(home.key_file(name)))
    show(view, as_json=as_json)


@key_group.command("list")
@json_option
def list_command(*, as_json: bool) -> None:
    """List all keys with their addresses."""
    home = open_home()
    rows = tuple(KeyRow(name, *describe_key(home, name)) for name in home.list_names())
    show(KeyList(rows), as_json=as_json)


@key_group.command("show")
@click.argument("name", metavar="NAME|FILE")
@json_option
def show_command(name: str, *, as_json: bool) -> None:
    """Show the address of a key; the secret stays in its file."""
    home = open_home()
    key = home.find_key(name)
    path = Path(name) if is_path(name) else home.key_file(name)
    show(KeyView(path.stem, format_address(key.public_key), key.public_key, str(path)), as_json=as_json)
