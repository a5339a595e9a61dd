"""Blocks and transactions on the mini app."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from abci_app.context import Services
from abci_app.errors import BundleRefused, DuplicateItem, NothingNew, TxReplayed, UnknownMessageType
from abci_app.execution import (
    MAX_CLAIMS,
    MAX_FORGOTTEN,
    RefusedResult,
    bitmap,
    check_tx,
    execute_block,
    is_valid_proposal,
    prune_replay_keys,
    select_for_proposal,
)
from abci_app.state import BULK, Overlay
from aggregation.kzg import Setup
from tests.support.miniapp import (
    ALICE,
    BOB,
    CHAIN,
    LIFE_NS,
    NOW_NS,
    MemoryReader,
    MiniError,
    MiniItems,
    block_at,
    bundle_tx,
    mini_app,
    transfer_message,
    transfer_tx,
)
from tx.envelope import make_tx
from tx.failures import Expired, ExpiryTooFar, InvalidSignature, MalformedEncoding, WrongChain, WrongSigners
from wire.gradchain.hub.v1 import tx_pb2 as hub_tx
from wire.gradchain.tx.v1.tx_pb2 import MessageResults

if TYPE_CHECKING:
    from wire.gradchain.fl.v1.update_pb2 import Update

SERVICES = Services(kzg=Setup(points=()))


def test_a_failed_message_leaves_nothing_but_the_memory_of_its_body() -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [transfer_tx(13)])
    assert (outcome.results[0].codespace, outcome.results[0].code) == ("mini", 1)
    assert [key[:3] for key, _ in outcome.state.scan(BULK, b"")] == [b"tx/"]


def test_all_messages_of_a_transaction_take_effect_or_none() -> None:
    messages = [transfer_message(ALICE, 7), transfer_message(ALICE, 13)]
    tx = make_tx(CHAIN, messages, [ALICE], NOW_NS + LIFE_NS, b"nonce-01")
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [tx])
    assert outcome.state.get(BULK, b"last/" + BOB.public_key) is None


def test_what_messages_give_back_is_the_data_of_their_transaction() -> None:
    messages = [transfer_message(ALICE, amount) for amount in (7, 21)]
    tx = make_tx(CHAIN, messages, [ALICE], NOW_NS + LIFE_NS, b"nonce-01")
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [tx])
    values = MessageResults.FromString(outcome.results[0].data).values
    assert list(values) == [b"", messages[1].SerializeToString()]


def test_messages_that_give_nothing_back_leave_no_data() -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [transfer_tx(), transfer_tx(13)])
    assert [result.data for result in outcome.results] == [b"", b""]


def test_a_body_is_executed_once_in_a_block() -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [transfer_tx(), transfer_tx()])
    assert [result.code for result in outcome.results] == [0, TxReplayed.CODE]


def test_a_body_is_executed_once_over_blocks_until_it_expires() -> None:
    reader = MemoryReader()
    reader.commit(execute_block(mini_app(), block_at(), reader, [transfer_tx()]).state)
    again = execute_block(mini_app(), block_at(6, NOW_NS + LIFE_NS), reader, [transfer_tx()])
    assert again.results[0].code == TxReplayed.CODE
    late = execute_block(mini_app(), block_at(7, NOW_NS + LIFE_NS + 1), reader, [transfer_tx()])
    assert late.results[0].code == Expired.CODE


def test_a_failed_body_cannot_be_tried_again() -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [transfer_tx(13), transfer_tx(13)])
    assert [result.code for result in outcome.results] == [MiniError.CODE, TxReplayed.CODE]
    assert outcome.results[1].codespace == "node"


def test_a_body_with_a_bad_signature_is_not_remembered() -> None:
    genuine = bytearray(transfer_tx())
    genuine[-1] ^= 1
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [bytes(genuine), transfer_tx()])
    assert [result.code for result in outcome.results] == [InvalidSignature.CODE, 0]


def test_the_same_body_with_one_more_signature_is_refused() -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [transfer_tx(keys=(ALICE, BOB))])
    assert outcome.results[0].code == WrongSigners.CODE


def test_expired_bodies_are_forgotten_and_others_kept() -> None:
    reader = MemoryReader()
    reader.commit(execute_block(mini_app(), block_at(), reader, [transfer_tx()]).state)
    overlay = Overlay(reader)
    prune_replay_keys(block_at(6, NOW_NS + LIFE_NS), overlay)
    assert len(list(overlay.scan(BULK, b"tx/"))) == 1
    prune_replay_keys(block_at(6, NOW_NS + LIFE_NS + 1), overlay)
    assert not list(overlay.scan(BULK, b"tx/"))


def test_a_block_forgets_a_bounded_number_of_bodies_the_earliest_first() -> None:
    """Whoever lets all transactions of ten minutes expire at once must not stop a block for as long as they took."""
    reader = MemoryReader()
    times = [NOW_NS - 2] * MAX_FORGOTTEN + [NOW_NS - 1] * 3
    keys = [
        b"tx/" + time_ns.to_bytes(8, "big") + number.to_bytes(32, "big")
        for number, time_ns in enumerate(times)
    ]
    reader.pairs["bulk"] = dict.fromkeys(keys, b"\x01")
    left = []
    for height in (6, 7):
        reader.commit(execute_block(mini_app(), block_at(height), reader, []).state)
        left.append(sorted(reader.pairs["bulk"]))
    assert left == [keys[-3:], []]


@pytest.mark.parametrize(
    ("tx", "error"),
    [
        (b"\xff\xff", MalformedEncoding),
        (make_tx("other-1", [transfer_message(ALICE, 1)], [ALICE], NOW_NS + 1, b"nonce-02"), WrongChain),
        (make_tx(CHAIN, [transfer_message(ALICE, 1)], [ALICE], NOW_NS - 1, b"nonce-03"), Expired),
        (make_tx(CHAIN, [transfer_message(ALICE, 1)], [ALICE], -1, b"nonce-03"), Expired),
        (
            make_tx(CHAIN, [transfer_message(ALICE, 1)], [ALICE], NOW_NS + 11 * 60 * 10**9, b"nonce-04"),
            ExpiryTooFar,
        ),
        (make_tx(CHAIN, [hub_tx.MsgRegisterShard()], [ALICE], NOW_NS + 1, b"nonce-05"), UnknownMessageType),
        (transfer_tx(0), MiniError),
        (bundle_tx(b"ok"), BundleRefused),
    ],
)
def test_a_bad_transaction_fails_with_its_own_code_and_harms_no_other(
    tx: bytes, error: type[MiniError]
) -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [tx, transfer_tx()])
    assert (outcome.results[0].codespace, outcome.results[0].code) == (error.CODESPACE, error.CODE)
    assert outcome.results[1].code == 0


def test_every_item_of_a_bundle_has_its_own_verdict() -> None:
    items = MiniItems()
    outcome = execute_block(mini_app(items), block_at(), MemoryReader(), [bundle_tx(b"ok", b"bad", b"fine")])
    result = outcome.results[0]
    assert (result.code, result.data) == (0, bytes([0b101]))
    refused = [dict(event.attributes) for event in result.events if event.kind == "update_refused"]
    assert refused == [
        {"index": "1", "codespace": "mini", "code": "1", "log": "expected a good and new item"}
    ]
    assert len(list(outcome.state.scan(BULK, b"item/"))) == 2


def test_a_bundle_without_any_good_item_fails() -> None:
    outcome = execute_block(mini_app(MiniItems()), block_at(), MemoryReader(), [bundle_tx(b"bad", b"bad")])
    assert (outcome.results[0].code, outcome.results[0].data) == (1, b"\x00")


def test_an_item_that_fails_after_its_signature_leaves_what_the_app_says() -> None:
    outcome = execute_block(mini_app(MiniItems()), block_at(), MemoryReader(), [bundle_tx(b"lie", b"ok")])
    assert len(list(outcome.state.scan(BULK, b"spent/"))) == 1
    assert "spent" in [event.kind for event in outcome.results[0].events]
    assert len(list(outcome.state.scan(BULK, b"item/"))) == 1


def test_all_updates_of_a_block_are_verified_in_one_batch() -> None:
    items = MiniItems()
    txs = [bundle_tx(b"a", b"b"), transfer_tx(), bundle_tx(b"c", names=[b"x"])]
    execute_block(mini_app(items), block_at(), MemoryReader(), txs)
    assert items.batches == [3]


def test_hooks_run_before_and_after_the_transactions() -> None:
    outcome = execute_block(mini_app(), block_at(), MemoryReader(), [])
    assert [event.kind for event in outcome.events] == ["begin", "end"]


def test_check_tx_refuses_what_is_pending() -> None:
    app = mini_app()
    claims = check_tx(app, block_at(), MemoryReader(), transfer_tx(), set())
    with pytest.raises(TxReplayed):
        check_tx(app, block_at(), MemoryReader(), transfer_tx(), set(claims))


def test_check_tx_refuses_what_would_fail_now() -> None:
    with pytest.raises(RefusedResult) as caught:
        check_tx(mini_app(), block_at(), MemoryReader(), transfer_tx(13), set())
    assert caught.value.result.code == MiniError.CODE


def test_check_tx_takes_a_bundle_for_what_is_new_in_it() -> None:
    app = mini_app(MiniItems())
    first = check_tx(app, block_at(), MemoryReader(), bundle_tx(b"a", b"b"), set())
    assert len(first) == 2
    more = check_tx(app, block_at(), MemoryReader(), bundle_tx(b"a", b"b", b"c"), set(first))
    assert len(more) == 1
    with pytest.raises(NothingNew):
        check_tx(app, block_at(), MemoryReader(), bundle_tx(b"a", b"b"), set(first))


def test_check_tx_refuses_a_bundle_that_no_proposal_could_take() -> None:
    app = mini_app(MiniItems())
    with pytest.raises(DuplicateItem):
        check_tx(app, block_at(), MemoryReader(), bundle_tx(b"a", b"b", names=[b"x", b"x"]), set())
    with pytest.raises(DuplicateItem):
        check_tx(
            app, block_at(), MemoryReader(), bundle_tx(b"a", b"bad", b"bad", names=[b"x", b"y", b"y"]), set()
        )


def test_check_tx_refuses_a_bundle_without_any_good_item() -> None:
    app = mini_app(MiniItems())
    with pytest.raises(MiniError):
        check_tx(app, block_at(), MemoryReader(), bundle_tx(b"bad", b"bad"), set())
    with pytest.raises(BundleRefused):
        check_tx(mini_app(), block_at(), MemoryReader(), bundle_tx(b"a"), set())


def test_a_proposal_leaves_out_only_what_a_validator_would_refuse() -> None:
    app = mini_app(MiniItems())
    stale = make_tx(CHAIN, [transfer_message(ALICE, 1)], [ALICE], NOW_NS - 1, b"nonce-06")
    offered = [
        transfer_tx(),
        b"\xff",
        transfer_tx(),
        stale,
        bundle_tx(b"a", b"b", names=[b"x", b"x"]),
        bundle_tx(b"a", names=[b"y"]),
        bundle_tx(b"a", names=[b"y"]),
    ]
    chosen = select_for_proposal(app, SERVICES, offered, 1 << 20)
    assert chosen == [offered[0], stale, offered[5]]
    assert is_valid_proposal(app, SERVICES, chosen)
    for bad in ([b"\xff"], [offered[0], offered[0]], [offered[4]], [offered[5], offered[5]]):
        assert not is_valid_proposal(app, SERVICES, bad)


def test_bundles_that_share_an_update_go_into_one_proposal() -> None:
    app = mini_app(MiniItems())
    bundles = [
        bundle_tx(b"a", b"b", names=[b"x", b"y"]),
        bundle_tx(b"b", b"c", names=[b"y", b"z"]),
        bundle_tx(b"b", names=[b"y"]),
    ]
    assert select_for_proposal(app, SERVICES, bundles, 1 << 20) == bundles
    assert is_valid_proposal(app, SERVICES, bundles)


def test_a_bundle_is_no_proposal_where_none_are_taken() -> None:
    assert select_for_proposal(mini_app(), SERVICES, [bundle_tx(b"a")], 1 << 20) == []
    assert not is_valid_proposal(mini_app(), SERVICES, [bundle_tx(b"a")])


def test_a_proposal_keeps_to_the_encoded_size() -> None:
    app = mini_app()
    txs = [transfer_tx(nonce=b"nonce-%02d" % index) for index in range(4)]
    cost = len(txs[0]) + 2 if len(txs[0]) < 128 else len(txs[0]) + 3
    assert select_for_proposal(app, SERVICES, txs, 2 * cost) == txs[:2]
    assert select_for_proposal(app, SERVICES, txs, 2 * cost - 1) == txs[:1]


def test_the_bitmap_has_the_first_flag_in_the_lowest_bit() -> None:
    assert bitmap([True, False, False, False, False, False, False, False, True]) == b"\x01\x01"


def test_a_proposal_keeps_to_the_number_of_claims() -> None:
    app, services = mini_app(MiniItems()), block_at().services
    names = [b"%d" % number for number in range(MAX_CLAIMS + 1)]
    bundles = [
        bundle_tx(*names[start : start + 1_024], names=names[start : start + 1_024])
        for start in range(0, len(names), 1_024)
    ]
    assert select_for_proposal(app, services, bundles, 1 << 25) == bundles[:-1]
    assert is_valid_proposal(app, services, bundles[:-1])
    assert not is_valid_proposal(app, services, bundles)


def test_what_updates_claim_is_asked_only_while_there_are_not_too_many() -> None:
    """It costs a signature each, and a proposer may have filled the block with tiny ones."""
    asked: list[bytes] = []

    class AskedItem:
        def __init__(self, name: bytes) -> None:
            self.name = name

        @property
        def claim(self) -> bytes:
            asked.append(self.name)
            return self.name

    class AskedItems(MiniItems):
        def read(self, update: Update) -> AskedItem:  # type: ignore[override]
            return AskedItem(update.signed.statement)

    names = [b"%d" % number for number in range(MAX_CLAIMS + 1_024)]
    bundles = [
        bundle_tx(*names[start : start + 1_024], names=names[start : start + 1_024])
        for start in range(0, len(names), 1_024)
    ]
    assert not is_valid_proposal(mini_app(AskedItems()), block_at().services, bundles)
    assert asked == names[:MAX_CLAIMS]


def test_an_update_that_is_repeated_counts_each_time() -> None:
    app, services = mini_app(MiniItems()), block_at().services
    names = [b"%d" % number for number in range(1_023)]
    bundles = [bundle_tx(*names, b"%d" % extra, names=[*names, b"+%d" % extra]) for extra in range(65)]
    assert select_for_proposal(app, services, bundles, 1 << 25) == bundles[:64]
    assert not is_valid_proposal(app, services, bundles)
