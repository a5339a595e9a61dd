"""Expected failures of the command line itself.

Each says with which exit code the command ends; `faults` does so for the errors of all other packages.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

from tx.errors import AppError


class Exit(IntEnum):
    """Exit codes: whose fault it was.  Scripts match on them, so they never change."""

    OK = 0
    REFUSED = 1
    """A chain refused it, or the data handed in are invalid."""

    USAGE = 2
    """The command line is wrong, or says too little."""

    UNREACHABLE = 3
    """No node answered, or not in time."""

    UNVERIFIED = 4
    """What a node or a file says does not match its proof."""

    ENVIRONMENT = 5
    """Something on this machine: files, ports, tools."""

    BUG = 70
    """A failure that nobody expected."""

    PIPE_CLOSED = 141
    """Who read the output stopped reading."""

    INTERRUPTED = 130
    """Ended by Ctrl-C."""


class CliError(AppError):
    """Root of the failures of the command line."""

    CODESPACE: ClassVar[str] = "cli"
    EXIT: ClassVar[Exit]


class NetworkUnknown(CliError):
    """Nothing says which network is meant, or where the nodes of one of its chains are."""

    CODE = 1
    CURE = (
        "Give the option that the message names, or set its environment variable; on a localnet run the command in "
        "the folder that holds .gradchain/localnet, or give --localnet."
    )
    EXIT = Exit.USAGE


class KeyUnknown(CliError):
    """Nothing says which key is to sign, or which account is meant."""

    CODE = 2
    CURE = "Give --key with a name from `gradchain key list`; make a key with `gradchain key new`."
    EXIT = Exit.USAGE


class SpecFileInvalid(CliError):
    """The task file is no TOML, has an unknown or missing key, or a value of another type."""

    CODE = 3
    CURE = "Start from docs/examples/task.toml, which explains every key."
    EXIT = Exit.REFUSED


class UpdateFileInvalid(CliError):
    """The file does not hold an update."""

    CODE = 4
    CURE = "Make the file again with `gradchain update make`."
    EXIT = Exit.REFUSED


class OutputExists(CliError):
    """A file would be overwritten."""

    CODE = 5
    CURE = "Choose another name with --out, or remove the file first."
    EXIT = Exit.ENVIRONMENT


class UploadPointless(CliError):
    """The task waits for no model, or for another one than the file holds."""

    CODE = 7
    CURE = "Give the very file and seed that the task was created with (`gradchain task show` prints the model's root)."
    EXIT = Exit.REFUSED


class LocalnetFileInvalid(CliError):
    """The description that `gradchain localnet up` left behind is not what this version writes."""

    CODE = 8
    CURE = "Make the localnet again with `gradchain localnet reset` and `gradchain localnet up`."
    EXIT = Exit.ENVIRONMENT


class UpdateUntrue(CliError):
    """An update says of itself what is not so: its payload has another root, or other counts or commitments."""

    CODE = 9
    CURE = "Make the update again with `gradchain update make`; a shard would refuse this one."
    EXIT = Exit.UNVERIFIED
