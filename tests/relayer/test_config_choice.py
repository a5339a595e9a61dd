"""Which configuration `gradchain relayer` takes when none is named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from relayer.cli import relayer_group
from relayer.cli_common import find_config
from relayer.errors import ConfigMissing

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make an empty file in a folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADCHAIN_LOCALNET", raising=False)

    def touch(name: str) -> Path:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return path

    return touch


def test_the_file_of_the_folder_comes_first(make: Callable[[str], Path]) -> None:
    make(".gradchain/localnet/relayer/relayer.toml")
    own = make("relayer.toml")
    assert find_config() == own


def test_without_one_it_is_that_of_the_localnet(make: Callable[[str], Path]) -> None:
    of_localnet = make(".gradchain/localnet/relayer/relayer.toml")
    assert find_config() == of_localnet


def test_the_localnet_of_the_environment_is_meant(
    make: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    make(".gradchain/localnet/relayer/relayer.toml")
    named = make("nets/one/relayer/relayer.toml")
    monkeypatch.setenv("GRADCHAIN_LOCALNET", "nets/one")
    assert find_config() == named


def test_with_neither_the_file_of_the_folder_is_missed(make: Callable[[str], Path]) -> None:
    result = CliRunner().invoke(relayer_group, ["link"])
    assert isinstance(result.exception, ConfigMissing)
    assert "relayer.toml" in str(result.exception)
