"""The user's own files: keys by name, and what participants must not lose."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from abci_app.errors import KeyFileMissing
from abci_app.keyfile import generate_key, load_key, save_key
from tx.errors import AppError
from tx.keys import ADDRESS_PREFIX, format_address

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tx.keys import SigningKey

HOME_VARIABLE: Final = "GRADCHAIN_HOME"
KEY_SUFFIX: Final = ".json"
PRIVATE_DIRECTORY: Final = 0o700

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class UserHome:
    """The directory of a user's keys and state."""

    path: Path

    @property
    def keys(self) -> Path:
        """Where keys are kept by name."""
        return self.path / "keys"

    def key_file(self, name: str) -> Path:
        """Return the file of a key.

        Raises:
          BadParameter: that is no name.

        """
        return self.keys / (check_name(name) + KEY_SUFFIX)

    def make_key(self, name: str) -> SigningKey:
        """Make a key and keep it under a name.

        Raises:
          BadParameter: that is no name.
          KeyFileExists: the name is taken.

        """
        path = self.key_file(name)
        self.keys.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        key = generate_key()
        save_key(path, key)
        return key

    def list_names(self) -> Iterator[str]:
        """Yield the names of all keys, sorted."""
        if self.keys.is_dir():
            for path in sorted(self.keys.glob("*" + KEY_SUFFIX)):
                if _NAME.fullmatch(path.stem):
                    yield path.stem

    def find_key(self, name_or_path: str) -> SigningKey:
        """Load a key by its name, or from a file.

        Raises:
          BadParameter: that is neither.
          KeyFileMissing, KeyFileReadable, KeyFileInvalid, KeyFileUnusable: of the file.

        """
        if is_path(name_or_path):
            return load_key(Path(name_or_path))
        return load_key(self.key_file(name_or_path))

    def participant_state(self, hub_chain_id: str, task: int, address: str) -> Path:
        """Return where a participant of a task keeps what it must not lose."""
        return self.path / "participants" / check_name(hub_chain_id) / str(task) / address


def open_home() -> UserHome:
    """Return the user's home: the environment's, or the default one."""
    found = os.environ.get(HOME_VARIABLE)
    return UserHome(Path(found) if found else Path.home() / ".gradchain")


def is_path(text: str) -> bool:
    """Tell whether a text for a key names a file rather than a key."""
    return os.sep in text or text.endswith(KEY_SUFFIX)


def check_name(name: str) -> str:
    """Return a name that is fit for a file.

    Raises:
      BadParameter: it is not.

    """
    if _NAME.fullmatch(name) is None or name.startswith(ADDRESS_PREFIX + "1"):
        raise click.BadParameter(
            f"expected a name of 1 to 64 letters, digits, dots, dashes and underscores that is no address, "
            f"got {name!r}"
        )
    return name


def describe_key(home: UserHome, name: str) -> tuple[str | None, str | None]:
    """Return the address of a key, or why there is none: one bad file must not hide the others."""
    try:
        return format_address(home.find_key(name).public_key), None
    except KeyFileMissing:
        return None, "removed while it was looked at"
    except AppError as error:
        return None, str(error)
