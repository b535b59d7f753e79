"""Whether one rule makes another one idle: wherever both stand in a policy, it decides the same without the second.

Its law: True is a proof, by the same readings of tools, commands, paths, hosts and inputs that judge a call; whatever
cannot be proven here is None. Knows no manifests, and no names of tools but those in the rules.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeAlias

from openclaw.permissions import conditions, paths, profiles, programs
from openclaw.permissions.policy import Condition, Effect, Rule

_META = re.compile(r"[*?\[]")
_EVERYWHERE = frozenset({"**", "**/*", ".", "./", "/"})  # globs that cover every path
_WORKSPACE = Path("/workspace")
_Texts: TypeAlias = Sequence[str]


def covers(a: Rule, b: Rule, default: Effect = Effect.ASK) -> bool | None:
    """Whether a policy that holds `a` decides no call otherwise for holding `b`, and gives it nothing else either.

    `default` is the policy's. True: proven. False: `a` is the looser of the two. None: nobody knows.
    """
    if a.effect < b.effect:
        return False
    proven = (
        _covers_tools(a, b)
        and a.until in (None, b.until)
        and _covers_askers(a.when, b.when)
        and (a.unless is None or _same_exception(a, b))
        and (_covers_allow(a, b, default) if b.effect is Effect.ALLOW else _covers_forbidding(a, b))
    )
    return True if proven else None


def _same_exception(a: Rule, b: Rule) -> bool:
    """Both are excused by the same, and are shown the same of a command when they are."""
    same = _canonical(a.unless) == _canonical(b.unless)
    return same and (a.when.commands is None) == (b.when.commands is None)


def _canonical(condition: Condition | None) -> str:
    """As text, because True is not 1 to a schema."""
    return repr(condition)


def _covers_tools(a: Rule, b: Rule) -> bool:
    everywhere = b.effect is Effect.DENY and b.when.commands is not None  # a forbidden program is one in every template
    if everywhere and a.when.commands is None and "*" not in a.tools:
        return False
    return all(any(_names(wide, narrow) for wide in a.tools) for narrow in b.tools)


def _names(wide: str, narrow: str) -> bool:
    if wide in (narrow, "*"):
        return True
    if not _META.search(wide):
        return False
    if not _META.search(narrow):
        return fnmatchcase(narrow, wide)
    trailing = all(name.endswith("*") and not _META.search(name[:-1]) for name in (wide, narrow))
    return trailing and narrow.startswith(wide[:-1])


def _covers_askers(a: Condition, b: Condition) -> bool:
    """Whoever and wherever `b` speaks of, `a` speaks of too."""
    if a.tainted is not None and a.tainted is not b.tainted:
        return False
    places = ((a.channel, b.channel), (a.room, b.room), (a.heartbeat, b.heartbeat))
    return _within(a.sender, b.sender) and all(_within(wide, narrow, "*") for wide, narrow in places)


def _within(wide: _Texts | None, narrow: _Texts | None, everything: str | None = None) -> bool:
    if wide is None:
        return True
    return narrow is not None and (everything in wide or set(narrow) <= set(wide))


# ── what is forbidden ────────────────────────────────────────────────────────────────────────────


def _covers_forbidding(a: Rule, b: Rule) -> bool:
    """Both ask or deny. Whoever is asked is shown the reason of the rule, and may be given its network."""
    if a.effect is b.effect and b.effect is Effect.ASK and (b.network and not a.network):
        return False
    if a.effect is b.effect and b.reason not in (None, a.reason):
        return False
    return _covers_what(a.when, b.when, _forbids_command)


def _forbids_command(wide: str, narrow: str) -> bool:
    """Whatever the narrow entry of an ask or deny forbids, the wide one does."""
    a, b = wide.split(), narrow.split()
    if not a or not b or not _same_program(a[0], b[0]):
        return False
    rest = [word for word in b[1:] if word != "**"]
    return _begins_with([word for word in a[1:] if word != "**"], rest)


def _same_program(wide: str, narrow: str) -> bool:
    """By the names under which an entry forbids programs: a path is that file alone, a name is any file so called."""
    if "/" in wide:
        return wide == narrow
    return narrow.rsplit("/", 1)[-1].casefold() == wide.casefold()


def _begins_with(wide: _Texts, narrow: _Texts) -> bool:
    return len(wide) <= len(narrow) and all(word in ("*", other) for word, other in zip(wide, narrow, strict=False))


# ── what is allowed ──────────────────────────────────────────────────────────────────────────────


def _covers_allow(a: Rule, b: Rule, default: Effect) -> bool:
    if a.effect is Effect.DENY:
        return _covers_what(a.when, b.when, _stops_command)
    if a.effect is Effect.ASK:
        # Under a default of deny an allow that names what it cannot vouch for lets the default speak, an ask does not.
        gives = b.network and not a.network
        return default is Effect.ASK and not gives and _covers_what(a.when, b.when, _stops_command)
    if (b.network and not a.network) or (b.writes and not a.writes):
        return False
    if b.unsafe and (not a.unsafe or a.when.commands != b.when.commands):
        return False  # what it says word for word goes beyond the profile, and that is no entry's but its own
    if (a.when.commands is None) is not (b.when.commands is None):
        return False
    if a.when.commands is not None and not all(_steady(a, entry) for entry in a.when.commands):
        return False
    return _covers_what(a.when, b.when, _allows_command)


def _stops_command(wide: str, narrow: str) -> bool:
    """Whatever the narrow entry of an allow permits, the wide one of an ask or deny forbids."""
    a, b = wide.split(), narrow.split()
    if not a or not b or not _same_program(a[0], b[0]):
        return False
    rest = [word for word in a[1:] if word != "**"]
    return _begins_with(rest, [word for word in b[1:] if word != "**"])


def _allows_command(wide: str, narrow: str) -> bool:
    """Whatever the narrow entry permits, the wide one does, and shows it the same of what is protected."""
    a, b = wide.split(), narrow.split()
    if not a or not b or a[0] != b[0]:
        return False
    known = profiles.profile(b[0])
    shown = [word for index, word in enumerate(b) if index and a[index : index + 1] != [word]]
    if any(map(_may_be_hidden, shown)):
        return False
    if a == b or (known is not None and _all_subcommands(known, a[1:]) and b[: len(a)] == a):
        return True
    if known is not None and (len(b) == 1 or b[1] in known.subcommands):
        return False  # its profile lets it mean more than its words
    if a[-1] != "**":
        return len(a) == len(b) and b[-1] != "**" and _begins_with(a, b)
    return _begins_with(a[:-1], b[:-1] if b[-1] == "**" else b)


def _all_subcommands(known: profiles.Profile, words: _Texts) -> bool:
    """Whether an entry of these words means whatever a profile vets that begins so."""
    found: profiles.Profile | None = known
    for word in words:
        found = found.subcommands.get(word) if found is not None else None
    return found is not None


def _may_be_hidden(word: str) -> bool:
    """Whether an entry that spells this word out may open something: what is outside the workspace or protected."""
    if word in ("*", "**"):
        return False
    return word[0] in "/~" or ".." in word or paths.protected(_WORKSPACE / word, _WORKSPACE, ()) is not None


def _steady(rule: Rule, entry: str) -> bool:
    """Whether the entry carries all that it permits: one for a program that runs others may permit and then doubt."""
    words = entry.split()
    kind = programs.kind(words[0]) if words else None
    if rule.unsafe or kind is None or profiles.profile(words[0]) is not None:
        return True
    return len(words) > 1 and (kind == "launcher" or "*" not in entry)


# ── either ───────────────────────────────────────────────────────────────────────────────────────


def _covers_what(a: Condition, b: Condition, command: Callable[[str, str], bool]) -> bool:
    """All that `a` states about the call itself holds wherever all that `b` states does."""
    return (
        _each(a.commands, b.commands, command)
        and _each(a.paths, b.paths, _covers_path)
        and _each(a.hosts, b.hosts, _covers_host)
        and _covers_input(a.input, b.input)
    )


def _each(wide: Iterable[str] | None, narrow: Iterable[str] | None, covers: Callable[[str, str], bool]) -> bool:
    if wide is None:
        return True
    wanted = tuple(wide)
    return narrow is not None and all(any(covers(each, other) for each in wanted) for other in narrow)


def _covers_path(wide: str, narrow: str) -> bool:
    if wide == narrow or wide in _EVERYWHERE:
        return True
    if any(glob.startswith(("/", "./")) or "//" in glob for glob in (wide, narrow)):
        return False
    folder = wide.removesuffix("/**").rstrip("/")
    return not _META.search(folder) and narrow.rstrip("/").startswith(f"{folder}/")


def _covers_host(wide: str, narrow: str) -> bool:
    if wide in ("*", narrow):
        return True
    below = wide.startswith("*.")
    a, b = conditions.comparable(wide.removeprefix("*.")), conditions.comparable(narrow.removeprefix("*."))
    if a is None or b is None:
        return False
    return b.endswith(f".{a}") if below else a == b and not narrow.startswith("*.")


def _covers_input(a: Any, b: Any) -> bool:
    if a is None:
        return True
    return b is not None and _spelt(a) == _spelt(b)


def _spelt(schema: Any) -> str:
    return json.dumps(schema, sort_keys=True, default=repr)
