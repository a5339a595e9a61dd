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
        assert block.signed_header.header.height == block.signed_header.commit.height == height
        assert len(block.validator_set.validators) == 4
        assert block.validator_set.proposer.address == block.signed_header.header.proposer_address


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
    second = block.validator_set.validators[1]
    named = parse_with("commit.signed_header.header.proposer_address", second.address.hex().upper())
    assert named.validator_set.proposer == second
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
    expected = r"validators page 1\.block_height: expected height 9, that of the commit, got '8' "
    with pytest.raises(MalformedRpcAnswer, match=expected):
        parse_with("pages.0.block_height", "8")


def test_an_empty_set_is_noticed() -> None:
    commit, _ = make_answers()
    with pytest.raises(MalformedRpcAnswer, match=r"^validators: expected at least one, got none "):
        parse_light_block(commit["signed_header"], [])


HEADER = "commit.signed_header.header"
COMMIT = "commit.signed_header.commit"
SLOT = COMMIT + ".signatures.0"
MEMBER = "pages.0.validators.0"


@pytest.mark.parametrize(
    ("path", "new", "where", "wanted"),
    [
        ("commit.signed_header", None, "commit.signed_header", "an object"),
        ("commit.signed_header", [], "commit.signed_header", "an object"),
        (HEADER, "header", "commit.signed_header.header", "an object"),
        (HEADER + ".version", None, "signed_header.header.version", "an object"),
        (HEADER + ".version.block", 11, "signed_header.header.version.block", "a string"),
        (
            HEADER + ".version.block",
            "-1",
            "signed_header.header.version.block",
            "an integer from 0 to 18446744073709551615",
        ),
        (
            HEADER + ".version.block",
            "18446744073709551616",
            "signed_header.header.version.block",
            "an integer from 0 to 18446744073709551615",
        ),
        (HEADER + ".chain_id", 5, "signed_header.header.chain_id", "a string"),
        (HEADER + ".height", 9, "commit.signed_header.header.height", "a string"),
        (HEADER + ".height", "9.0", "commit.signed_header.header.height", "an integer in a string"),
        (HEADER + ".height", "+9", "commit.signed_header.header.height", "an integer in a string"),
        (HEADER + ".height", "09", "commit.signed_header.header.height", "an integer in a string"),
        (HEADER + ".height", "0x9", "commit.signed_header.header.height", "an integer in a string"),
        (HEADER + ".height", "\u0669", "commit.signed_header.header.height", "an integer in a string"),
        (HEADER + ".height", "9" * 400, "commit.signed_header.header.height", "an integer in a string"),
        (
            HEADER + ".height",
            "9223372036854775808",
            "commit.signed_header.header.height",
            "an integer from -9223372036854775808 to 9223372036854775807",
        ),
        (HEADER + ".time", 1_795_364_336, "signed_header.header.time", "a string"),
        (
            HEADER + ".time",
            "2026-11-22T16:18:56.704430214+00:00",
            "signed_header.header.time",
            "a time in UTC",
        ),
        (HEADER + ".time", "2026-11-22 16:18:56Z", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".time", "2026-11-22T16:18:56.Z", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".time", "2026-11-22T16:18:56.1234567890Z", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".time", "2026-02-30T16:18:56Z", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".time", "2026-11-22T16:18:60Z", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".time", "0000-01-01T00:00:00Z", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".time", "", "signed_header.header.time", "a time in UTC"),
        (HEADER + ".last_block_id", None, "signed_header.header.last_block_id", "an object"),
        (HEADER + ".last_block_id.parts", None, "signed_header.header.last_block_id.parts", "an object"),
        (HEADER + ".app_hash", None, "signed_header.header.app_hash", "a string"),
        (HEADER + ".app_hash", "abcd", "signed_header.header.app_hash", "upper-case hexadecimal digits"),
        (HEADER + ".app_hash", "ABC", "signed_header.header.app_hash", "upper-case hexadecimal digits"),
        (HEADER + ".app_hash", "AB CD", "signed_header.header.app_hash", "upper-case hexadecimal digits"),
        (HEADER + ".app_hash", "GG", "signed_header.header.app_hash", "upper-case hexadecimal digits"),
        (COMMIT, None, "signed_header.commit", "an object"),
        (COMMIT + ".round", "0", "signed_header.commit.round", "an integer"),
        (COMMIT + ".round", True, "signed_header.commit.round", "an integer"),
        (COMMIT + ".round", 0.0, "signed_header.commit.round", "an integer"),
        (
            COMMIT + ".round",
            1 << 31,
            "signed_header.commit.round",
            "an integer from -2147483648 to 2147483647",
        ),
        (
            COMMIT + ".block_id.parts.total",
            -1,
            "signed_header.commit.block_id.parts.total",
            "an integer from 0 to 4294967295",
        ),
        (
            COMMIT + ".block_id.parts.total",
            1 << 32,
            "signed_header.commit.block_id.parts.total",
            "an integer from 0 to 4294967295",
        ),
        (COMMIT + ".signatures", None, "signed_header.commit.signatures", "a list"),
        (COMMIT + ".signatures", {}, "signed_header.commit.signatures", "a list"),
        (COMMIT + ".signatures", "text", "signed_header.commit.signatures", "a list"),
        (SLOT, None, "signed_header.commit.signatures[0]", "an object"),
        (SLOT + ".block_id_flag", 4, "signed_header.commit.signatures[0].block_id_flag", "1, 2 or 3"),
        (SLOT + ".block_id_flag", "2", "signed_header.commit.signatures[0].block_id_flag", "an integer"),
        (SLOT + ".signature", "not base64!", "signed_header.commit.signatures[0].signature", "Base64"),
        (SLOT + ".signature", "AA!AA", "signed_header.commit.signatures[0].signature", "Base64"),
        (SLOT + ".signature", "AAA", "signed_header.commit.signatures[0].signature", "Base64"),
        (SLOT + ".signature", 7, "signed_header.commit.signatures[0].signature", "a string"),
        (SLOT + ".timestamp", None, "signed_header.commit.signatures[0].timestamp", "a string"),
        (
            SLOT + ".validator_address",
            None,
            "signed_header.commit.signatures[0].validator_address",
            "a string",
        ),
        ("pages.0", [], "validators page 1", "an object"),
        ("pages.0.validators", None, "validators page 1.validators", "a list"),
        ("pages.0.total", 4, "validators page 1.total", "a string"),
        (MEMBER, [], "validators[0]", "an object"),
        (MEMBER + ".pub_key", None, "validators[0].pub_key", "an object"),
        (
            MEMBER + ".pub_key.type",
            "tendermint/PubKeySecp256k1",
            "validators[0].pub_key.type",
            "tendermint/PubKeyEd25519",
        ),
        (MEMBER + ".pub_key.value", None, "validators[0].pub_key.value", "a string"),
        (MEMBER + ".voting_power", 10, "validators[0].voting_power", "a string"),
        (MEMBER + ".voting_power", "ten", "validators[0].voting_power", "an integer in a string"),
        (MEMBER + ".address", "6add", "validators[0].address", "upper-case hexadecimal digits"),
        (MEMBER + ".proposer_priority", 3, "validators[0].proposer_priority", "a string"),
    ],
)
def test_whatever_is_not_of_the_form_is_refused_with_its_path(
    path: str, new: object, where: str, wanted: str
) -> None:
    with pytest.raises(MalformedRpcAnswer) as refused:
        parse_with(path, new)
    assert refused.value.message == f"{where}: expected {wanted}, got {repr(new)[:80]}"


