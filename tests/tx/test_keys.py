from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.txs import build_key
from tx.bech32m import bytes_to_values, encode_bech32m
from tx.failures import InvalidAddress, InvalidPublicKey, InvalidSignature
from tx.keys import SigningKey, format_address, parse_address, verify_signature


def test_a_seed_gives_the_key_and_the_signature_of_rfc_8032() -> None:
    # RFC 8032, section 7.1, test 2.
    key = SigningKey.from_seed(
        bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    )
    assert key.public_key.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert key.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_a_signature_verifies_under_its_key(seed: bytes, message: bytes) -> None:
    key = SigningKey.from_seed(seed)
    verify_signature(key.public_key, message, key.sign(message))


@given(st.integers(0, 64 * 8 - 1))
def test_a_signature_with_any_bit_changed_is_refused(bit: int) -> None:
    key = build_key(1)
    signature = bytearray(key.sign(b"message"))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidSignature):
        verify_signature(key.public_key, b"message", bytes(signature))


def test_a_signature_of_another_key_is_refused() -> None:
    with pytest.raises(InvalidSignature):
        verify_signature(build_key(2).public_key, b"message", build_key(1).sign(b"message"))


def test_a_signature_with_a_scalar_that_is_not_reduced_is_refused() -> None:
    order = 2**252 + 27742317777372353535851937790883648493
    signature = build_key(1).sign(b"message")
    scalar = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(InvalidSignature):
        verify_signature(build_key(1).public_key, b"message", signature[:32] + scalar.to_bytes(32, "little"))


@pytest.mark.parametrize("public_key", [b"\x00" * 32, b"\x01" + b"\x00" * 31])
def test_a_key_of_small_order_is_refused(public_key: bytes) -> None:
    with pytest.raises(InvalidSignature):
        verify_signature(public_key, b"message", b"\x01" + b"\x00" * 63)


@pytest.mark.parametrize(
    ("key_size", "signature_size"), [(31, 64), (33, 64), (0, 64), (32, 63), (32, 65), (32, 0)]
)
def test_a_key_or_signature_of_another_length_is_refused(key_size: int, signature_size: int) -> None:
    with pytest.raises(InvalidSignature):
        verify_signature(b"\x01" * key_size, b"message", b"\x01" * signature_size)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidPublicKey):
        SigningKey.from_seed(b"short")


def test_the_secret_does_not_show_in_the_representation() -> None:
    assert build_key(1).seed.hex() not in repr(build_key(1))


@given(st.binary(min_size=32, max_size=32))
def test_an_address_comes_back_from_its_text(public_key: bytes) -> None:
    text = format_address(public_key)
    assert text.startswith("grad1")
    assert parse_address(text) == public_key


@given(st.text(max_size=80))
def test_text_that_is_no_address_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(format_address(b"\x07" * 32).upper(), id="upper case"),
        pytest.param(encode_bech32m("cosmos", bytes_to_values(b"\x07" * 32)), id="another prefix"),
        pytest.param(encode_bech32m("grad", bytes_to_values(b"\x07" * 31)), id="too short"),
        pytest.param(encode_bech32m("grad", bytes_to_values(b"\x07" * 33)), id="too long"),
        pytest.param(
            encode_bech32m("grad", (*bytes_to_values(b"\x07" * 32)[:-1], 31)), id="padding not zero"
        ),
        pytest.param(encode_bech32m("grad", (*bytes_to_values(b"\x07" * 32), 0)), id="padding too long"),
        pytest.param("", id="empty"),
    ],
)
def test_a_text_that_format_address_would_not_give_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        parse_address(text)


def test_a_key_of_another_length_has_no_address() -> None:
    with pytest.raises(InvalidPublicKey):
        format_address(b"\x01" * 31)
