"""Types of options that the commands of several packages take."""

from __future__ import annotations

import math

import click


class Seconds(click.FloatRange):
    """A time in seconds, in a range."""

    name = "number of seconds"

    def convert(self, value: float | str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Check the range; "nan" lies in none, though no comparison says so."""
        seconds = float(super().convert(value, param, ctx))  # type: ignore[arg-type]  # click converts texts too
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a valid {self.name}.", param, ctx)
        return seconds
