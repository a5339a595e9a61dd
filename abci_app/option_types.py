"""Types of options that the commands of several packages take."""

from __future__ import annotations

import math
from typing import Final

import click

from abci_app.endpoint import parse_endpoint
from abci_app.errors import HomeInvalid


class Seconds(click.FloatRange):
    """A time in seconds, in a range."""

    name = "number of seconds"

    def convert(self, value: float | str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Check the range; "nan" lies in none, though no comparison says so."""
        seconds = float(super().convert(value, param, ctx))  # type: ignore[arg-type]  # click converts texts too
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return seconds


def check_address(text: str) -> str:
    """Return the text of an address `host:port` in its one form.

    Raises:
      BadParameter: it has another form.

    """
    try:
        return str(parse_endpoint(text))
    except HomeInvalid as error:
        raise click.BadParameter(error.message) from None


class NodeAddress(click.ParamType[str]):
    """`host:port`; several in an environment variable are parted by commas."""

    name = "HOST:PORT"
    envvar_list_splitter = ","

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the form of an address."""
        del param, ctx
        return check_address(value.strip())


NODE_ADDRESS: Final = NodeAddress()
