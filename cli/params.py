"""Types of options that several commands take."""

from __future__ import annotations

from typing import Final

import click

from abci_app.option_types import check_address

MAX_AMOUNT: Final = 2**63 - 1
"""More tokens than there can be."""

MAX_NUMBER: Final = 2**64 - 1


class ChainAddress(click.ParamType[tuple[str, str]]):
    """`chain-id=host:port`; several in an environment variable are parted by commas."""

    name = "CHAIN=HOST:PORT"
    envvar_list_splitter = ","

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Cut the text at the equals sign and check both halves."""
        del param, ctx
        if isinstance(value, tuple):
            return value
        chain_id, equals, address = value.strip().partition("=")
        if not equals or not chain_id:
            raise click.BadParameter(f"expected CHAIN=HOST:PORT, got {value!r}")
        return chain_id, check_address(address)


CHAIN_ADDRESS: Final = ChainAddress()


class WholeNumber(click.IntRange):
    """A whole number in a range, under a name that people use."""

    name = "whole number"


AMOUNT: Final = WholeNumber(1, MAX_AMOUNT)
TASK: Final = WholeNumber(1, MAX_NUMBER)
ROUND: Final = WholeNumber(1, MAX_NUMBER)
ATTEMPT: Final = WholeNumber(0, 2**32 - 1)
