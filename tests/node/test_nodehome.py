from __future__ import annotations

import json
import os
import stat
import string
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from abci_app.comet import LOCALNET, NETWORK
from abci_app.comet_home import remove_unborn_databases
from abci_app.endpoint import Endpoint, parse_endpoint
from abci_app.errors import HomeExists, HomeInvalid, HomeMissing, InvalidSetting, NodeRunning, UnsafeDirectory
from abci_app.nodehome import (
    SOCKET_PATH_BYTES,
    NodeConfig,
    NodeHome,
    choose_socket,
    load_config,
    lock_home,
    make_home,
    prepare_socket,
    release_socket,
    save_config,
)
from tests.support.localnet import (
    build_genesis_text,
    build_kvstore_config,
    build_node_keys,
    make_kvstore_home,
)
from tests.support.tools import require_tool

hosts = st.sampled_from(["127.0.0.1", "0.0.0.0", "node.example.org", "::1"])  # noqa: S104  # texts, not listeners
endpoints = st.builds(Endpoint, hosts, st.integers(1, 65_535))
words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
configs = st.builds(
    NodeConfig,
    kind=st.sampled_from(["hub", "shard", "kvstore"]),
    name=words,
    chain_id=st.text(string.ascii_letters + string.digits + "-._", min_size=1, max_size=50),
    abci=st.just("unix:///tmp/abci.sock"),
    rpc=endpoints,
    p2p=endpoints,
    grpc=st.none() | endpoints,
    metrics=st.none() | endpoints,
    peers=st.lists(words, max_size=3).map(tuple),
    external_p2p=words,
    backend=words,
    comet=st.sampled_from([NETWORK, LOCALNET]),
)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(config=configs)
def test_a_saved_configuration_loads_again(tmp_path: Path, config: NodeConfig) -> None:
    home = NodeHome(tmp_path)
    save_config(home, config)
    assert load_config(home) == config


def test_a_directory_without_node_toml_is_no_home(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing):
        load_config(NodeHome(tmp_path / "nothing"))


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('kind = "kvstore"', 'kind = "validator"', HomeInvalid),
        ('kind = "kvstore"', "kind = 1", HomeInvalid),
        ('kind = "kvstore"', "", HomeInvalid),
        ('kind = "kvstore"', 'kind = "kvstore"\nport = 3', HomeInvalid),
        ('kind = "kvstore"', "kind = ", HomeInvalid),
        ('chain_id = "kv-test"', 'chain_id = ""', HomeInvalid),
        ('chain_id = "kv-test"', 'chain_id = "a b"', HomeInvalid),
        ('chain_id = "kv-test"', f'chain_id = "{"a" * 51}"', HomeInvalid),
        ('grpc = ""', 'grpc = "127.0.0.1"', HomeInvalid),
        ('abci = "unix://', 'abci = "tcp://', HomeInvalid),
        ("same_host = true", "same_hosts = true", InvalidSetting),
        ("same_host = true", "same_host = 1", InvalidSetting),
        ("same_host = true", "max_tx_bytes = 0", InvalidSetting),
    ],
)
def test_a_wrong_value_in_node_toml_is_refused(
    tmp_path: Path, old: str, new: str, error: type[Exception]
) -> None:
    home = make_kvstore_home(tmp_path / "home")
    text = home.config_file.read_text()
    assert old in text
    home.config_file.write_text(text.replace(old, new))
    with pytest.raises(error):
        load_config(home)


@pytest.mark.parametrize("text", ["127.0.0.1", ":1", "a:0", "a:65536", "a:b", "::1:5", "a b:1", ""])
def test_a_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(HomeInvalid):
        parse_endpoint(text)


@given(endpoints)
def test_an_address_reads_back(endpoint: Endpoint) -> None:
    assert parse_endpoint(str(endpoint)) == endpoint


