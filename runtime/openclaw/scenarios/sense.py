"""Whether the cases of a scenario file mean something: they assert, their times exist, nothing in them contradicts.

One function, one kind of mistake. The file has the right shape already; names of the project are names.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from openclaw.durations import seconds
from openclaw.manifest.conform import Path
from openclaw.manifest.diagnostic import Diagnostic, error, see
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar
from openclaw.scenarios import steps

SECTIONS: Final = ("routes", "decisions", "schedules", "conversations")
_TIMES: Final = ("now", "until", "fires")
YEARS: Final = range(1970, 2200)
LONGEST: Final = timedelta(days=3660)  # that passes in one conversation


def check(root: MapNode, faulty: Collection[Path] = ()) -> Iterator[Diagnostic]:
    """`faulty` are the paths of what was told already: a case with a fault in it gets no further diagnostic."""
    sound = _sound(root, {path[:2] for path in faulty})
    if () not in faulty:
        yield from _there_are_cases(root)
    for rule in _RULES:
        yield from rule(sound)


def moment(text: str) -> datetime:
    """An aware time; raises ValueError for one that no calendar has, or that nobody lives to see."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it stands in no calendar") from None
    if found.year not in YEARS:
        raise ValueError(f"its year is not one from {YEARS[0]} to {YEARS[-1]}")
    return found


def elements(node: Node | None) -> Iterator[tuple[int, MapNode]]:
    """The mappings of a list, numbered."""
    if isinstance(node, ListNode):
        for number, item in enumerate(node.items):
            if isinstance(item, MapNode):
                yield number, item


def _sound(root: MapNode, faulty: Collection[Path]) -> MapNode:
    """The file without the cases in which something is at fault."""
    entries = {name: entry for name, entry in root.entries.items() if (name,) not in faulty}
    for name in SECTIONS:
        if (entry := entries.get(name)) is not None:
            entries[name] = replace(
                entry, value=_kept(entry.value, {path[1] for path in faulty if len(path) == 2 and path[0] == name})
            )
    return replace(root, entries=entries)


def _kept(node: Node, faulty: Collection[str | int]) -> Node:
    match node:
        case ListNode(items):
            return replace(node, items=tuple(item for at, item in enumerate(items) if at not in faulty))
        case MapNode(entries):
            return replace(node, entries={name: entry for name, entry in entries.items() if name not in faulty})
        case _:
            return node


def _there_are_cases(root: MapNode) -> Iterator[Diagnostic]:
    held = [node for name in SECTIONS if (node := root.get(name)) is not None]
    if not any(isinstance(node, ListNode) and node.items for node in held) and not any(
        isinstance(node, MapNode) and node.entries for node in held
    ):
        yield error(
            "scenario-nothing",
            root.first,
            "this file holds no case, so it asserts nothing",
            f"add a case below one of: {', '.join(SECTIONS)}",
        )


def _routes_expect(root: MapNode) -> Iterator[Diagnostic]:
    for _, case in elements(root.get("routes")):
        expect = case.get("expect")
        if isinstance(expect, MapNode) and not expect.entries:
            yield _nothing(expect, "this route", "for example `expect: {agent: main}`")


def _conversations_expect(root: MapNode) -> Iterator[Diagnostic]:
    conversations = root.get("conversations")
    for name, entry in conversations.entries.items() if isinstance(conversations, MapNode) else ():
        steps = [step for _, step in elements(entry.value.get("steps") if isinstance(entry.value, MapNode) else None)]
        expected = [found for step in steps if isinstance(found := step.get("expect"), MapNode)]
        if not expected:
            help = "add a step such as `- expect: {reply: {contains: ...}}`"
            yield error("scenario-nothing", entry.key.span, f"conversation `{name}` asserts nothing", help)
        for each in expected:
            if not each.entries:
                yield _nothing(each, "this step", "for example `expect: {reply: ...}`")
        first = steps[0].get("expect") if steps else None
        if isinstance(first, MapNode) and first.entries:
            help = "let something happen first, for example `- user: hello`"
            yield error("scenario-nothing", first.span, "nothing has happened yet that could be as expected", help)


def _steps_mean_something(root: MapNode) -> Iterator[Diagnostic]:
    conversations = root.get("conversations")
    for entry in conversations.entries.values() if isinstance(conversations, MapNode) else ():
        for _, step in elements(entry.value.get("steps") if isinstance(entry.value, MapNode) else None):
            yield from steps.check(step)


def _restarts_happen(root: MapNode) -> Iterator[Diagnostic]:
    conversations = root.get("conversations")
    for entry in conversations.entries.values() if isinstance(conversations, MapNode) else ():
        for _, step in elements(entry.value.get("steps") if isinstance(entry.value, MapNode) else None):
            restart = step.get("restart")
            if isinstance(restart, Scalar) and restart.value is False:
                yield error(
                    "wrong-value", restart.span, "a step that does nothing", "remove it, or write `restart: true`"
                )


