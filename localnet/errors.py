"""Expected failures of local networks."""

from __future__ import annotations

from typing import ClassVar

from tx.errors import AppError


class LocalnetError(AppError):
    """Root of the failures of local networks."""

    CODESPACE: ClassVar[str] = "localnet"


class ManifestMissing(LocalnetError):
    """There is no manifest of that name or at that path."""

    CODE = 1
    CURE = "Name one of the networks that the message lists, or give the path of a .toml file."


class ManifestInvalid(LocalnetError):
    """The manifest is no TOML, or a key is unknown, missing, of the wrong type or out of range."""

    CODE = 2
    CURE = "Correct the key that the message names; localnet/networks/default.toml explains each."


class LocalnetMissing(LocalnetError):
    """The directory holds no localnet."""

    CODE = 3
    CURE = "Make one with `gradchain localnet up`, or name its directory with --dir."


class ManifestChanged(LocalnetError):
    """The directory holds a localnet that was made from another manifest."""

    CODE = 4
    CURE = "Leave --network out to start it, remove it with `gradchain localnet reset --remove`, or use another --dir."


class NoFreePorts(LocalnetError):
    """There are not enough free ports above the first one."""

    CODE = 5
    CURE = "Choose another base_port in the manifest, or 0 to take any."


class StartFailed(LocalnetError):
    """The localnet's supervisor, or one of its nodes, ended while it started."""

    CODE = 6
    CURE = "Read the end of the logs (`gradchain localnet logs`), mend the cause, and start again."


class NotReady(LocalnetError):
    """Some nodes did not make or follow blocks in time.  They still run."""

    CODE = 7
    CURE = (
        "The nodes run on: look at `gradchain localnet status`, wait longer with `gradchain localnet up --timeout`, or "
        "stop them with `gradchain localnet down`."
    )


class UnknownNode(LocalnetError):
    """The localnet has no node, chain or account of that name."""

    CODE = 8
    CURE = "Use a name that the message lists."


class NotRunning(LocalnetError):
    """What should be acted on does not run."""

    CODE = 9
    CURE = "Start the localnet with `gradchain localnet up`."


class StillRunning(LocalnetError):
    """The localnet runs, and what was asked for needs it stopped."""

    CODE = 10
    CURE = "Stop it with `gradchain localnet down`."


class AppHashesDiverge(LocalnetError):
    """Two nodes of one chain have different states at the same height: a chain app is not deterministic."""

    CODE = 11
    CURE = "Keep the homes, compare app.log of the nodes at that height, and report it with them."


class ChildFailed(LocalnetError):
    """The relayer or a participant's process ended before its work was done."""

    CODE = 12
    CURE = "Read the end of its log in the message; the whole log is in the demo's directory."


class DemoStalled(LocalnetError):
    """The demo makes no progress: a round is far past its deadline."""

    CODE = 13
    CURE = "Look at the logs in the demo's directory; on a slow machine use --validators 1."


class VerificationFailed(LocalnetError):
    """Something that the demo checks itself did not hold."""

    CODE = 14
    CURE = "Keep the demo's directory and report it: the message names the check."


class DirectoryNotOurs(LocalnetError):
    """The directory that a demo, a soak or the benchmarks would empty holds files that no earlier run left."""

    CODE = 15
    CURE = "Give --dir a directory that is new or empty; nothing was removed."


class DemoRunning(LocalnetError):
    """Another demo, soak or run of the benchmarks goes on in the same directory."""

    CODE = 16
    CURE = "Wait for it, or give this one a directory of its own with --dir."