def test_a_home_is_never_made_over_another(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    config, keys = load_config(home), build_node_keys(2)
    before = (home.path / "config" / "priv_validator_key.json").read_bytes()
    with pytest.raises(HomeExists):
        make_home(home, config, build_genesis_text(config, keys), keys)
    assert (home.path / "config" / "priv_validator_key.json").read_bytes() == before


def test_secret_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    for name in ("config/priv_validator_key.json", "config/node_key.json", "data/priv_validator_state.json"):
        assert stat.S_IMODE((home.path / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_cometbft_derives_the_same_names_from_the_keys(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    keys = build_node_keys()
    cometbft = require_tool("cometbft")
    node_id = subprocess.run(
        [cometbft, "show-node-id", "--home", home.path], capture_output=True, text=True, check=True
    )
    shown = subprocess.run(
        [cometbft, "show-validator", "--home", home.path], capture_output=True, text=True, check=True
    )
    assert node_id.stdout.strip() == keys.node_id
    written = json.loads((home.path / "config" / "priv_validator_key.json").read_text())
    assert json.loads(shown.stdout) == written["pub_key"]
    assert json.loads(home.genesis_file.read_text())["validators"][0]["address"] == written["address"]


def test_the_last_signature_of_a_validator_is_not_forgotten(tmp_path: Path) -> None:
    home = make_kvstore_home(tmp_path / "home")
    state = home.path / "data" / "priv_validator_state.json"
    state.write_text('{"height": "7", "round": 0, "step": 3}')
    home.config_file.unlink()
    config, keys = build_kvstore_config(home), build_node_keys()
    make_home(home, config, build_genesis_text(config, keys), keys)
    assert json.loads(state.read_text())["height"] == "7"


def test_a_home_has_one_lock_and_names_its_holder(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    with lock_home(home), pytest.raises(NodeRunning, match=f"process {os.getpid()}"):
        lock_home(home)
    lock_home(home).close()


def test_the_socket_lies_in_the_home_while_its_path_is_short() -> None:
    home = NodeHome(Path("/h"))
    assert choose_socket(home) == "unix:///h/run/abci.sock"


def build_long_config(tmp_path: Path) -> NodeConfig:
    home = NodeHome(tmp_path / ("x" * SOCKET_PATH_BYTES))
    return replace(build_kvstore_config(home), abci=choose_socket(home))


def test_a_long_path_gets_a_short_one_of_its_own_for_the_socket(tmp_path: Path) -> None:
    paths = {build_long_config(tmp_path).socket_path for _ in range(2)}
    assert len(paths) == 2
    assert all(len(os.fsencode(path)) <= SOCKET_PATH_BYTES for path in paths)


def test_the_directory_of_such_a_socket_is_private_and_exists_while_the_node_runs(tmp_path: Path) -> None:
    config = build_long_config(tmp_path)
    directory = config.socket_path.parent
    assert not directory.exists()
    prepare_socket(config)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    config.socket_path.touch()
    release_socket(config)
    release_socket(config)
    assert not directory.exists()


def test_a_directory_that_holds_more_than_the_socket_stays(tmp_path: Path) -> None:
    config = build_long_config(tmp_path)
    prepare_socket(config)
    other = config.socket_path.parent / "other"
    other.touch()
    release_socket(config)
    assert other.exists()
    other.unlink()
    release_socket(config)


def test_a_directory_that_somebody_else_named_stays(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    config = replace(build_kvstore_config(home), abci=f"unix://{tmp_path}/mine/abci.sock")
    prepare_socket(config)
    config.socket_path.touch()
    release_socket(config)
    assert not config.socket_path.exists()
    assert config.socket_path.parent.exists()


def test_a_socket_directory_that_others_can_write_is_refused(tmp_path: Path) -> None:
    home = NodeHome(tmp_path)
    config = replace(build_kvstore_config(home), abci=f"unix://{tmp_path}/open/abci.sock")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnsafeDirectory, match="777"):
        prepare_socket(config)


@pytest.mark.parametrize(
    ("files", "is_kept"),
    [
        ((), False),
        (("LOCK", "LOG"), False),
        (("LOCK", "LOG", "MANIFEST-000000"), False),
        (("LOCK", "LOG", "MANIFEST-000000", "CURRENT.0"), True),
        (("LOCK", "LOG", "MANIFEST-000000", "CURRENT"), True),
        (("LOCK", "LOG", "MANIFEST-000000", "000001.log"), True),
        (("000002.ldb",), True),
    ],
)
def test_a_database_whose_creation_was_cut_short_is_removed(
    tmp_path: Path, files: tuple[str, ...], is_kept: bool
) -> None:
    home = make_kvstore_home(tmp_path / "home")
    database = home.path / "data" / "blockstore.db"
    database.mkdir()
    for name in files:
        (database / name).touch()
    assert remove_unborn_databases(home.path) == ([] if is_kept else ["blockstore.db"])
    assert database.exists() == is_kept
    assert (home.path / "data" / "priv_validator_state.json").exists()
