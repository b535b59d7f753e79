"""Cases about routes: a message as it would come in, through the router itself, and what became of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from openclaw import commands, router
from openclaw.manifest.people import room
from openclaw.manifest.snapshot import Snapshot
from openclaw.messages import Message, Refused, Route, Text
from openclaw.scenarios.document import Correction, Failure, Outcome, RouteCase, Scenario, Used
from openclaw.scenarios.words import quoted
from openclaw.scenarios.world import Impossible, Standing, World, standing

SECTION = "routes"


def outcome(case: RouteCase, scenario: Scenario, world: World) -> Outcome:
    name = title(case)
    try:
        here = standing(case.place, scenario.given, world.snapshot)
    except Impossible as why:
        return Outcome(SECTION, name, case.span, (Failure(case.span, (), (f"nothing: {why}",)),))
    message = _message(case, here, scenario.given.now or world.now)
    found = router.unfit(message) or router.route(message, world.snapshot, case.choice, paired=case.paired)
    got = _got(found)
    wrong = [key for key, value in case.expect.items() if got.get(key) != value]
    if not wrong and "command" in got and "command" not in case.expect:  # the agent is told nothing
        wrong = [next(iter(case.expect))]
    used = Used(frozenset(ways(message, found, world.snapshot)))
    if not wrong:
        return Outcome(SECTION, name, case.span, used=used)
    span = case.at("expect", *wrong[:1])
    reason = (
        (found.reason,) if isinstance(found, Refused) else (_chosen_by(message, found, world.snapshot, case.choice),)
    )
    failure = Failure(
        span,
        _lines(case.expect),
        _lines({key: got[key] for key in _shown(case.expect, got)}),
        (f"from {here}",),
        reason,
    )
    correction = Correction((*case.path, "expect"), _corrected(case.expect, got))
    return Outcome(SECTION, name, case.span, (failure,), (correction,), used)


def title(case: RouteCase) -> str:
    return quoted(case.text)


def ways(message: Message, found: Route | Refused, snapshot: Snapshot) -> list[str]:
    """What of the project had a say in where this message went, by the names that coverage knows."""
    channel = [f"channel {message.sender.channel}"] if message.sender.channel in snapshot.channels else []
    if isinstance(found, Refused):
        return [*channel, *_room_way(message, snapshot)]
    prefix = snapshot.agents[found.agent].prefix
    by_prefix = [f"prefix {prefix}"] if prefix is not None and _begins(message, prefix) else []
    return [f"agent {found.agent}", *by_prefix, *channel, *_room_way(message, snapshot)]


def _room_way(message: Message, snapshot: Snapshot) -> list[str]:
    here = room(message, snapshot)
    return [f"room {here.name}"] if here else []


def _begins(message: Message, prefix: str) -> bool:
    return message.agent is None and message.text.split(None, 1)[:1] == [prefix]


def _message(case: RouteCase, here: Standing, now: datetime) -> Message:
    said = (Text(case.text),)
    return Message("scenario", here.sender, said, now, chat=here.chat, agent=case.agent, agents=here.agents)


def _got(found: Route | Refused) -> Mapping[str, str]:
    if isinstance(found, Refused):
        return {"refused": found.code}
    command = {"command": name} if (name := _command(found.text)) else {}
    return {"agent": found.agent, "text": found.text, "session": found.session, **command}


def _command(text: str) -> str | None:
    """What answers in place of the agent: a command, the word that there is none of that name, or a prefix's help."""
    if not text.strip():
        return "help"
    line = commands.read(text)
    if line is None:
        return None
    return line.name if line.name in commands.NAMES else "unknown"


def _chosen_by(message: Message, found: Route, snapshot: Snapshot, choice: str | None) -> str:
    """Why this agent, in words."""
    agent, prefix = found.agent, snapshot.agents[found.agent].prefix
    here, channel = room(message, snapshot), snapshot.channels.get(message.sender.channel)
    if message.agent is not None:
        return f"{agent} was named by the program"
    if prefix is not None and _begins(message, prefix):
        return f"{agent} has the prefix {prefix}"
    if choice == agent:
        return f"{agent} was chosen with /agent"
    if here is not None and here.agent == agent:
        return f"{agent} is the agent of room {here.name}"
    if channel is not None and channel.agent == agent:
        return f"{agent} is the agent of channel {channel.key}"
    return f"{agent} is the default agent"


def _shown(expect: Mapping[str, str], got: Mapping[str, str]) -> list[str]:
    """Of what came of it, what was asked about; the agent at least."""
    told = {*expect, "command"} | ({"agent", "refused"} if "refused" in {*expect, *got} else set())
    return [key for key in got if key in told]


def _corrected(expect: Mapping[str, str], got: Mapping[str, str]) -> Mapping[str, str]:
    kept = {key: got[key] for key in [*expect, "command"] if key in got}
    return kept or {key: got[key] for key in ("refused", "agent") if key in got}


def _lines(values: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{key}: {quoted(value)}" if key == "text" else f"{key}: {value}" for key, value in values.items())
