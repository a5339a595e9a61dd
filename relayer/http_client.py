"""Asking a running relayer over its HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx

from abci_app.json_reader import parse_json
from relayer.errors import RelayerSilent

if TYPE_CHECKING:
    from relayer.config import RelayerConfig

TIMEOUT_S: Final = 5.0


def ask_log_level(config: RelayerConfig, level: str | None) -> str:
    """Return the log level of the relayer that runs with a configuration, after changing it if one is given.

    Raises:
      RelayerSilent: the configuration names no address, or nothing answers there as a relayer does.

    """
    if config.http is None:
        raise RelayerSilent("expected http in [relayer] of the configuration, got none")
    url = f"http://{config.http}/log-level"
    try:
        with httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client:
            answer = client.get(url) if level is None else client.put(url, content=level)
    except httpx.HTTPError as error:
        raise RelayerSilent(f"expected a relayer at {config.http}, got: {error}") from error
    if answer.status_code != httpx.codes.OK:
        raise RelayerSilent(f"expected a relayer at {config.http}, got status {answer.status_code}")
    return parse_json(answer.content, url).text("level")
