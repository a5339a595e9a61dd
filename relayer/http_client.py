"""Asking a running relayer over its HTTP server."""

from __future__ import annotations

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Final

from abci_app.json_reader import parse_json
from relayer.errors import HttpUnset, RelayerSilent
from relayer.holder import find_holder

if TYPE_CHECKING:
    from relayer.config import RelayerConfig

TIMEOUT_S: Final = 5.0


def ask_log_level(config: RelayerConfig, level: str | None) -> str:
    """Return the log level of the relayer that runs with a configuration, after changing it if one is given.

    Raises:
      HttpUnset: the configuration names no address.
      RelayerSilent: nothing answers there as a relayer does.

    """
    if config.http is None:
        raise HttpUnset("expected an address as http in [relayer] of the configuration, got none")
    connection = HTTPConnection(str(config.http), timeout=TIMEOUT_S)
    try:
        connection.request("GET" if level is None else "PUT", "/log-level", body=level)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException) as error:
        found = f"{error}; the relayer {find_holder(config.journal)}"
        raise RelayerSilent(f"expected a relayer at {config.http}, got: {found}") from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise RelayerSilent(f"expected a relayer at {config.http}, got status {answer.status}")
    return parse_json(content, f"http://{config.http}/log-level").text("level")
