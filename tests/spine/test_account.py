"""What answering one message took: also what was spent before a crash, and each answer at its own model's price."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from openclaw.answering import _cost
from openclaw.manifest.snapshot import Model, Price
from openclaw.messages import AssistantEntry, Entry, Usage, UserEntry
from openclaw.transcript import Transcript

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
USAGE = Usage(input=1_000_000)
DEAR, CHEAP = (Model(name, name, price=Price(input, 0, 0, 0)) for name, input in (("dear", 8.0), ("cheap", 0.5)))


def test_what_is_of_a_message_begins_with_its_entry_from_before_a_crash() -> None:
    entries: list[Entry] = []
    for message in ("m1", "m2"):
        entries.append(UserEntry(f"u-{message}", NOON, ({"type": "text", "text": "hello"},), message))
        answer = ({"type": "text", "text": "yes"},)
        entries.append(AssistantEntry(f"a-{message}", NOON, answer, "cheap", "end_turn", USAGE, "s"))
    transcript = Transcript(entries)
    assert [transcript.place(message) for message in ("m1", "m2", "new")] == [0, 2, 4]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [((), 0.0), (("cheap",), 0.5), (("cheap", "dear"), 8.5), (("cheap", "cheap-of-another-day"), 1.0)],
)
def test_each_answer_has_the_price_of_its_model_where_that_is_known(asked: tuple[str, ...], expected: float) -> None:
    assert _cost([(model, USAGE) for model in asked], CHEAP, [DEAR, CHEAP]) == expected


def test_the_price_of_an_answer_that_nobody_knows_is_not_known() -> None:
    own = Model("own", "own")
    assert _cost([("own", USAGE), ("dear", USAGE)], own, [own, DEAR]) is None
    assert _cost([("dear", USAGE)], own, [own, DEAR]) == 8.0
