"""Who answers a message, and in which session. Pure: a message and a snapshot in, a route or a refusal out.

First that applies: the agent named by the program; a prefix, for this message only; the person's own
choice; the room's agent; the channel's; the default. Every `agents` list on the way must admit it, else
the message is refused, never passed on to another agent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from openclaw.manifest.people import person, room
from openclaw.manifest.snapshot import Agent, Channel, Snapshot
from openclaw.messages import Address, Message, Refused, Route, Text, escape

EVER = datetime.min.replace(tzinfo=UTC)
LONGEST = 256 * 1024  # characters of one message
OPEN_KINDS = frozenset({"repl", "http"})  # these channels know their senders before they post


def route(message: Message, snapshot: Snapshot, choice: str | None = None, *, paired: bool = False) -> Route | Refused:
    """Names agent and session. `choice` is the agent this person picked with /agent, if any; `paired` tells that a
    code let the sender in, which counts in private chats only."""
    refused = _admit_sender(message, snapshot, paired and message.chat is None)
    if refused:
        return refused
    agent, text = _agent(message, snapshot, choice)
    if agent is None:
        known = ", ".join(sorted(askable(message, snapshot)))
        hint = f"there are: {known}" if known else "none answers here"
        return Refused("agent", f"there is no agent `{message.agent}`; {hint}")
    if not admits(message, snapshot, agent.id):
        return Refused("agent", f"agent `{agent.id}` does not answer here")
    return Route(agent.id, session_key(message, snapshot, agent.id), text)


def route_instead(
    message: Message, was: Route, snapshot: Snapshot, choice: str | None = None, *, paired: bool = False
) -> Route | Refused:
    """Who answers a message that was taken in for an agent that is gone: whoever answers what its sender says there
    next. The prefix that named the gone agent is no part of it."""
    routed = route(replace(message, agent=None), snapshot, choice, paired=paired)
    if isinstance(routed, Refused):
        return routed
    text = was.text if routed.text == message.text else routed.text
    return replace(routed, text=text, instead=was.instead or was.agent)


def unfit(message: Message) -> Refused | None:
    """What is refused whoever sends it, before anything else is asked."""
    if not message.text.strip() and is_text(message):
        return Refused("empty", "the message is empty")
    if len(message.text) > LONGEST:
        return Refused(
            "too_large",
            f"the message has {len(message.text):,} characters, at most {LONGEST:,} are taken; "
            "save it as a file in the workspace and name the file instead",
        )
    return None


def is_text(message: Message) -> bool:
    """Whether there is only text: no file, no image, nothing quoted or passed on."""
    return all(isinstance(part, Text) for part in message.parts)


def session_key(message: Message, snapshot: Snapshot, agent: str) -> str:
    """`agent:<agent>:<channel>:<sender>`, or of the person, or of the group; never two of them in one key."""
    if message.heartbeat is not None:
        return f"cron:{escape(message.heartbeat)}"
    channel = escape(message.sender.channel)
    if message.chat is not None:
        parts = ["agent", agent, channel, "chat", escape(message.chat)]
        parts += [escape(message.topic)] if message.topic else []
    else:
        known = person(message.sender, snapshot)
        who = ["person", escape(known.name)] if known else [channel, escape(message.sender.id)]
        parts = ["agent", agent, *who]
    return ":".join([*parts, *([escape(message.session)] if message.session else [])])


def there(
    place: Address, snapshot: Snapshot, choice: str | None = None, topic: str | None = None, *, group: bool = False
) -> Route:
    """Who answers what is said at a place next, and in which session: of a person, of a room, or of another `group`."""
    group = group or any(room.id == place for room in snapshot.rooms.values()) or _numbered_as_group(place, snapshot)
    message = Message("", place, (), EVER, chat=place.id if group else None, topic=topic if group else None)
    agent, _ = _agent(message, snapshot, choice)
    assert agent is not None, "only a message that names an agent may find none"
    return Route(agent.id, session_key(message, snapshot, agent.id), "")


def _numbered_as_group(place: Address, snapshot: Snapshot) -> bool:
    """Telegram numbers groups below zero and people above; elsewhere only `rooms` tells them apart."""
    channel = snapshot.channels.get(place.channel)
    kind = channel.options.kind if channel else place.channel
    return kind == "telegram" and place.id.startswith("-")


def _admit_sender(message: Message, snapshot: Snapshot, paired: bool) -> Refused | None:
    if message.heartbeat is not None:
        return None
    channel = snapshot.channels.get(message.sender.channel)
    if channel is None:
        return Refused("sender", f"there is no channel `{message.sender.channel}`")
    if paired and pairs(channel):
        return None
    if channel.allow is None:
        admitted = channel.options.kind in OPEN_KINDS or person(message.sender, snapshot) is not None
    else:
        admitted = message.sender.id in channel.allow
    return None if admitted else Refused("sender", "this assistant does not know you; ask its owner to add you")


def pairs(channel: Channel) -> bool:
    """Whether strangers who write in private may be let in: not where the list of senders is empty on purpose."""
    return channel.options.options.get("strangers") == "pair" and channel.allow != ()


def _agent(message: Message, snapshot: Snapshot, choice: str | None) -> tuple[Agent | None, str]:
    if message.agent is not None:
        return snapshot.agents.get(message.agent), message.text
    prefixed = _by_prefix(message.text, snapshot)
    if prefixed:
        return prefixed
    here = room(message, snapshot)
    channel = snapshot.channels.get(message.sender.channel)
    for name in (choice, here.agent if here else None, channel.agent if channel else None):
        if name is not None and name in snapshot.agents:
            return snapshot.agents[name], message.text
    return snapshot.default_agent, message.text


def _by_prefix(text: str, snapshot: Snapshot) -> tuple[Agent, str] | None:
    word, rest = ([*text.split(None, 1), "", ""])[:2]
    for agent in snapshot.agents.values():
        if agent.prefix is not None and agent.prefix == word:
            return agent, rest.strip()
    return None


def askable(message: Message, snapshot: Snapshot) -> dict[str, Agent]:
    """Those who answer where this was said, if it names them."""
    return {id: agent for id, agent in snapshot.agents.items() if admits(message, snapshot, id)}


def admits(message: Message, snapshot: Snapshot, agent: str) -> bool:
    """Whether every `agents` list on the way names it, or there is none."""
    here = room(message, snapshot)
    channel = snapshot.channels.get(message.sender.channel)
    lists = (message.agents, here.agents if here else None, channel.agents if channel else None)
    return all(names is None or agent in names for names in lists)
