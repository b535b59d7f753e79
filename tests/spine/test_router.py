"""Who answers, and in which session."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw import commands
from openclaw.manifest.people import addresses, hears_of_costs, owners
from openclaw.manifest.snapshot import Agent, Channel, Model, Person, Room, Snapshot
from openclaw.messages import Address, Message, Refused, Route, Text
from openclaw.names import LONGEST, file_name
from openclaw.permissions.decide import Policy
from openclaw.ports import ChannelOptions
from openclaw.router import route, session_key, there

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def agent(id: str, prefix: str | None = None, default: bool = False) -> Agent:
    return Agent(id, id.title(), f"{id} does things", "soul", "", "m", (), "p", prefix=prefix, default=default)


def channel(key: str, **more: object) -> Channel:
    return replace(Channel(key, ChannelOptions(key, key)), **more)  # type: ignore[arg-type]


SNAPSHOT = Snapshot(
    digest="d",
    root="/project",
    agents={a.id: a for a in (agent("main", default=True), agent("researcher", "/research"), agent("ops"))},
    tools={},
    policies={"p": Policy("p")},
    channels={
        "repl": channel("repl"),
        "telegram": channel("telegram"),
        "closed": channel("closed", allow=()),
        "desk": channel("desk", allow=("7",), agent="ops", agents=("ops",)),
    },
    people={
        "nader": Person(
            "nader", (Address("telegram", "12345"), Address("discord", "678")), owner=True, groups=("oncall",)
        ),
        "ana": Person("ana", (Address("telegram", "9"),), groups=("oncall",)),
    },
    rooms={"ops": Room("ops", Address("telegram", "-100"), agent="ops", agents=("ops", "researcher"))},
    heartbeats={},
    models={"m": Model("m", "demo", "scripted")},
)


def message(text: str, sender: str = "repl:local", **more: object) -> Message:
    plain = Message("1", Address.parse(sender), (Text(text),), NOW)
    return replace(plain, **more)  # type: ignore[arg-type]


def test_a_plain_message_goes_to_the_default_agent() -> None:
    assert route(message("hello"), SNAPSHOT) == Route("main", "agent:main:repl:local", "hello")


@pytest.mark.parametrize("text", ["/research who wrote X", "  /research   who wrote X", "/research\nwho wrote X"])
def test_a_prefix_chooses_the_agent_for_this_message_and_is_taken_off(text: str) -> None:
    assert route(message(text), SNAPSHOT) == Route("researcher", "agent:researcher:repl:local", "who wrote X")


def test_a_prefix_is_a_whole_word() -> None:
    routed = route(message("/researching is fun"), SNAPSHOT)
    assert isinstance(routed, Route) and routed.agent == "main"


def test_a_choice_holds_and_a_prefix_beats_it() -> None:
    chosen = route(message("hello"), SNAPSHOT, choice="ops")
    prefixed = route(message("/research hello"), SNAPSHOT, choice="ops")
    assert isinstance(chosen, Route) and isinstance(prefixed, Route)
    assert [chosen.agent, prefixed.agent] == ["ops", "researcher"]


def test_a_person_has_one_session_on_every_channel() -> None:
    routed = route(message("hello", "telegram:12345"), SNAPSHOT)
    assert isinstance(routed, Route) and routed.session == "agent:main:person:nader"


def test_a_group_has_a_session_that_is_never_a_persons() -> None:
    routed = route(message("hello", "telegram:12345", chat="-100", topic="5"), SNAPSHOT)
    assert isinstance(routed, Route) and routed == Route("ops", "agent:ops:telegram:chat:-100:5", "hello")


def test_a_named_session_is_appended() -> None:
    routed = route(message("hello", session="a:b"), SNAPSHOT)
    assert isinstance(routed, Route) and routed.session == "agent:main:repl:local:a%3Ab"


def test_strangers_closed_channels_and_unknown_channels_are_refused() -> None:
    for sender in ("telegram:666", "closed:1", "desk:8", "nowhere:1"):
        refused = route(message("hello", sender), SNAPSHOT)
        assert isinstance(refused, Refused) and refused.code == "sender", sender


def test_a_message_is_refused_not_passed_on_where_the_agent_is_not_admitted() -> None:
    refused = route(message("/research hello", "desk:7"), SNAPSHOT)
    assert isinstance(refused, Refused) and refused.code == "agent"


def test_an_unknown_agent_named_by_a_program_is_refused() -> None:
    refused = route(message("hello", agent="nobody"), SNAPSHOT)
    assert isinstance(refused, Refused) and "nobody" in refused.reason


def test_owners_are_addresses_and_the_terminal_is_always_one() -> None:
    assert owners(SNAPSHOT) == ("telegram:12345", "discord:678", "repl:local")
    assert addresses(("group:oncall", "x:1"), SNAPSHOT) == ("telegram:12345", "discord:678", "telegram:9", "x:1")


part = st.text(min_size=1, max_size=20)


@given(st.tuples(part, part), st.tuples(part, part))
def test_two_senders_never_share_a_session(one: tuple[str, str], two: tuple[str, str]) -> None:
    first, second = (session_key(replace(message("x"), sender=Address(*pair)), SNAPSHOT, "main") for pair in (one, two))
    if one != two and "person" not in (one[0], two[0]):
        assert first != second


def test_the_file_name_of_a_key_is_the_one_people_look_for() -> None:
    assert file_name("agent:main:user:12345") == "agent_main_user_12345"


@given(st.sets(st.text(max_size=200), min_size=2, max_size=50))
def test_file_names_are_injective_and_safe_in_any_case(keys: set[str]) -> None:
    names = {file_name(key).casefold() for key in keys}
    assert len(names) == len(keys)
    assert all(name not in (".", "..") and "/" not in name and 0 < len(name) <= LONGEST for name in names)


@pytest.mark.parametrize("text", ["/etc/passwd", "/ help", " /new", "a /help", "/Help", "//x", "/"])
def test_what_only_looks_like_a_command_is_text(text: str) -> None:
    assert commands.read(text) is None


def test_a_command_has_a_name_and_the_rest_as_argument() -> None:
    assert commands.read("/memory  cats and dogs ") == commands.Line("memory", "cats and dogs")
    assert "did you mean /help?" in commands.unknown("hepl", [])
    assert "did you mean /undo-compact?" in commands.unknown("undo_compact", [])


def test_what_is_told_to_a_telegram_group_enters_the_session_that_people_there_answer_in() -> None:
    group = Address("telegram", "-200")
    answer = Message("1", Address("telegram", "9"), (Text("ok"),), NOW, chat=group.id)
    assert there(group, SNAPSHOT).session == session_key(answer, SNAPSHOT, "main") == "agent:main:telegram:chat:-200"
    assert there(Address("telegram", "9"), SNAPSHOT).session == "agent:main:person:ana"
    assert there(Address("repl", "-200"), SNAPSHOT).session == "agent:main:repl:-200"


@pytest.mark.parametrize(
    ("sender", "paired", "hears"),
    [
        ("repl:local", False, True),
        ("telegram:9", False, True),  # one of `people`
        ("telegram:555", False, False),
        ("telegram:555", True, True),  # let in by a code
        ("telegram:31", False, True),  # an approver
        ("telegram:-100", False, False),  # a room
        ("desk:7", False, True),  # on the channel's `allow`
        ("desk:8", False, False),
        ("api:operator", False, True),
        ("api:operator/ana", False, False),  # whom the operator's program speaks for
        ("api:shop/operator", False, False),
        ("telegram:operator", False, False),
        ("gone:9", False, False),
    ],
)
def test_costs_are_told_to_whoever_was_let_in_by_name(sender: str, paired: bool, hears: bool) -> None:
    snapshot = replace(
        SNAPSHOT,
        channels={**SNAPSHOT.channels, "api": Channel("api", ChannelOptions("api", "http"))},
        policies={"p": replace(SNAPSHOT.policies["p"], approvers=("telegram:31", "nader"))},
    )
    assert hears_of_costs(Address.parse(sender), "main", snapshot, paired=paired) is hears