def _time_comes_to_an_end(root: MapNode) -> Iterator[Diagnostic]:
    """So much of it that every calendar and every timer knows the end."""
    conversations = root.get("conversations")
    for entry in conversations.entries.values() if isinstance(conversations, MapNode) else ():
        passed = timedelta()
        for _, step in elements(entry.value.get("steps") if isinstance(entry.value, MapNode) else None):
            restart = step.get("restart")
            for given in (step.get("advance"), restart.get("down") if isinstance(restart, MapNode) else None):
                if isinstance(given, Scalar) and (passed := passed + _long(str(given.value))) > LONGEST:
                    yield error(
                        "wrong-value",
                        given.span,
                        f"by here more than {LONGEST.days} days pass in one conversation",
                        "let less time pass, or begin another conversation at a later `now`",
                    )
                    passed = timedelta()


def _long(text: str) -> timedelta:
    return timedelta(seconds=seconds(text) or 0.0)


def _nothing(node: MapNode, what: str, help: str) -> Diagnostic:
    return error("scenario-nothing", node.span, f"{what} asserts nothing: `expect` is empty", help)


def _decisions_are_calls(root: MapNode) -> Iterator[Diagnostic]:
    for _, case in elements(root.get("decisions")):
        if "tool" not in case.entries and "command" not in case.entries:
            yield error(
                "missing-key",
                case.first,
                "this decision has neither `tool` nor `command`",
                "say what is called: `command: ls`, or `tool: NAME` and its `input`",
            )
        if "command" in case.entries and "input" in case.entries:
            yield error(
                "exclusive-keys",
                case.key("input"),
                "`command` and `input` cannot both be given",
                "write the command into `input`, or leave `input` out",
                [see(case.key("command"), "`command` is given here")],
            )
        speaks = next((key for key in ("from", "channel", "room", "chat") if key in case.entries), None)
        if speaks is not None and "heartbeat" in case.entries:
            yield error(
                "exclusive-keys",
                case.key(speaks),
                f"a heartbeat calls by itself: `heartbeat` and `{speaks}` cannot both be given",
                f"remove `{speaks}`, or `heartbeat`",
                [see(case.key("heartbeat"), "`heartbeat` is given here")],
            )


def _expectations_agree(root: MapNode) -> Iterator[Diagnostic]:
    for _, case in elements(root.get("decisions")):
        expect = case.get("expect")
        if "approvers" in case.entries and isinstance(expect, Scalar) and expect.value != "ask":
            yield error(
                "scenario-expect",
                case.key("approvers"),
                f"nobody is asked about what is expected to be `{expect.value}`",
                "remove `approvers`, or write `expect: ask`",
            )
    for _, case in elements(root.get("routes")):
        expect = case.get("expect")
        if isinstance(expect, MapNode) and "refused" in expect.entries and len(expect.entries) > 1:
            other = next(name for name in expect.entries if name != "refused")
            yield error(
                "scenario-expect",
                expect.key(other),
                f"a message that is refused has no `{other}`",
                f"remove `{other}`, or `refused`",
            )


def _schedules_have_a_now(root: MapNode) -> Iterator[Diagnostic]:
    given = root.get("given")
    if isinstance(given, MapNode) and "now" in given.entries:
        return
    for _, case in elements(root.get("schedules")):
        if "now" not in case.entries:
            yield error(
                "scenario-now",
                case.first,
                "a schedule is judged at a time, and none is given",
                'add `given: {now: "2026-03-28T12:00:00Z"}` to the file, or `now` to this case',
            )


def _times_exist(root: MapNode) -> Iterator[Diagnostic]:
    for key, node in _times(root):
        try:
            moment(str(node.value))
        except ValueError as problem:
            said = f"`{key}`: `{node.shown}` is no time: {problem}"
            yield error("wrong-value", node.span, said, "write it like `2026-01-01T08:00:00Z`")


def _times(node: Node | None, key: str = "") -> Iterator[tuple[str, Scalar]]:
    match node:
        case Scalar() if key in _TIMES:
            yield key, node
        case ListNode(items):
            for item in items:
                yield from _times(item, key)
        case MapNode(entries):
            for name, entry in entries.items():
                if name not in ("input", "tools", "calls", "reload"):  # names there are the project's own
                    yield from _times(entry.value, name)


_RULES: Final[tuple[Callable[[MapNode], Iterator[Diagnostic]], ...]] = (
    _routes_expect,
    _conversations_expect,
    _steps_mean_something,
    _restarts_happen,
    _time_comes_to_an_end,
    _decisions_are_calls,
    _expectations_agree,
    _schedules_have_a_now,
    _times_exist,
)