@pytest.mark.parametrize(
    ("path", "bounds"),
    [
        (HEADER + ".version.app", (0, (1 << 64) - 1)),
        (HEADER + ".height", (-(1 << 63), (1 << 63) - 1)),
        (MEMBER + ".voting_power", (-(1 << 63), (1 << 63) - 1)),
        (COMMIT + ".round", (-(1 << 31), (1 << 31) - 1)),
        (COMMIT + ".block_id.parts.total", (0, (1 << 32) - 1)),
    ],
)
def test_integers_are_read_up_to_their_bounds(path: str, bounds: tuple[int, int]) -> None:
    is_long = not path.startswith(COMMIT)
    for number in bounds:
        commit, pages = make_answers()
        answers = {"commit": commit, "pages": pages}
        set_path(answers, path, str(number) if is_long else number)
        if path == HEADER + ".height":
            set_path(answers, "pages.0.block_height", str(number))
        block = parse_light_block_answers(commit, pages)
        header, signed = block.signed_header.header, block.signed_header.commit
        read = (
            header.version.app,
            header.height,
            block.validator_set.validators[0].voting_power,
            signed.round,
            signed.block_id.part_set_header.total,
        )
        assert number in read


def test_a_validator_without_priority_has_none() -> None:
    commit, pages = make_answers()
    members = cast("list[Json]", pages[0]["validators"])
    del members[0]["proposer_priority"]
    members[1]["proposer_priority"] = "-7"
    block = parse_light_block_answers(commit, pages)
    assert [item.proposer_priority for item in block.validator_set.validators[:2]] == [0, -7]


@pytest.mark.parametrize("page", [1, 2])
def test_a_page_is_named_by_its_number(page: int) -> None:
    commit, pages = make_answers()
    split: list[object] = [pages[0], pages[0]]
    split[page - 1] = None
    with pytest.raises(MalformedRpcAnswer, match=f"^validators page {page}: expected an object, got None"):
        parse_light_block_answers(commit, split)


def test_a_refusal_names_what_was_given_alone() -> None:
    commit, pages = make_answers()
    with pytest.raises(MalformedRpcAnswer, match=r"^commit: expected an object, got None"):
        parse_light_block_answers(None, pages)
    with pytest.raises(MalformedRpcAnswer, match=r"^signed_header: expected an object, got None"):
        parse_light_block(None, [])
    with pytest.raises(MalformedRpcAnswer, match=r"^validators: expected a list, got 'text'"):
        parse_light_block(commit["signed_header"], "text")
    with pytest.raises(MalformedRpcAnswer, match=r"^time: expected a string, got 5"):
        parse_time_ns(5)


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
