from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localnet.errors import ManifestInvalid, ManifestMissing
from localnet.manifest import NETWORKS, Manifest, load_manifest, manifest_values, parse_manifest

if TYPE_CHECKING:
    from pathlib import Path

VALUES = {
    "name": "net",
    "seed": "s",
    "validators": 2,
    "chains": [{"name": "hub", "kind": "hub"}, {"name": "shard-0", "kind": "shard", "validators": 1}],
}

names = st.from_regex(r"[a-z][a-z0-9-]{0,8}[a-z0-9]", fullmatch=True)
params = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
chains = st.lists(
    st.fixed_dictionaries(
        {
            "name": names,
            "kind": st.just("kvstore"),
            "validators": st.integers(1, 16),
            "full_nodes": st.integers(0, 4),
            "params": st.dictionaries(st.text(max_size=4), params, max_size=2),
        }
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda chain: str(chain["name"]),
)
manifests = st.fixed_dictionaries(
    {
        "name": names,
        "seed": st.text(max_size=10),
        "base_port": st.integers(0, 65_535),
        "block_time_ms": st.integers(1, 10_000),
        "empty_block_interval_ms": st.integers(1, 10_000),
        "accounts": st.dictionaries(names, st.integers(0, 2**63 - 1), max_size=4),
        "comet": st.fixed_dictionaries(
            {}, optional={"recheck": st.booleans(), "gossip_sleep_ms": st.integers(1, 99)}
        ),
        "chains": chains,
    }
)


@given(manifests)
def test_a_manifest_survives_the_record_on_disk(values: dict[str, object]) -> None:
    manifest = parse_manifest(values, "test")
    assert parse_manifest(json.loads(json.dumps(manifest_values(manifest))), "record") == manifest


def test_a_chain_takes_what_it_leaves_out_from_the_network() -> None:
    manifest = parse_manifest(VALUES, "test")
    assert [(chain.name, chain.chain_id, chain.validators) for chain in manifest.chains] == [
        ("hub", "hub", 2),
        ("shard-0", "shard-0", 1),
    ]
    assert manifest.hub is manifest.chains[0]


@pytest.mark.parametrize("key", ["port", "base-port", "validator", "Chains"])
def test_an_unknown_key_is_refused(key: str) -> None:
    with pytest.raises(ManifestInvalid, match=key):
        parse_manifest(VALUES | {key: 1}, "test")


@pytest.mark.parametrize("key", ["name", "seed", "chains"])
def test_a_key_that_must_be_there_is_missed(key: str) -> None:
    with pytest.raises(ManifestInvalid, match=f"expected {key}"):
        parse_manifest({name: value for name, value in VALUES.items() if name != key}, "test")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Net"},
        {"name": ""},
        {"name": "-a"},
        {"seed": 3},
        {"validators": 0},
        {"validators": 17},
        {"validators": True},
        {"validators": "2"},
        {"base_port": -1},
        {"base_port": 65_536},
        {"block_time_ms": 0},
        {"block_time_ms": 1.5},
        {"accounts": {"alice": "5"}},
        {"accounts": {"alice": -1}},
        {"accounts": {"alice": 2**63}},
        {"accounts": {"../alice": 1}},
        {"comet": {"max_tx_byte": 1}},
        {"comet": {"max_tx_bytes": 2**40}},
        {"chains": []},
        {"chains": [1]},
        {"chains": [{"name": "hub"}]},
        {"chains": [{"name": "hub", "kind": "relay"}]},
        {"chains": [{"name": "hub", "kind": "hub", "port": 1}]},
        {"chains": [{"name": "hub", "kind": "hub", "validators": 0}]},
        {"chains": [{"name": "hub", "kind": "hub", "full_nodes": -1}]},
        {"chains": [{"name": "hub", "kind": "hub", "full_nodes": 5}]},
        {"chains": [{"name": "hub", "kind": "hub", "chain_id": "a b"}]},
        {"chains": [{"name": "hub", "kind": "hub", "params": {"ratio": 0.5}}]},
        {"chains": [{"name": "shard-0", "kind": "shard"}]},
        {"chains": [{"name": "a", "kind": "hub"}, {"name": "b", "kind": "hub"}]},
        {"chains": [{"name": "a", "kind": "kvstore"}, {"name": "a", "kind": "kvstore"}]},
        {
            "chains": [
                {"name": "a", "kind": "kvstore", "chain_id": "x"},
                {"name": "b", "kind": "kvstore", "chain_id": "x"},
            ]
        },
    ],
)
def test_a_value_out_of_its_range_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ManifestInvalid, match="expected"):
        parse_manifest(VALUES | change, "test")


def test_timing_of_the_manifest_reaches_cometbft() -> None:
    manifest = parse_manifest(
        VALUES | {"block_time_ms": 77, "empty_block_interval_ms": 88, "comet": {"log_level": "info"}}, "test"
    )
    settings = manifest.settings
    assert (settings.timeout_commit_ms, settings.empty_block_interval_ms) == (77, 88)
    assert settings.log_level == "info"
    assert settings.same_host


def describe(manifest: Manifest) -> list[tuple[str, str, int]]:
    return [(chain.name, chain.kind, chain.validators) for chain in manifest.chains]


def test_the_networks_of_the_package_are_a_hub_and_two_shards() -> None:
    kinds = [("hub", "hub"), ("shard-0", "shard"), ("shard-1", "shard")]
    assert describe(load_manifest("default")) == [(*chain, 4) for chain in kinds]
    assert describe(load_manifest("small")) == [(*chain, 1) for chain in kinds]


@pytest.mark.parametrize("path", sorted(NETWORKS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_manifest_of_the_package_bears_its_own_name(path: Path) -> None:
    assert load_manifest(str(path)).name == path.stem


def test_a_manifest_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(ManifestMissing, match="default, small"):
        load_manifest("huge")


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.toml"
    path.write_text("name = ")
    with pytest.raises(ManifestInvalid, match="expected TOML"):
        load_manifest(str(path))
