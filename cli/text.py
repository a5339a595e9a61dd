"""Text of foreign origin, made safe for a terminal."""

from __future__ import annotations


def clean(text: str) -> str:
    """Return one line of printable characters.

    What a node or a file says must not move the cursor, recolour the screen or pose as a line of ours.
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
