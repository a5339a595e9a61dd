"""Checks of what `gradchain node init` is told, so that a slip shows at once and not when the node starts."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import click

from abci_app.endpoint import parse_endpoint
from abci_app.errors import HomeInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from abci_app.comet_home import JsonValue
    from abci_app.endpoint import Endpoint

_NODE_ID: Final = re.compile(r"[0-9a-f]{40}")


def check_endpoint(_ctx: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Check an option of the form host:port; an empty one is none.

    Raises:
      BadParameter: it has another form.

    """
    if text:
        _parse(text)
    return text


def check_peers(_ctx: click.Context, _parameter: click.Parameter, texts: Sequence[str]) -> Sequence[str]:
    """Check options of the form ID@HOST:PORT.

    Raises:
      BadParameter: one has another form.

    """
    for text in texts:
        node_id, _, address = text.partition("@")
        if _NODE_ID.fullmatch(node_id) is None:
            raise click.BadParameter(
                f"expected ID@HOST:PORT with the 40 hexadecimal digits that `node init` printed, got {text!r}"
            )
        _parse(address)
    return texts


def check_listeners(listeners: Mapping[str, Endpoint]) -> None:
    """Check that no two services of a node share an address.

    Raises:
      UsageError: two do.

    """
    seen: dict[Endpoint, str] = {}
    for name, endpoint in listeners.items():
        other = seen.setdefault(endpoint, name)
        if other != name:
            raise click.UsageError(
                f"expected an address of its own for --{name}, got {endpoint} of --{other}"
            )


def read_app_state(path: Path | None) -> dict[str, JsonValue]:
    """Return the app's part of a new genesis, empty without a file.

    Raises:
      UsageError: the file holds no JSON object.

    """
    return {} if path is None else _read_object(path, "--app-state")


def read_genesis(path: Path, chain_id: str) -> str:
    """Return the text of a genesis file of a chain.

    Raises:
      UsageError: the file is no genesis, or that of another chain.

    """
    found = _read_object(path, "--genesis").get("chain_id")
    if found != chain_id:
        raise click.UsageError(f"expected the genesis of {chain_id} in {path}, got that of {found!r}")
    return path.read_text(encoding="utf-8")


def _read_object(path: Path, option: str) -> dict[str, JsonValue]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise click.UsageError(f"expected JSON in {path} ({option}), got: {error}") from None
    if not isinstance(value, dict):
        raise click.UsageError(f"expected a JSON object in {path} ({option}), got something else")
    return value


def _parse(text: str) -> None:
    try:
        parse_endpoint(text)
    except HomeInvalid as error:
        raise click.BadParameter(error.message) from None
