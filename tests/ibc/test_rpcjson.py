from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ibc.errors import MalformedRpcAnswer
from ibc.rpcjson import parse_light_block, parse_light_block_answers, parse_time_ns
from ibc.times import GO_ZERO_TIME_NS, time_from_wire

if TYPE_CHECKING:
    from wire.tendermint.types import types_pb2

Json = dict[str, object]
VECTORS = Path(__file__).parent.parent / "vectors" / "comet_light_blocks.json"
BLOCKS = cast("list[Json]", json.loads(VECTORS.read_text()))


def make_answers(height: int = 9) -> tuple[Json, list[Json]]:
    item = copy.deepcopy(BLOCKS[height - 1])
    return cast("Json", item["commit"]), cast("list[Json]", item["validators"])


def set_path(value: object, path: str, new: object) -> None:
    """Replace what stands under a path such as `signed_header.commit.signatures.0.timestamp`."""
    *parents, last = path.split(".")
    for name in parents:
        value = value[int(name)] if isinstance(value, list) else cast("Json", value)[name]
    if isinstance(value, list):
        value[int(last)] = new
    else:
        cast("Json", value)[last] = new


def parse_with(path: str, new: object) -> types_pb2.LightBlock:
    commit, pages = make_answers()
    set_path({"commit": commit, "pages": pages}, path, new)
    return parse_light_block_answers(commit, pages)


def test_every_recorded_answer_is_read() -> None:
    for height in range(1, len(BLOCKS) + 1):
        block = parse_light_block_answers(*make_answers(height))
        assert block.signed_header.header.height == height
        assert len(block.validator_set.validators) == 4


def test_the_members_alone_are_enough() -> None:
    commit, pages = make_answers()
    members = cast("list[object]", pages[0]["validators"])
    assert parse_light_block(commit["signed_header"], members) == parse_light_block_answers(commit, pages)


def test_a_time_is_exact_to_the_nanosecond() -> None:
    block = parse_with("commit.signed_header.header.time", "2026-11-22T16:18:56.704430214Z")
    assert time_from_wire(block.signed_header.header.time) == 1_795_364_336_704_430_214
    block = parse_with("commit.signed_header.header.time", "2026-11-22T16:18:56.7Z")
    assert time_from_wire(block.signed_header.header.time) == 1_795_364_336_700_000_000
    block = parse_with("commit.signed_header.header.time", "1969-12-31T23:59:59.000000001Z")
    assert time_from_wire(block.signed_header.header.time) == -999_999_999


def test_an_absent_slot_has_gos_zero_time_and_no_signature() -> None:
    block = parse_light_block_answers(*make_answers(10))
    absent = block.signed_header.commit.signatures[1]
    assert absent.block_id_flag == 1
    assert time_from_wire(absent.timestamp) == GO_ZERO_TIME_NS
    assert absent.signature == b""


def test_the_proposer_is_the_one_of_the_header_where_it_is_known() -> None:
    block = parse_light_block_answers(*make_answers())
    assert block.validator_set.proposer.address == block.signed_header.header.proposer_address
    other = parse_with("commit.signed_header.header.proposer_address", "00" * 20)
    assert other.validator_set.proposer == other.validator_set.validators[0]


def test_an_app_version_of_zero_is_left_out_by_go() -> None:
    assert (
        parse_with("commit.signed_header.header.version", {"block": "11"}).signed_header.header.version.app
        == 0
    )


def test_validators_may_come_in_pages() -> None:
    commit, pages = make_answers()
    members = cast("list[object]", pages[0]["validators"])
    split = [{**pages[0], "validators": members[:3]}, {**pages[0], "validators": members[3:]}]
    assert parse_light_block_answers(commit, split) == parse_light_block_answers(commit, pages)


def test_missing_pages_are_noticed() -> None:
    commit, pages = make_answers()
    members = cast("list[object]", pages[0]["validators"])
    for partial in ([], [{**pages[0], "validators": members[:3]}]):
        with pytest.raises(MalformedRpcAnswer):
            parse_light_block_answers(commit, partial)


def test_validators_of_another_height_are_noticed() -> None:
    with pytest.raises(MalformedRpcAnswer, match="block_height"):
        parse_with("pages.0.block_height", "8")


def test_an_empty_set_is_noticed() -> None:
    commit, _ = make_answers()
    with pytest.raises(MalformedRpcAnswer):
        parse_light_block(commit["signed_header"], [])


