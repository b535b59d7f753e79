"""What answering one message took: also what was spent before a crash, and each answer at its own model's price."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from openclaw.answering import speak
from openclaw.billing import asked, cost, cost_of
from openclaw.clock import ManualClock
from openclaw.fallback import Cooling, Models
from openclaw.manifest.snapshot import FREE, Agent, Model, Price, Snapshot
from openclaw.messages import AssistantEntry, Compaction, Draft, Entry, Usage, UserEntry
from openclaw.permissions.policy import Effect, Policy
from openclaw.prompt import Voice
from openclaw.providers.scripted import Provider
from openclaw.supervisor import Adapter, Generation
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
    assert cost([(model, USAGE, None) for model in asked], CHEAP, [DEAR, CHEAP]) == expected


def test_one_model_at_two_services_has_two_prices_and_no_thinking_of_one_is_sent_to_the_other() -> None:
    at = {"smart": ("http://a", 8.0), "gateway": ("http://b", 0.5)}
    models = {
        name: Model(name, "one", options={"base_url": url}, price=Price(price, 0, 0, 0))
        for name, (url, price) in at.items()
    }
    models["smart"] = replace(models["smart"], fallback=("gateway",))
    agent = Agent("main", "Main", "", "", "", "smart", (), "works")
    policies = {"works": Policy("works", (), Effect.DENY)}
    snapshot = Snapshot("d", "/p", {"main": agent}, {}, policies, {}, {}, {}, {}, {})
    opened = {name: Adapter("providers", "scripted", {}, Provider({}, ManualClock(NOON))) for name in models}
    voices = speak(agent, Generation(1, snapshot, models, opened, {}))
    thought = {"type": "thinking", "thinking": "private", "signature": "s"}
    said = AssistantEntry(
        "a", NOON, (thought, {"type": "text", "text": "x"}), "one", "end_turn", USAGE, voices[0].setup
    )
    assert ["private" in str(Transcript([said]).messages(voice.setup)) for voice in voices] == [True, False]
    for voice, price in zip(voices, (8.0, 0.5), strict=True):
        taken = asked([replace(said, setup=voice.setup)], Models(voices, Cooling(ManualClock(NOON)), print))
        assert cost(taken, models["smart"], models.values()) == price
    moved = {**models, "smart": replace(models["smart"], options={"base_url": "http://c"})}
    assert speak(agent, Generation(2, snapshot, moved, opened, {}))[0].setup != voices[0].setup


def test_the_price_of_an_answer_that_nobody_knows_is_not_known() -> None:
    own = Model("own", "own")
    assert cost([("own", USAGE, None), ("dear", USAGE, None)], own, [own, DEAR]) is None
    assert cost([("dear", USAGE, None)], own, [own, DEAR]) == 8.0
    assert cost([("another", USAGE, None)], replace(own, price=FREE), [own, DEAR]) is None


@pytest.mark.parametrize(
    ("usage", "price", "expected"),
    [
        (Usage(), Price(0, 0, 0, 0, web_search=10), None),  # it may have searched
        (Usage(), Price(0, 0, 0, 0, web_search=0), 0.0),
        (Usage(), FREE, 0.0),
        (Usage(), Price(8, 0, 0, 0), None),
        (Usage(searches=3), Price(3, 15, 0.3, 3.75, web_search=10), None),  # and took tokens, which it does not say
        (Usage(searches=3), Price(0, 0, 0, 0, web_search=10), 0.03),
        (Usage(1_000_000, searches=3), Price(3, 15, 0.3, 3.75, web_search=10), 3.03),
        (Usage(1_000_000, searches=3), Price(3, 15, 0.3, 3.75), None),
    ],
)
def test_a_call_whose_figures_are_not_all_told_has_no_known_cost(
    usage: Usage, price: Price, expected: float | None
) -> None:
    found = cost_of(usage, price)
    assert found == (None if expected is None else pytest.approx(expected))


def test_what_is_of_another_start_is_not_free_because_this_ones_model_is() -> None:
    provider = Provider({}, ManualClock(NOON))
    left = [Draft("d", NOON, usage=USAGE, setup="another"), Compaction("c", NOON, "", None, USAGE)]

    def prices(own: Price | None, *, before: bool) -> list[tuple[str, Price | None]]:
        models = Models([Voice(provider, "own", "", (), "s", price=own)], Cooling(ManualClock(NOON)), print)
        return [(model, price) for model, _, price in asked(left, models, before=before)]

    assert prices(FREE, before=True) == [("unknown", None)] * 2
    assert prices(FREE, before=False) == [("own", FREE)] * 2
    assert prices(DEAR.price, before=True) == [("own", DEAR.price)] * 2
