"""Routes of scenarios: judged by the router itself, from wherever it is said."""

from __future__ import annotations

import pytest
from casebook import WORLD, failing, judge, judged

ROUTES = """\
given: {from: ana}
routes:
  - {text: hello, channel: discord, expect: {agent: main, session: "agent:main:person:ana", text: hello}}
  - {text: /research who wrote X, expect: {agent: researcher, text: who wrote X}}
  - {text: hello, channel: telegram, expect: {agent: researcher}}                # the channel's agent
  - {text: hello, room: ops, expect: {agent: ops, session: "agent:ops:discord:chat:998877"}}
  - {text: hello, channel: discord, chat: "998877", expect: {agent: ops}}        # a room by its id
  - {text: hello, channel: discord, chat: "5", expect: {agent: main, session: "agent:main:discord:chat:5"}}
  - {text: /research x, room: ops, expect: {agent: researcher}}
  - {text: hello, channel: discord, choice: researcher, expect: {agent: researcher}}
  - {text: /new, channel: discord, expect: {command: new, agent: main}}
  - {text: hello, from: "telegram:77", expect: {agent: researcher, session: "agent:researcher:telegram:77"}}
  - {text: hello, from: "discord:999", expect: {refused: sender}}
  - {text: hello, channel: telegram, agent: main, expect: {refused: agent}}      # it does not answer there
  - {text: hello, channel: telegram, agent: nobody, expect: {refused: agent}}
  - {text: hello, from: "repl:local", expect: {agent: main}}
  - {text: " ", channel: discord, expect: {refused: empty}}
  - {text: /nosuch thing, channel: discord, expect: {command: unknown}}
  - {text: /RESEARCH x, channel: discord, expect: {agent: main, text: /RESEARCH x}}   # no command: an agent is told
  - {text: /research, channel: discord, expect: {command: help, agent: researcher}}
"""


def test_every_way_to_an_agent_can_be_expected() -> None:
    assert [outcome.failures for outcome in judged(ROUTES) if not outcome.passed] == []


def test_without_a_sender_the_terminal_speaks() -> None:
    assert judge("routes: [{text: x, expect: {session: 'agent:main:repl:local'}}]").passed


def test_the_room_given_to_all_is_left_by_what_a_case_says_itself() -> None:
    given = "given: {channel: discord, room: ops, from: ana}\n"
    assert judge(given + "routes: [{text: x, expect: {agent: ops}}]").passed
    assert judge(given + "routes: [{text: x, from: 'repl:local', expect: {agent: main}}]").passed
    assert judge(given + "routes: [{text: x, channel: telegram, expect: {agent: researcher}}]").passed
    given = "given: {channel: discord, chat: '5', from: ana}\n"
    assert judge(given + "routes: [{text: x, expect: {session: 'agent:main:discord:chat:5'}}]").passed
    assert judge(given + "routes: [{text: x, from: 'repl:local', expect: {session: 'agent:main:repl:local'}}]").passed


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (
            "{text: /research x, from: ana, expect: {agent: main, text: x}}",
            "at main\ngiven from discord:678\nexpected agent: main\nexpected text: \"x\"\n"
            'got agent: researcher\ngot text: "x"\nwhy researcher has the prefix /research',
        ),
        (
            "{text: hello, from: 'discord:999', expect: {agent: main}}",
            "at main\ngiven from discord:999\nexpected agent: main\ngot refused: sender\n"
            "why this assistant does not know you; ask its owner to add you",
        ),
        (
            "{text: x, room: ops, from: ana, expect: {refused: agent}}",
            "at agent\ngiven from discord:678 in room ops\nexpected refused: agent\ngot agent: ops\n"
            "why ops is the agent of room ops",
        ),
        (
            "{text: /nosuch, channel: discord, from: ana, expect: {agent: main}}",
            "at main\ngiven from discord:678\nexpected agent: main\ngot agent: main\ngot command: unknown\n"
            "why main is the default agent",
        ),
        (
            "{text: '', channel: discord, from: ana, expect: {agent: main}}",
            "at main\ngiven from discord:678\nexpected agent: main\ngot refused: empty\nwhy the message is empty",
        ),
        (
            "{text: x, channel: telegram, from: bo, expect: {agent: main}}",
            "at {text: x, channel: telegram, from: bo, expect: {agent: main}}\n"
            "got nothing: bo has no id on telegram; add one to `people` in channels.yaml",
        ),
        (
            "{text: x, room: ops, channel: telegram, from: ana, expect: {agent: main}}",
            "at {text: x, room: ops, channel: telegram, from: ana, expect: {agent: main}}\n"
            "got nothing: room `ops` is on discord, not on telegram",
        ),
        (
            "{text: x, channel: discord, expect: {agent: main}}",
            "at {text: x, channel: discord, expect: {agent: main}}\n"
            "got nothing: nobody is said to write on discord; add `from`",
        ),
        (
            "{text: x, from: 'discord:9', channel: telegram, expect: {agent: main}}",
            "at {text: x, from: 'discord:9', channel: telegram, expect: {agent: main}}\n"
            "got nothing: discord:9 does not write on telegram",
        ),
    ],
)  # fmt: skip
def test_what_failed_is_told_with_what_was_given_and_why(case: str, said: str) -> None:
    assert failing(f"routes: [ {case} ]") == said


def test_control_characters_of_a_text_do_not_reach_the_terminal() -> None:
    outcome = judge('routes: [{text: "\\e[31mx", expect: {text: y}}]')
    assert "\x1b" not in repr(outcome) and "\\u001b[31mx" in outcome.name


def test_ways_that_had_a_say_are_named() -> None:
    found = [sorted(outcome.used.ways) for outcome in judged(ROUTES)]
    assert found[1] == ["agent researcher", "channel discord", "prefix /research"]
    assert found[3] == ["agent ops", "channel discord", "room ops"]
    assert found[10] == ["channel discord"]
    assert WORLD.snapshot.default_agent.id == "main"
