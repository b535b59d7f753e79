"""The net below all comparisons: keys that became something else, and that nothing proves to be as strict as before.

Pure. Its law: it fails closed. What a key does is known where it stands in a list here; any other one may widen, and
so may a value that stands on a variable, whose worth nobody looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from openclaw.durations import seconds
from openclaw.manifest.origins import Stated
from openclaw.permissions.decide import standing
from openclaw.permissions.policy import Effect
from openclaw.plan.changes import Change, Field
from openclaw.plan.fields import ANOTHER
from openclaw.plan.judging import code
from openclaw.plan.reach import LOOPBACK
from openclaw.plan.unasked import used

HARMLESS: Final[Mapping[str, str]] = {
    "agent": "name description soul instructions prefix default effort limits.* compaction.* interrupted session.*",
    "tool": "description timeout",
    "policy": "answer_within",
    "channel": "agent queue queue_limit port hooks.*.prompt",
    "person": "timezone",
    "room": "agent",
    "heartbeat": (
        "prompt cron timezone active_hours jitter missed timeout max_cost max_cost_usd says topic "
        "check.wake check.after check.repeat check.recovered"
    ),
    "model": "id kind capabilities effort price price.* script",
}
"""What an agent is told, when, how often, how long and for how much it works; and who answers of those that may."""

JUDGED: Final[Mapping[str, str]] = {
    "agent": "tools policy workspace memory model",
    "tool": "shell python input.* judged.* env.* with.* writes untrusted",
    "policy": "default approvers sandbox trusted_repositories include rule*",
    "channel": (
        "enabled agents allow strangers hooks.*.agent tokens.*.agents tokens.*.scopes tokens.*.senders tokens.*.as"
    ),
    "person": "ids owner groups",
    "room": "id agents",
    "heartbeat": "agent enabled deliver notify check.tool check.input.* model",
    "model": "base_url fallback",
}
"""Compared by what they mean, in the other files; here only where a variable is in them."""

LEAST: Final[Mapping[tuple[str, str], tuple[str | None, ...]]] = {
    ("agent", "workspace"): ("own",),
    ("agent", "memory"): ("off",),
    ("tool", "repeat"): ("never",),
    ("channel", "enabled"): ("false",),
    ("channel", "strangers"): ("ignore",),
    ("channel", "groups"): ("off",),
    ("channel", "message_content"): ("false",),
    ("channel", "api_base"): (None,),
    ("channel", "webhook.*"): (None,),
    ("channel", "hooks.*.verify"): ("hmac-sha256",),
    ("channel", "hooks.*.session"): ("fresh",),
    ("channel", "hooks.*.deliver"): ("[]", None),
    ("heartbeat", "session"): ("fresh",),
    ("heartbeat", "enabled"): ("false",),
}
"""Values that nothing is stricter than; None: the key is gone."""

_MEANING: Final[Mapping[str, str]] = {
    "channel.api_base": "another server gets its token, and says who wrote what",
    "channel.webhook.url": "what people write is sent there first",
    "channel.token": "it speaks as another account, or is opened by another secret",
    "channel.tokens.*.secret": "it is opened by another secret",
    "channel.hooks.*.secret": "it is opened by another secret",
    "channel.hooks.*.timestamp_header": "how a call is known to be new is another",
    "model.api_key": "the server gets another secret",
}

_ADDRESSES: Final = {("person", "ids"), ("heartbeat", "deliver"), ("heartbeat", "notify")}
_HOLE: Final = "${"
_VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*(?::-)?\}|\$\{file:[^}]*\}")


def unproven(changes: Iterable[Change], told: Iterable[Change], old: Stated, new: Stated) -> Iterator[Change]:
    """`changes`: what is different, with its keys; `told`: what was found to widen by what it means."""
    said = [change for change in told if change.widens]
    for change in changes:
        if change.what == "changed" and not _idle(change, new):
            for words in _doubts(change, said, old, new):
                yield Change("permission", f"{change.kind} {change.name}", "may widen", words, at=change.at)
    yield from _defaults(old, new)


def _idle(change: Change, new: Stated) -> bool:
    """Whether it is of no use to anybody."""
    snapshot = new.snapshot
    match change.kind:
        case "tool":
            checks = {beat.check.tool for beat in snapshot.heartbeats.values() if beat.check}
            return change.name not in checks and all(change.name not in one.tools for one in snapshot.agents.values())
        case "model":
            return change.name not in used(new)
        case "channel":
            return (snapshot.channels[change.name].skipped or "").startswith("switched off")
        case "heartbeat":
            return not snapshot.heartbeats[change.name].enabled
        case _:
            return False


def _doubts(change: Change, said: Iterable[Change], old: Stated, new: Stated) -> Iterator[str]:
    if change.kind == "tool":
        yield from _other_code(change.name, said, old, new)
    elif not change.fields:
        yield "something in it that is not shown is another"
    for field in change.fields:
        way = change.kind == "channel" and (_begun(change, field, old, new) or _begun(change, field, new, old))
        if _any_sender(change, field, new) or not (way or _sound(change.kind, field) or _known(change, field, said)):
            meaning = next((words for pattern, words in _MEANING.items() if _is(change.kind, field, pattern)), "")
            yield f"{_doubt(field)}{f'; {meaning}' if meaning else ''}"


def _other_code(tool: str, said: Iterable[Change], old: Stated, new: Stated) -> Iterator[str]:
    """Behind a tool that asks: what was agreed to for always is run by it. Of others it is told elsewhere."""
    before, after = old.snapshot.tools[tool], new.snapshot.tools[tool]
    told = any(tool in one.name.split(", ") for one in said)
    if not told and code(before, old.snapshot) != code(after, new.snapshot) and _callable(tool, new):
        yield "the code behind it is another, for calls that somebody agreed to for always as well"


def _callable(tool: str, side: Stated) -> bool:
    snapshot = side.snapshot
    having = [one for one in snapshot.agents.values() if tool in one.tools]
    return any(standing(snapshot.policies[one.policy], tool) is not Effect.DENY for one in having)


def _doubt(field: Field) -> str:
    if field.came:
        return f"{field.name}: + {', '.join(field.came)}"
    return f"{field.name}: {_or_none(field.old)} -> {_or_none(field.new)}"


def _is(kind: str, field: Field, pattern: str) -> bool:
    return fnmatchcase(f"{kind}.{field.name}", pattern)


def _or_none(text: str | None) -> str:
    return "(none)" if text is None else text


def _known(change: Change, field: Field, said: Iterable[Change]) -> bool:
    """Of people, whose new addresses are told where they count."""
    if (change.kind, field.name) not in _ADDRESSES:
        return False
    return all(any(f"({id})" in one.words for one in said) for id in field.came)


def _begun(change: Change, field: Field, old: Stated, new: Stated) -> bool:
    """Whether it is of a token or a hook that is on one side alone: that is a way, and told as one."""
    part, name, *_ = [*field.name.split("."), "", ""]
    if part not in ("tokens", "hooks"):
        return False
    before, after = (side.snapshot.channels[change.name].options.options.get(part) or {} for side in (old, new))
    return name in after and name not in before


def _any_sender(change: Change, field: Field, new: Stated) -> bool:
    """On a channel of programs, whose tokens may name anybody, a list of senders is all that holds them."""
    if (change.kind, field.name) != ("channel", "allow"):
        return False
    wider = field.new is None or (field.old is not None and bool(field.came))
    return wider and new.snapshot.channels[change.name].options.kind == "http"


def _sound(kind: str, field: Field) -> bool:
    """Whether a key is known to be as strict as before, or is judged by what it means."""
    if _among(field.name, HARMLESS.get(kind, "")) or _least(kind, field):
        return True
    if _among(field.name, JUDGED.get(kind, "")) and not (kind == "person" and field.name == "ids"):
        return kind == "policy" or not _varies(field)
    judge = next((judge for pattern, judge in _JUDGES.items() if _is(kind, field, pattern)), None)
    return judge(field) if judge is not None else _only_less(field)


def _among(name: str, patterns: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns.split())


def _least(kind: str, field: Field) -> bool:
    found = (values for (of, pattern), values in LEAST.items() if of == kind and fnmatchcase(field.name, pattern))
    return any(field.new in values for values in found)


def _varies(field: Field) -> bool:
    """Whether a variable decides, or what is not shown; of a list, in what came."""
    if field.came or field.went or field.new is None:
        return any(_HOLE in each for each in field.came)
    return _HOLE in (field.old or "") or _HOLE in field.new or field.new.endswith(ANOTHER)


def _only_less(field: Field) -> bool:
    """A list from which something went, and nothing came."""
    return bool(field.went) and not field.came and field.new is not None


# ── keys whose direction is known ────────────────────────────────────────────────────────────────


def _narrower_groups(field: Field) -> bool:
    order = {"off": 0, "mention": 1, "all": 2}
    return order.get(field.new or "mention", 3) <= order.get(field.old or "mention", -1)


def _at_home(field: Field) -> bool:
    """From another host to this machine; that it leaves this machine is told by what it means."""
    return field.new in (None, *LOOPBACK) or field.old in (None, *LOOPBACK)


def _lower(field: Field) -> bool:
    was, now = _amount(field.old), _amount(field.new)
    return was is not None and now is not None and now <= was


def _amount(text: str | None) -> float | None:
    duration = seconds(text or "")
    try:
        return float(text or "") if duration is None else duration
    except ValueError:
        return None


def _first_secret(field: Field) -> bool:
    """In place of one that was made here and kept, a variable; or the other way round."""
    return field.new is None or (field.old is None and _VARIABLE.fullmatch(field.new) is not None)


def _came_to_be(field: Field) -> bool:
    return field.old is None and field.new is not None and _HOLE not in field.new


_JUDGES: Final[Mapping[str, Callable[[Field], bool]]] = {
    "channel.groups": _narrower_groups,
    "channel.host": _at_home,
    "channel.token": _first_secret,
    "channel.limits.*": _lower,
    "channel.hooks.*.window": _lower,
    "channel.hooks.*.timestamp_header": _came_to_be,
    "channel.hooks.*.id_header": _came_to_be,
}


def _defaults(old: Stated, new: Stated) -> Iterator[Change]:
    """What heartbeats inherit, where a variable is in it."""
    was, now = (side.written.get(("heartbeat", "(defaults)"), {}) for side in (old, new))
    for key, value in now.items():
        before = was.get(key)
        if key != "timezone" and value.veiled and (before is None or before.raw != value.raw):
            words = f"{key}: {before.shown if before else '(none)'} -> {value.shown}"
            yield Change("permission", "heartbeat (defaults)", "may widen", words, at=(value.origin,))
