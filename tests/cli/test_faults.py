"""What a person sees of a failure, and the exit code that a script sees."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from abci_app import errors as node
from abci_app.grpc_errors import RemoteError
from aggregation import errors as aggregation
from cli import errors as own
from cli.errors import Exit
from cli.faults import cure_of, exit_of
from cli.main import RootGroup, root
from cli.text import clean
from ibc import errors as ibc
from localnet import errors as localnet
from participant import errors as participant
from relayer import errors as relayer
from tests.support.cli import fails
from tx import failures as tx
from tx.errors import REGISTRY, AppError

if TYPE_CHECKING:
    from click.testing import Result


def run_failing(error: BaseException, *options: str) -> Result:
    """Run a command line whose only command raises."""
    from click.testing import CliRunner

    def fail() -> None:
        raise error

    group = RootGroup("gradchain", {}, help="For tests.", params=root.params, callback=root.callback)
    group.add_command(click.Command("fail", callback=fail))
    return CliRunner().invoke(group, [*options, "fail"], env={"GRADCHAIN_DEBUG": None})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RemoteError("hub", 2, "refused"), Exit.REFUSED),
        (RemoteError("shard", 20, "closed"), Exit.REFUSED),
        (RemoteError("ibc", 10, "refused by a chain"), Exit.REFUSED),
        (RemoteError("node", 20, "its disk is full"), Exit.REFUSED),
        (RemoteError("tx", 9, "expired"), Exit.REFUSED),
        (RemoteError("unheard-of", 1, "from the future"), Exit.REFUSED),
        (RemoteError("node", 103, "its CometBFT is down"), Exit.UNREACHABLE),
        (RemoteError("node", 100, "not yet"), Exit.UNREACHABLE),
        (node.NodeUnavailable("down"), Exit.UNREACHABLE),
        (node.EndpointUnreachable("down"), Exit.UNREACHABLE),
        (node.MempoolFull("full"), Exit.UNREACHABLE),
        (node.KeyFileMissing("none"), Exit.ENVIRONMENT),
        (node.KeyFileReadable("open"), Exit.ENVIRONMENT),
        (node.PortInUse("taken"), Exit.ENVIRONMENT),
        (node.DiskFull("full"), Exit.ENVIRONMENT),
        (node.CometMissing("none"), Exit.ENVIRONMENT),
        (node.TxTooLarge("large"), Exit.REFUSED),
        (tx.InvalidSpec("bad"), Exit.REFUSED),
        (tx.InvalidAddress("bad"), Exit.REFUSED),
        (tx.InvalidSignature("forged"), Exit.UNVERIFIED),
        (aggregation.NotFiniteError("nan"), Exit.REFUSED),
        (aggregation.MerklePathError("other root"), Exit.UNVERIFIED),
        (ibc.RootMismatch("other root"), Exit.UNVERIFIED),
        (participant.UnverifiedData("lie"), Exit.UNVERIFIED),
        (participant.WeightsUnreadable("junk"), Exit.REFUSED),
        (participant.ModelMismatch("other"), Exit.REFUSED),
        (participant.NotAssigned("none"), Exit.REFUSED),
        (participant.StateMismatch("foreign"), Exit.ENVIRONMENT),
        (participant.TrustMissing("none"), Exit.USAGE),
        (relayer.EndpointsDown("down"), Exit.UNREACHABLE),
        (relayer.PacketForged("forged"), Exit.UNVERIFIED),
        (relayer.ConfigInvalid("bad"), Exit.ENVIRONMENT),
        (relayer.HttpUnset("unset"), Exit.ENVIRONMENT),
        (relayer.RelayerSilent("silent"), Exit.UNREACHABLE),
        (localnet.ManifestInvalid("bad"), Exit.ENVIRONMENT),
        (own.NetworkUnknown("none"), Exit.USAGE),
        (own.UpdateUntrue("lie"), Exit.UNVERIFIED),
        (own.SpecFileInvalid("bad"), Exit.REFUSED),
        (own.OutputExists("there"), Exit.ENVIRONMENT),
    ],
    ids=str,
)
def test_the_exit_code_says_whose_fault_it_was(error: AppError, expected: Exit) -> None:
    assert exit_of(error) is expected
    fails(run_failing(error), expected, error.message, cure=(error.CODESPACE, error.CODE) in REGISTRY)


def test_a_refusal_is_one_line_with_its_code_and_its_cure() -> None:
    result = run_failing(RemoteError("hub", 2, "expected a balance of 5, got 3"))
    lines = result.stderr.splitlines()
    assert lines[0] == "error: expected a balance of 5, got 3 [hub/2]"
    assert lines[1] == f"cure: {REGISTRY['hub', 2].CURE}"
    assert len(lines) == 2


def test_a_code_that_this_version_does_not_know_has_no_cure() -> None:
    fails(run_failing(RemoteError("hub", 9_999, "new")), 1, "new [hub/9999]", cure=False)
    assert cure_of(RemoteError("other", 1, "new")) == ""


@pytest.mark.parametrize("codespace", ["tx", "node", "hub", "shard", "ibc", "aggregation", "participant"])
def test_cures_of_every_codespace_are_found_for_remote_errors(codespace: str) -> None:
    code = next(code for space, code in sorted(REGISTRY) if space == codespace)
    assert cure_of(RemoteError(codespace, code, "x"))


def test_what_a_node_says_cannot_control_the_terminal() -> None:
    result = run_failing(RemoteError("hub", 2, "a\x1b[2Jb\r\nerror: forged [hub/1]\u202e\x9b"))
    assert len(result.stderr.splitlines()) == 2
    assert all(letter.isprintable() or letter == "\n" for letter in result.stderr)


@given(st.text())
def test_cleaned_text_is_one_printable_line(text: str) -> None:
    cleaned = clean(text)
    assert all(letter.isprintable() for letter in cleaned)
    assert len(cleaned.splitlines()) <= 1
    assert clean(cleaned) == cleaned


def test_a_bug_is_one_line_without_a_traceback() -> None:
    result = run_failing(ZeroDivisionError("division by zero"))
    fails(result, 70, "unexpected ZeroDivisionError: division by zero")
    assert "--debug" in result.stderr


def test_a_bug_shows_its_traceback_when_asked() -> None:
    result = run_failing(ZeroDivisionError("division by zero"), "--debug")
    assert result.exit_code == 70
    assert "Traceback (most recent call last)" in result.stderr


def test_an_expected_failure_shows_its_traceback_when_asked() -> None:
    result = run_failing(own.OutputExists("there"), "--debug")
    assert result.exit_code == 5
    assert "Traceback (most recent call last)" in result.stderr


def test_an_error_of_the_operating_system_names_the_file() -> None:
    error = FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "/somewhere/else")
    fails(run_failing(error), 5, "/somewhere/else: No such file or directory")


def test_a_full_disk_is_an_error_of_this_machine() -> None:
    error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fails(run_failing(error), 5, "No space left on device")


def test_a_package_that_is_not_installed_is_an_error_of_this_machine() -> None:
    error = ModuleNotFoundError("No module named 'torch'", name="torch")
    fails(run_failing(error), 5, "expected the package torch, got none")


def test_an_interrupt_ends_with_130() -> None:
    result = run_failing(KeyboardInterrupt())
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr.split() == ["interrupted"]


def test_a_reader_that_went_away_is_no_error() -> None:
    result = run_failing(BrokenPipeError())
    assert (result.exit_code, result.stderr) == (141, "")


def test_an_exit_code_that_a_command_chose_is_kept() -> None:
    assert run_failing(SystemExit(1)).exit_code == 1


def test_errors_of_the_command_line_name_an_exit_code() -> None:
    classes = [error for (space, _), error in REGISTRY.items() if space == "cli"]
    assert classes
    assert all(isinstance(vars(error).get("EXIT"), Exit) for error in classes)
