from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from abci_app.errors import KeyFileExists, KeyFileInvalid, KeyFileMissing, KeyFileReadable, KeyFileUnusable
from abci_app.keyfile import generate_key, load_key, save_key

if TYPE_CHECKING:
    from pathlib import Path


def test_a_saved_key_is_loaded_again(tmp_path: Path) -> None:
    key = generate_key()
    save_key(tmp_path / "key", key)
    assert load_key(tmp_path / "key").seed == key.seed


def test_only_the_owner_may_read_a_saved_key(tmp_path: Path) -> None:
    save_key(tmp_path / "key", generate_key())
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    key = generate_key()
    save_key(tmp_path / "key", key)
    with pytest.raises(KeyFileExists):
        save_key(tmp_path / "key", generate_key())
    assert load_key(tmp_path / "key").seed == key.seed


def test_two_generated_keys_differ() -> None:
    assert generate_key().seed != generate_key().seed


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o700, 0o644])
def test_a_key_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    save_key(tmp_path / "key", generate_key())
    (tmp_path / "key").chmod(mode)
    with pytest.raises(KeyFileReadable):
        load_key(tmp_path / "key")


def test_a_key_that_its_owner_may_only_read_is_loaded(tmp_path: Path) -> None:
    save_key(tmp_path / "key", generate_key())
    (tmp_path / "key").chmod(0o400)
    load_key(tmp_path / "key")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileMissing):
        load_key(tmp_path / "key")


def test_a_directory_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileInvalid):
        load_key(tmp_path)


def test_a_key_in_a_directory_that_does_not_exist_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(KeyFileUnusable):
        save_key(tmp_path / "missing" / "key", generate_key())


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "[" * 4000,
        "{}",
        '{"address": 1, "seed": 2}',
        '{"address": "", "seed": "zz"}',
        '{"address": "", "seed": "00"}',
        json.dumps({"address": "grad1wrong", "seed": "00" * 32}),
        "\udcff",
        "x" * 10_000,
    ],
)
def test_a_file_with_other_content_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content.encode(errors="surrogateescape"))
    path.chmod(0o600)
    with pytest.raises(KeyFileInvalid) as caught:
        load_key(path)
    assert "00" * 32 not in str(caught.value)