HEADER = "commit.signed_header.header"
COMMIT = "commit.signed_header.commit"
SLOT = COMMIT + ".signatures.0"
MEMBER = "pages.0.validators.0"


@pytest.mark.parametrize(
    ("path", "new"),
    [
        ("commit.signed_header", None),
        ("commit.signed_header", []),
        (HEADER, "header"),
        (HEADER + ".version", None),
        (HEADER + ".version.block", 11),
        (HEADER + ".version.block", "-1"),
        (HEADER + ".version.block", "18446744073709551616"),
        (HEADER + ".chain_id", 5),
        (HEADER + ".height", 9),
        (HEADER + ".height", "9.0"),
        (HEADER + ".height", "+9"),
        (HEADER + ".height", "09"),
        (HEADER + ".height", "0x9"),
        (HEADER + ".height", "\u0669"),
        (HEADER + ".height", "9" * 400),
        (HEADER + ".height", "9223372036854775808"),
        (HEADER + ".time", 1_795_364_336),
        (HEADER + ".time", "2026-11-22T16:18:56.704430214+00:00"),
        (HEADER + ".time", "2026-11-22 16:18:56Z"),
        (HEADER + ".time", "2026-11-22T16:18:56.Z"),
        (HEADER + ".time", "2026-11-22T16:18:56.1234567890Z"),
        (HEADER + ".time", "2026-02-30T16:18:56Z"),
        (HEADER + ".time", "2026-11-22T16:18:60Z"),
        (HEADER + ".time", "0000-01-01T00:00:00Z"),
        (HEADER + ".time", ""),
        (HEADER + ".last_block_id", None),
        (HEADER + ".last_block_id.parts", None),
        (HEADER + ".app_hash", None),
        (HEADER + ".app_hash", "abcd"),
        (HEADER + ".app_hash", "ABC"),
        (HEADER + ".app_hash", "AB CD"),
        (HEADER + ".app_hash", "GG"),
        (COMMIT, None),
        (COMMIT + ".round", "0"),
        (COMMIT + ".round", True),
        (COMMIT + ".round", 0.0),
        (COMMIT + ".round", 1 << 31),
        (COMMIT + ".block_id.parts.total", -1),
        (COMMIT + ".block_id.parts.total", 1 << 32),
        (COMMIT + ".signatures", None),
        (COMMIT + ".signatures", {}),
        (COMMIT + ".signatures", "text"),
        (SLOT, None),
        (SLOT + ".block_id_flag", 4),
        (SLOT + ".block_id_flag", "2"),
        (SLOT + ".signature", "not base64!"),
        (SLOT + ".signature", "AAA"),
        (SLOT + ".signature", 7),
        (SLOT + ".timestamp", None),
        (SLOT + ".validator_address", None),
        ("pages.0", []),
        ("pages.0.validators", None),
        ("pages.0.total", 4),
        (MEMBER, []),
        (MEMBER + ".pub_key", None),
        (MEMBER + ".pub_key.type", "tendermint/PubKeySecp256k1"),
        (MEMBER + ".pub_key.value", None),
        (MEMBER + ".voting_power", 10),
        (MEMBER + ".voting_power", "ten"),
        (MEMBER + ".address", "6add"),
        (MEMBER + ".proposer_priority", 3),
    ],
)
def test_whatever_is_not_of_the_form_is_refused_with_its_path(path: str, new: object) -> None:
    with pytest.raises(MalformedRpcAnswer):
        parse_with(path, new)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda children: st.one_of(st.lists(children), st.dictionaries(st.text(), children)),
    max_leaves=10,
)


@given(st.data(), json_values)
def test_no_answer_raises_anything_else(data: st.DataObject, new: object) -> None:
    commit, pages = make_answers()
    value: object = {"commit": commit, "pages": pages}
    path: list[str] = []
    while isinstance(value, dict | list) and value and (not path or data.draw(st.booleans())):
        names = list(value) if isinstance(value, dict) else list(range(len(value)))
        name = data.draw(st.sampled_from(names))
        path.append(str(name))
        value = value[name]
    if len(path) < 2:
        return
    set_path({"commit": commit, "pages": pages}, ".".join(path), new)
    try:
        parse_light_block_answers(commit, pages)
    except MalformedRpcAnswer:
        return


def test_a_time_alone_can_be_read() -> None:
    assert parse_time_ns("1970-01-01T00:00:01.5Z") == 1_500_000_000
    for text in ("1970-01-01", 5, None):
        with pytest.raises(MalformedRpcAnswer):
            parse_time_ns(text)
