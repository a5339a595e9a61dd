from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app import comet_binary
from abci_app.comet_binary import check_version, find_cometbft, parse_version, require_cometbft
from abci_app.errors import CometMissing, CometUnsupported
from tests.support.localnet import write_fake_cometbft
from tests.support.tools import require_tool

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "version", ["0.38.21", "0.38.25", "0.39.0", "0.39.4", "0.40.0", "v0.39.4", "0.39.4+abc123", " 0.39.4\n"]
)
def test_supported_lines_are_accepted(version: str) -> None:
    check_version(version)


@pytest.mark.parametrize(
    "version", ["0.38.20", "0.34.35", "0.37.18", "0.41.0", "1.0.1", "2.0.0-rc1", "0.3.9", "", "dev", "0.39"]
)
def test_other_lines_and_texts_are_refused(version: str) -> None:
    with pytest.raises(CometUnsupported, match="expected"):
        check_version(version)


@pytest.mark.parametrize("version", ["0.38.0", "0.38.9", "0.38.20", "v0.38.20+abc123"])
def test_patches_whose_block_times_can_be_forged_are_refused(version: str) -> None:
    with pytest.raises(CometUnsupported, match=r"expected CometBFT 0\.38\.21, .* got v?0\.38"):
        check_version(version)


def test_a_version_has_three_numbers() -> None:
    assert parse_version("v0.39.12-dev") == (0, 39, 12)


def test_an_old_binary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(comet_binary.BINARY_VARIABLE, str(write_fake_cometbft(tmp_path, "0.37.18")))
    with pytest.raises(CometUnsupported, match=r"got 0\.37\.18"):
        require_cometbft()


def test_the_variable_beats_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = write_fake_cometbft(tmp_path, "0.39.99")
    monkeypatch.setenv(comet_binary.BINARY_VARIABLE, str(fake))
    binary = require_cometbft()
    assert (binary.path, binary.version) == (fake, "0.39.99")


def test_a_variable_that_names_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(comet_binary.BINARY_VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(CometMissing, match="GRADCHAIN_COMETBFT"):
        find_cometbft()


def test_the_repository_beats_path_and_path_is_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = tmp_path / "path"
    own = tmp_path / "root" / ".tools" / "bin"
    for directory in (on_path, own):
        directory.mkdir(parents=True)
    last = write_fake_cometbft(on_path, "0.39.1")
    monkeypatch.delenv(comet_binary.BINARY_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(on_path))
    monkeypatch.setattr(comet_binary, "REPOSITORY_ROOT", tmp_path / "root")
    assert find_cometbft() == last
    first = write_fake_cometbft(own, "0.39.2")
    assert find_cometbft() == first


def test_no_binary_anywhere_is_an_error_with_a_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(comet_binary.BINARY_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(comet_binary, "REPOSITORY_ROOT", tmp_path)
    with pytest.raises(CometMissing) as caught:
        find_cometbft()
    assert "./run setup" in caught.value.CURE


@pytest.mark.parametrize("script", ["exit 3", "not a program"])
def test_a_binary_that_does_not_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    broken = tmp_path / "cometbft"
    broken.write_text("#!/bin/sh\nexit 3\n" if script == "exit 3" else script)
    broken.chmod(0o755)
    monkeypatch.setenv(comet_binary.BINARY_VARIABLE, str(broken))
    with pytest.raises(CometMissing, match="version"):
        require_cometbft()


def test_the_installed_binary_is_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(comet_binary.BINARY_VARIABLE, require_tool("cometbft"))
    check_version(require_cometbft().version)
