"""What an `expect` step says, held against how things stand. What it expects of replies and questions is taken away
from what is left to be expected; nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from openclaw.manifest.people import addresses
from openclaw.manifest.snapshot import Snapshot
from openclaw.scenarios import judging
from openclaw.scenarios.document import Path
from openclaw.scenarios.judging import Wrong
from openclaw.scenarios.situation import Situation, Unmet
from openclaw.scenarios.stage import Said
from openclaw.words import Address

_Judge: TypeAlias = Callable[[Situation, Path, Any], Iterator[Wrong]]


def held(expect: Mapping[str, Any], now: Situation) -> Iterator[Wrong]:
    """What does not hold. Raises Unmet where what is judged is not there at all."""
    for key, judge in _JUDGES.items():
        if key in expect:
            yield from judge(now, ("expect", key), expect[key])


def _loose(now: Situation, path: Path, wanted: str) -> Iterator[Wrong]:
    key, loose = path[-1], now.loose
    if loose is None or loose.key != key:
        nothing = "nothing was refused" if key == "refused" else "the step before edits nothing"
        yield Wrong(path, wanted, "; ".join([nothing, *now.left()]))
        return
    now.loose = None
    yield from judging.value(path, wanted, loose.value, f": {loose.words}" if loose.words else "")


def _ask(now: Situation, path: Path, tool: str) -> Iterator[Wrong]:
    new = now.unexpected()
    if not new:
        raise Unmet(f"a question whether {tool} may run", *now.going_on(), path=path)
    now.question = new[0]
    now.expected.add(new[0].id)
    yield from judging.value(path, tool, new[0].tool)


def _approvers(now: Situation, path: Path, wanted: Any) -> Iterator[Wrong]:
    found = now.question.approvers if now.question is not None else ()
    meant = addresses(tuple(judging.listed(wanted)), now.snapshot)
    if set(found) != set(meant):
        yield Wrong(path, ", ".join(meant), ", ".join(found) or "nobody was asked", list(found))


def _reply(now: Situation, path: Path, wanted: judging.Wanted) -> Iterator[Wrong]:
    if not now.stage.said:
        raise Unmet("a reply", *now.going_on(), path=path)
    heard = now.heard = now.stage.said.popleft()
    yield from judging.texts(path, wanted, heard.text)
    if isinstance(wanted, str):
        return
    if "to" in wanted and not _reaches(wanted["to"], heard, now.snapshot):
        yield Wrong((*path, "to"), wanted["to"], judging.said(heard))
    if wanted.get("failed", heard.failed) != heard.failed:
        expected = "a failure" if wanted["failed"] else "no failure"
        yield Wrong((*path, "failed"), expected, judging.said(heard), heard.failed)


def _reaches(name: str, heard: Said, snapshot: Snapshot) -> bool:
    """A person on whatever channel, a room, or an address."""
    if name in snapshot.people:
        return heard.chat is None and heard.to in snapshot.people[name].ids
    place = Address(heard.to.channel, heard.chat or heard.to.id)
    return place == snapshot.rooms[name].id if name in snapshot.rooms else str(place) == name


def _agent(now: Situation, path: Path, wanted: str) -> Iterator[Wrong]:
    if now.heard is None:
        raise Unmet(f"a reply of {wanted}", *now.going_on(), path=path)
    if now.heard.agent:
        yield from judging.value(path, wanted, now.heard.agent)
    else:
        yield Wrong(path, wanted, f"no agent: a command answered {judging.said(now.heard)}")


def _silent(now: Situation, path: Path, wanted: bool) -> Iterator[Wrong]:
    if left := now.left():
        yield Wrong(path, "nothing that no step expects", "; ".join(left))


def _calls(now: Situation, path: Path, wanted: Any) -> Iterator[Wrong]:
    yield from judging.calls(path, wanted, now.stage.ran[now.ran :], now.why())


def _denied(now: Situation, path: Path, wanted: Any) -> Iterator[Wrong]:
    denied = [line["tool"] for line in now.denials()]
    yield from judging.names(path, judging.listed(wanted), denied, now.why())


def _told(now: Situation, path: Path, wanted: judging.Wanted) -> Iterator[Wrong]:
    yield from judging.texts(path, wanted, now.told())


_JUDGES: Final[Mapping[str, _Judge]] = {
    "refused": _loose,
    "reload": _loose,
    "ask": _ask,
    "approvers": _approvers,
    "reply": _reply,
    "agent": _agent,
    "calls": _calls,
    "denied": _denied,
    "told": _told,
    "silent": _silent,  # of what is left when all else was expected
}
