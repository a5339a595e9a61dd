from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from ibc.errors import InvalidIdentifier
from ibc.identifiers import (
    Height,
    check_client_id,
    check_packet_client_id,
    check_port,
    height_from_wire,
    height_to_wire,
    parse_revision,
)
from wire.ibc.core.client.v1 import client_pb2

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    "client_id",
    ["07-tendermint-0", "a-bc-1", "ab-1", "Client_X-1", "x" * 62 + "-1", "client_x-18446744073709551615"],
)
def test_client_ids_end_in_a_number(client_id: str) -> None:
    check_client_id(client_id)


@pytest.mark.parametrize(
    "client_id",
    [
        "",
        "a-1",
        "tendermint",
        "tendermint-",
        "-tendermint-1",
        "tendermint--1",
        "tendermint-x",
        "tendermint-18446744073709551616",
        "tendermint-1\n",
        "tender mint-1",
        "tendermint/x-1",
        "tendermint-\u0661",
        "x" * 63 + "-1",
        "tendermint-" + "1" * 200,
    ],
)
def test_other_client_ids_are_refused(client_id: str) -> None:
    with pytest.raises(InvalidIdentifier):
        check_client_id(client_id)


def test_client_ids_in_packets_follow_the_rules_of_channels() -> None:
    check_packet_client_id("channel-0")
    check_packet_client_id("a.b_c+d-#[]<>")
    with pytest.raises(InvalidIdentifier):
        check_packet_client_id("chann-0")
    with pytest.raises(InvalidIdentifier):
        check_packet_client_id("channel-0\u00e9")


def test_ports_have_2_to_128_characters() -> None:
    check_port("fl.hub")
    check_port("FL.Hub")
    check_port("x" * 128)
    for port in ("x", "x" * 129, "fl hub", "fl/hub", ""):
        with pytest.raises(InvalidIdentifier):
            check_port(port)


@pytest.mark.parametrize(
    ("chain_id", "revision"),
    [
        ("hub-1", 1),
        ("hub-x-27", 27),
        ("hub-18446744073709551615", (1 << 64) - 1),
        ("hub", 0),
        ("hub-0", 0),
        ("hub-01", 0),
        ("hub--1", 0),
        ("hub-", 0),
        ("-1", 0),
        ("hub-1\n", 0),
        ("", 0),
    ],
)
def test_the_revision_is_the_number_at_the_end_of_a_chain_id(chain_id: str, revision: int) -> None:
    assert parse_revision(chain_id) == revision


@pytest.mark.parametrize("digits", ["18446744073709551616", "9" * 5_000])
def test_a_revision_above_64_bits_is_refused(digits: str) -> None:
    with pytest.raises(InvalidIdentifier):
        parse_revision(f"hub-{digits}")


def test_heights_are_ordered_by_revision_first() -> None:
    assert Height(1, 100) < Height(2, 1) < Height(2, 2)
    assert str(Height(2, 7)) == "2-7"


def test_a_height_survives_the_wire_and_a_missing_one_is_zero() -> None:
    assert height_from_wire(height_to_wire(Height(3, 9))) == Height(3, 9)
    assert height_from_wire(client_pb2.Height()) == Height(0, 0)


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (check_client_id, "client id of 4 to 64"),
        (check_packet_client_id, "client id of 8 to 64"),
        (check_port, "port of 2 to 128"),
    ],
)
def test_a_refusal_says_what_was_expected(check: Callable[[str], None], kind: str) -> None:
    with pytest.raises(InvalidIdentifier) as refused:
        check("\u00e9" * 129)
    shown = "\u00e9" * 128
    expected = f"expected a {kind} letters, digits and ._+-#[]<>, got {shown!r}"
    assert refused.value.message == expected
    with pytest.raises(
        InvalidIdentifier, match=r"^expected a client id of the form name-number, got 'tendermint' "
    ):
        check_client_id("tendermint")


def test_a_revision_that_is_refused_is_shown_in_part() -> None:
    with pytest.raises(InvalidIdentifier) as refused:
        parse_revision("hub-" + "9" * 65)
    assert refused.value.message == f"expected a revision of at most 64 bits, got {'9' * 64}"
