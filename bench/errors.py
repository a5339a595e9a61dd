"""What can go wrong in a benchmark."""

from __future__ import annotations

from tx.errors import AppError


class BenchError(AppError):
    """Root of the errors of the benchmarks."""

    CODESPACE = "bench"


class NothingMeasured(BenchError):
    """There is nothing to make a figure of: no sample, or a yardstick that took no time."""

    CODE = 1
    CURE = "Run the row again; if it stays, its counts are too small for this machine."


class YardstickFailed(BenchError):
    """The program to compare with did not start, ended early, or did not keep what it was given."""

    CODE = 2
    CURE = "Look at the logs below the benchmark's directory; `./run setup` installs CometBFT."


class LoadLost(BenchError):
    """Not everything that was submitted was committed, or what was read back differs from what was sent."""

    CODE = 3
    CURE = "Look at the logs below the benchmark's directory; a figure of lost transactions means nothing."


class NetworkStalled(BenchError):
    """A chain did not do in time what the benchmark waits for."""

    CODE = 4
    CURE = "Look at the logs below the benchmark's directory; stop what else uses the processor."


class DemoFailed(BenchError):
    """The demo, or its float counterpart, ended with an error."""

    CODE = 5
    CURE = "Run `./run demo` by itself and look at what it says."


class WrongVerdict(BenchError):
    """Code under measurement gave a wrong answer, so that its speed means nothing."""

    CODE = 6
    CURE = "This is a bug; run the tests of the part that the row measures."


class RelayerEnded(BenchError):
    """The relayer under test ended by itself."""

    CODE = 7
    CURE = "Read the end of its log in the message, and report it: a relayer runs until it is told to stop."


class SenderEnded(BenchError):
    """A sender of packets ended before the load was over."""

    CODE = 8
    CURE = "This is a bug: the traceback stands above the message."
