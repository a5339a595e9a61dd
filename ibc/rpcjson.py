"""CometBFT's RPC answers as the messages that the light client verifies.

A node speaks JSON, where 64-bit integers are strings, hashes are upper-case hexadecimal, keys and signatures are
Base64, and times are RFC 3339 with up to nine digits of a second.  The conversion is exact, since every bit is hashed
or signed, and strict: whatever is not of the expected form is refused with its path.

Source: CometBFT 0.38 to 0.40, `rpc/core/types` and `types/{block,validator}.go`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from ibc.errors import MalformedRpcAnswer
from ibc.times import NS_PER_SECOND, time_to_wire
from wire.tendermint.crypto import keys_pb2
from wire.tendermint.types import types_pb2, validator_pb2
from wire.tendermint.version import types_pb2 as version_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

_INT_32: Final = (-(1 << 31), (1 << 31) - 1)
_INT_64: Final = (-(1 << 63), (1 << 63) - 1)
_UINT_32: Final = (0, (1 << 32) - 1)
_UINT_64: Final = (0, (1 << 64) - 1)

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,19})")
_HEXADECIMAL = re.compile(r"(?:[0-9A-F]{2})*")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ED25519 = "tendermint/PubKeyEd25519"


class _Json:
    """A JSON value and the path to it."""

    __slots__ = ("path", "value")

    def __init__(self, value: object, path: str) -> None:
        self.value = value
        self.path = path

    def __getitem__(self, name: str) -> _Json:
        if not isinstance(self.value, Mapping):
            raise self.explain("an object")
        return _Json(self.value.get(name), f"{self.path}.{name}")

    def items(self) -> list[_Json]:
        if not isinstance(self.value, Sequence) or isinstance(self.value, str | bytes):
            raise self.explain("a list")
        return [_Json(item, f"{self.path}[{index}]") for index, item in enumerate(self.value)]

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self.explain("a string")
        return self.value

    def number(self, bounds: tuple[int, int]) -> int:
        """Return an integer of at most 32 bits, which JSON has as a number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.explain("an integer")
        return self._check_bounds(self.value, bounds)

    def long(self, bounds: tuple[int, int]) -> int:
        """Return an integer of 64 bits, which JSON has as a string."""
        text = self.text()
        if _DECIMAL.fullmatch(text) is None:
            raise self.explain("an integer in a string")
        return self._check_bounds(int(text), bounds)

    def _check_bounds(self, number: int, bounds: tuple[int, int]) -> int:
        if not bounds[0] <= number <= bounds[1]:
            raise self.explain(f"an integer from {bounds[0]} to {bounds[1]}")
        return number

    def hexadecimal(self) -> bytes:
        text = self.text()
        if _HEXADECIMAL.fullmatch(text) is None:
            raise self.explain("upper-case hexadecimal digits")
        return bytes.fromhex(text)

    def base64(self) -> bytes:
        try:
            return base64.b64decode(self.text(), validate=True)
        except ValueError:
            raise self.explain("Base64") from None

    def time(self) -> Timestamp:
        match = _TIME.fullmatch(self.text())
        if match is None:
            raise self.explain("a time in UTC")
        try:
            moment = datetime.fromisoformat(match.group(1) + "+00:00")
        except ValueError:
            raise self.explain("a time in UTC") from None
        seconds = (moment - _EPOCH) // timedelta(seconds=1)
        return time_to_wire(seconds * NS_PER_SECOND + int((match.group(2) or "").ljust(9, "0")))

    def explain(self, expected: str) -> MalformedRpcAnswer:
        return MalformedRpcAnswer(f"{self.path}: expected {expected}, got {repr(self.value)[:80]}")


def parse_light_block(signed_header: object, validators: Sequence[object]) -> types_pb2.LightBlock:
    """Return the light block of a height.

    `signed_header` is the member of that name of the answer to `/commit`; `validators` are the elements of the member
    of that name of the answers to `/validators` of the same height, all pages, in order.

    Raises:
      MalformedRpcAnswer: a member is missing or of another form.

    """
    root = _Json(signed_header, "signed_header")
    header = _parse_header(root["header"])
    members = [_parse_validator(item) for item in _Json(validators, "validators").items()]
    if not members:
        raise MalformedRpcAnswer("validators: expected at least one, got none")
    # Nothing verified depends on the proposer, but ibc-go asks for one that is in the set.
    proposer = next((item for item in members if item.address == header.proposer_address), members[0])
    return types_pb2.LightBlock(
        signed_header=types_pb2.SignedHeader(header=header, commit=_parse_commit(root["commit"])),
        validator_set=validator_pb2.ValidatorSet(validators=members, proposer=proposer),
    )


