"""What happens without anybody asking, and who hears it: heartbeats, and the servers of the models. Pure.

Its law: what a heartbeat does that it did not do may widen; so does a server that is asked and was not. When one is
due, and the words of its prompt, are no permission: what its agent may do then is for the rules to say.
"""

from __future__ import annotations

from collections.abc import Iterator

from openclaw.manifest.origins import Stated
from openclaw.manifest.people import person
from openclaw.manifest.snapshot import Agent, Heartbeat, Snapshot, in_order
from openclaw.messages import Address
from openclaw.plan.changes import Change

OWN_SERVICE = "its own service"  # where no `base_url` says otherwise


def unasked(old: Stated, new: Stated) -> Iterator[Change]:
    yield from _beating(old.snapshot, new.snapshot)
    yield from _asking(old, new)


# ── heartbeats ───────────────────────────────────────────────────────────────────────────────────


def _beating(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    for name, beat in new.heartbeats.items():
        before = old.heartbeats.get(name)
        if not beat.enabled:
            continue
        if before is None or not before.enabled:
            words = [f"it runs on its schedule, unasked{_first(beat)}"]
        else:
            words = [*_more(before, old, beat, new)]
        title, agents = f"heartbeat {name}", (beat.agent,)
        yield from (Change("permission", title, "may widen", each, agents=agents) for each in words)


def _first(beat: Heartbeat) -> str:
    check = f", with the check {beat.check.tool}" if beat.check else ""
    return check + (f", and tells {', '.join(map(str, beat.deliver))}" if beat.deliver else "")


def _more(was: Heartbeat, old: Snapshot, now: Heartbeat, new: Snapshot) -> Iterator[str]:
    if was.agent != now.agent:
        yield f"it wakes another agent, and woke {was.agent}"
    if now.check is not None:
        if was.check is None:
            yield f"it runs the check {now.check.tool}, unasked"
        elif (was.check.tool, was.check.input) != (now.check.tool, now.check.input):
            yield f"it runs another check, unasked: {now.check.tool} {now.check.shown}"
    owning = [one.name for one in new.people.values() if one.owner]  # who may see everything, which is told as such
    known = {*_hearing(was.deliver, old), *_hearing(was.notify, old), *owning}
    if came := [each for each in _hearing((*now.deliver, *now.notify), new) if each not in known]:
        yield f"it tells others: {', '.join(dict.fromkeys(came))}"


def _hearing(addresses: tuple[Address, ...], snapshot: Snapshot) -> list[str]:
    """Which channel one of the people is reached on is the same to them."""
    found = ((person(each, snapshot), each) for each in addresses)
    return [known.name if known else str(each) for known, each in found]


# ── models ───────────────────────────────────────────────────────────────────────────────────────


def _asking(old: Stated, new: Stated) -> Iterator[Change]:
    """A model reads everything that is said to it, and decides which tools are called: so does whoever serves it."""
    asked = {url for agent in old.snapshot.agents.values() for url in servers(agent.model, old)}
    found: dict[tuple[str, str], list[str]] = {}
    for agent in new.snapshot.agents.values():
        before = old.snapshot.agents.get(agent.id)
        known = asked if before is None else {*_of(before, old)}
        for url, model in _of(agent, new).items():
            if url not in known:
                found.setdefault((url, model), []).append(agent.id)
    for (url, model), agents in found.items():
        words = f"what it reads and decides goes to {url} now (model {model})"
        yield Change("permission", "model", "widens", words, agents=tuple(agents))


def _of(agent: Agent, side: Stated) -> dict[str, str]:
    beats = [beat for beat in side.snapshot.heartbeats.values() if beat.enabled and beat.agent == agent.id]
    models = [agent.model, *(beat.model for beat in beats if beat.model is not None)]
    return {url: model for each in models for url, model in servers(each, side).items()}


def servers(model: str, side: Stated) -> dict[str, str]:
    """Whom asking a model may ask, as it is written, and for which model; scripted ones ask nobody."""
    known = side.snapshot.models
    names = in_order(model, known) if model in known else [model]
    return {_server(name, side): name for name in names if name not in known or known[name].kind != "scripted"}


def _server(model: str, side: Stated) -> str:
    written = side.written.get(("model", model), {})
    return written["base_url"].shown if "base_url" in written else OWN_SERVICE


def used(side: Stated) -> frozenset[str]:
    """The models that somebody asks, with those that stand in for them."""
    snapshot = side.snapshot
    asked = [agent.model for agent in snapshot.agents.values()]
    asked += [beat.model for beat in snapshot.heartbeats.values() if beat.enabled and beat.model is not None]
    return frozenset(name for each in asked if each in snapshot.models for name in in_order(each, snapshot.models))
