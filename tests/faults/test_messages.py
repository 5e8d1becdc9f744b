"""What the harness sends has all the trouble that the proof is about."""

import json
from collections import Counter

import pytest

from tests.faults.messages import HOUR, MINUTE, Message, Messages, window_key
from tests.faults.topic import Sent, is_good

BEGIN = 1_795_520_000_000 // MINUTE * MINUTE
END = BEGIN + 10 * MINUTE
PAST = [BEGIN - 3 * HOUR + number * MINUTE for number in range(4)]


@pytest.fixture(scope="module")
def sent() -> list[tuple[int, Message]]:
    """Messages with the instants at which they are sent, until long after the live windows."""
    messages = Messages(BEGIN, END, PAST, seed=1)
    first = [(BEGIN, message) for message in messages.of_the_past(50)]
    moments = range(BEGIN, END + 5 * MINUTE, 100)
    return [*first, *((now, messages.next(now)) for now in moments)]


def verdict(now: int, message: Message) -> bool:
    return is_good(Sent(message.timestamp, message.value or b""), now / 1000 + 3600)


def test_all_kinds_are_there_and_only_the_bad_are_bad(sent: list[tuple[int, Message]]) -> None:
    kinds = Counter(message.kind for _, message in sent)
    assert set(kinds) == {
        "past", "now", "late", "early", "newer", "same", "elsewhere", "too late", "bad",
    }  # fmt: skip
    assert kinds["now"] > len(sent) / 4
    for now, message in sent:
        assert verdict(now, message) is (message.kind != "bad")
        if message.identity and message.kind != "bad":
            assert json.loads(message.value or b"")["Unique id"] == message.identity


def test_no_record_opens_a_window_after_the_last(sent: list[tuple[int, Message]]) -> None:
    assert max(message.timestamp for _, message in sent if message.kind != "bad") < END


def test_records_come_early_late_and_too_late(sent: list[tuple[int, Message]]) -> None:
    ahead = {kind: [m.timestamp - now for now, m in sent if m.kind == kind] for kind in ("early", "too late")}
    assert min(ahead["early"]) > 0
    assert max(ahead["too late"]) < -24 * HOUR
    late = {window_key(message.timestamp) for _, message in sent if message.kind == "late"}
    assert {window_key(start) for start in PAST} <= late
    assert late & {window_key(BEGIN + number * MINUTE) for number in range(10)}


def test_ids_come_again_in_their_window_and_in_others(sent: list[tuple[int, Message]]) -> None:
    homes: dict[str, list[Message]] = {}
    for _, message in sent:
        if message.identity and message.kind not in ("bad", "too late"):
            homes.setdefault(message.identity, []).append(message)
    again = [group for group in homes.values() if len(group) > 1]
    per_home = [Counter(window_key(message.timestamp) for message in group) for group in again]
    assert any(len(counted) > 1 for counted in per_home)
    assert any(max(counted.values()) > 1 for counted in per_home)
    assert any(len({message.value for message in group}) < len(group) for group in again)