def parse_light_block_answers(commit: object, validator_pages: Sequence[object]) -> types_pb2.LightBlock:
    """Return the light block of a height from the whole results of `/commit` and of all pages of `/validators`.

    Raises:
      MalformedRpcAnswer: a member is missing or of another form, or pages are missing or of another height.

    """
    root = _Json(commit, "commit")
    pages = [_Json(page, f"validators page {index}") for index, page in enumerate(validator_pages, start=1)]
    height = root["signed_header"]["header"]["height"].long(_INT_64)
    members: list[object] = []
    for page in pages:
        if page["block_height"].long(_INT_64) != height:
            raise page["block_height"].explain(f"height {height}, that of the commit")
        members.extend(item.value for item in page["validators"].items())
    if not pages or pages[0]["total"].long(_INT_64) != len(members):
        raise MalformedRpcAnswer(f"validators: expected all pages, got {len(members)} validators")
    return parse_light_block(root["signed_header"].value, members)


def parse_time_ns(text: object) -> int:
    """Return a time as it stands in answers and genesis files, as Unix nanoseconds.

    Raises:
      MalformedRpcAnswer: it is not RFC 3339 in UTC.

    """
    moment = _Json(text, "time").time()
    return moment.seconds * NS_PER_SECOND + moment.nanos


def _parse_header(header: _Json) -> types_pb2.Header:
    version = header["version"]
    app = version["app"]
    return types_pb2.Header(
        version=version_pb2.Consensus(
            block=version["block"].long(_UINT_64),
            app=0 if app.value is None else app.long(_UINT_64),
        ),
        chain_id=header["chain_id"].text(),
        height=header["height"].long(_INT_64),
        time=header["time"].time(),
        last_block_id=_parse_block_id(header["last_block_id"]),
        last_commit_hash=header["last_commit_hash"].hexadecimal(),
        data_hash=header["data_hash"].hexadecimal(),
        validators_hash=header["validators_hash"].hexadecimal(),
        next_validators_hash=header["next_validators_hash"].hexadecimal(),
        consensus_hash=header["consensus_hash"].hexadecimal(),
        app_hash=header["app_hash"].hexadecimal(),
        last_results_hash=header["last_results_hash"].hexadecimal(),
        evidence_hash=header["evidence_hash"].hexadecimal(),
        proposer_address=header["proposer_address"].hexadecimal(),
    )


def _parse_block_id(block_id: _Json) -> types_pb2.BlockID:
    parts = block_id["parts"]
    return types_pb2.BlockID(
        hash=block_id["hash"].hexadecimal(),
        part_set_header=types_pb2.PartSetHeader(
            total=parts["total"].number(_UINT_32), hash=parts["hash"].hexadecimal()
        ),
    )


def _parse_commit(commit: _Json) -> types_pb2.Commit:
    return types_pb2.Commit(
        height=commit["height"].long(_INT_64),
        round=commit["round"].number(_INT_32),
        block_id=_parse_block_id(commit["block_id"]),
        signatures=[_parse_slot(item) for item in commit["signatures"].items()],
    )


def _parse_slot(slot: _Json) -> types_pb2.CommitSig:
    signature = slot["signature"]
    return types_pb2.CommitSig(
        block_id_flag=_parse_flag(slot["block_id_flag"]),
        validator_address=slot["validator_address"].hexadecimal(),
        timestamp=slot["timestamp"].time(),
        signature=b"" if signature.value is None else signature.base64(),
    )


def _parse_flag(flag: _Json) -> validator_pb2.BlockIDFlag.ValueType:
    number = flag.number(_INT_32)
    if number == validator_pb2.BLOCK_ID_FLAG_ABSENT:
        return validator_pb2.BLOCK_ID_FLAG_ABSENT
    if number == validator_pb2.BLOCK_ID_FLAG_COMMIT:
        return validator_pb2.BLOCK_ID_FLAG_COMMIT
    if number == validator_pb2.BLOCK_ID_FLAG_NIL:
        return validator_pb2.BLOCK_ID_FLAG_NIL
    raise flag.explain("1, 2 or 3")


def _parse_validator(validator: _Json) -> validator_pb2.Validator:
    key = validator["pub_key"]
    if key["type"].text() != _ED25519:
        raise key["type"].explain(_ED25519)
    priority = validator["proposer_priority"]
    return validator_pb2.Validator(
        address=validator["address"].hexadecimal(),
        pub_key=keys_pb2.PublicKey(ed25519=key["value"].base64()),
        voting_power=validator["voting_power"].long(_INT_64),
        proposer_priority=0 if priority.value is None else priority.long(_INT_64),
    )
