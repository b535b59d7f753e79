"""Entries of `commands:`: tokens against tokens, never text against text.

An entry that permits must cover every token: a program alone, or with a subcommand that has a profile, means
whatever that profile vets (a program without a profile: no argument); `*` is one token; a final `**` any
further tokens. An entry that
forbids is wider: the program by any path and spelling, then the tokens it names, whatever follows.
Knows no paths, senders or tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from openclaw.permissions import grammar, profiles, programs, scan
from openclaw.permissions.policy import Effect, Refusal, Rule

_UNFIT = re.compile(r"[\x00-\x1f\x7f\"'\\`$;|&<>()\[\]{}?!]")
_NAMED = {"shell": "a shell", "interpreter": "an interpreter", "wrapper": "a program that runs others"}


def check_pattern(pattern: str, *, unsafe: bool, effect: Effect | None = None) -> Refusal | None:
    """Why an entry cannot stand. With `effect` ALLOW also entries that a permission makes meaningless or boundless."""
    bad = _UNFIT.search(pattern)
    if bad is not None:
        message = f"`{bad[0]}` has no meaning in an entry of `commands`; write plain words"
        return Refusal("pattern", message, bad.start() + 1)
    words = list(re.finditer(r"\S+", pattern))
    if not words:
        return Refusal("empty", "an entry of `commands` names a program")
    for index, word in enumerate(words):
        problem = _misplaced_star(word[0], word.start() + 1, first=index == 0, last=index == len(words) - 1)
        if problem is not None:
            return problem
    return None if unsafe else _boundless([word[0] for word in words], effect)


def _misplaced_star(word: str, column: int, *, first: bool, last: bool) -> Refusal | None:
    if "*" not in word:
        return None
    if first:
        return Refusal("program", "the program must be named; `*` cannot stand for it", column)
    if word not in ("*", "**"):
        return Refusal("glob", "`*` stands for one whole token, never for a part of one", column)
    if word == "**" and not last:
        return Refusal("glob", "`**` may only come last", column)
    return None


def _boundless(words: list[str], effect: Effect | None) -> Refusal | None:
    program = words[0]
    kind = programs.kind(program)
    if kind in _NAMED and words[-1] == "**" and effect is not Effect.DENY and effect is not Effect.ASK:
        return Refusal("unsafe", f"`{program}` is {_NAMED[kind]}: `**` would let it run anything; name the tokens")
    profiled = "/" not in program and profiles.profile(program) is not None
    if effect is Effect.ALLOW and kind is not None and len(words) == 1 and not profiled:
        what = _NAMED.get(kind, "a program that can run or change anything")
        return Refusal("unsafe", f"`{program}` is {what}; name the whole command, for example `{program} --help`")
    return None


def never_carries(entry: str) -> bool:
    """Whether an allow's entry permits nothing for good: its program can run anything, and `*` spells nothing out."""
    words = entry.split()
    return "*" in words and programs.kind(words[0]) in _NAMED and profiles.profile(words[0]) is None


@lru_cache(maxsize=4096)
def _tokens(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split())


def permitting(entries: tuple[str, ...], argv: Sequence[str]) -> str | None:
    """The first entry that covers these tokens."""
    return next((entry for entry in naming(entries, argv[0]) if permits(entry, argv)), None)


def naming(entries: tuple[str, ...], program: str) -> tuple[str, ...]:
    """The entries that begin with this very word."""
    return _by_program(entries).get(program, ())


def any_forbids(written: tuple[str, ...], invocations: Iterable[Sequence[str]]) -> bool:
    """Whether an entry of a deny or ask rule covers one of these invocations."""
    table = _by_called(written)
    for argv in invocations:
        called = argv[0]
        entries = table.get(called.rpartition("/")[2].casefold(), ())
        if "/" in called:
            entries = (*entries, *table.get(called, ()))
        if entries and any(forbids(entry, argv) for entry in entries):
            return True
    return False


@lru_cache(maxsize=1024)
def _by_program(entries: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    return _table((entry, entry.split()[0]) for entry in entries if entry.split())


@lru_cache(maxsize=1024)
def _by_called(entries: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """By path where an entry names one, else by the folded name."""
    named = ((entry, entry.split()[0]) for entry in entries if entry.split())
    return _table((entry, name if "/" in name else name.casefold()) for entry, name in named)


def _table(named: Iterable[tuple[str, str]]) -> Mapping[str, tuple[str, ...]]:
    table: dict[str, tuple[str, ...]] = {}
    for entry, name in named:
        table[name] = (*table.get(name, ()), entry)
    return table


def permits(pattern: str, argv: Sequence[str]) -> bool:
    """Whether an entry covers these tokens, all of them; where a profile decides, it covers any."""
    tokens = _tokens(pattern)
    if not tokens or tokens[0] != argv[0]:
        return False
    known = profiles.profile(argv[0])
    if known is not None and (len(tokens) == 1 or _subcommand(known, tokens, argv)):
        return True
    return _spelt(tokens, argv)


def _spelt(tokens: Sequence[str], argv: Sequence[str]) -> bool:
    if tokens[-1] == "**":
        tokens = tokens[:-1]
        return len(argv) >= len(tokens) and _each(tokens, argv[: len(tokens)])
    return len(argv) == len(tokens) and _each(tokens, argv)


def _subcommand(known: profiles.Profile, tokens: Sequence[str], argv: Sequence[str]) -> bool:
    """`git log`, or `git stash list`: names of subcommands down to one that has a profile of its own."""
    for token, word in zip(tokens[1:], argv[1:], strict=False):
        inner = known.subcommands.get(token)
        if token != word or inner is None:
            return False
        known = inner
    return len(argv) >= len(tokens)


def _each(tokens: Sequence[str], argv: Sequence[str]) -> bool:
    return all(token in ("*", word) for token, word in zip(tokens, argv, strict=True))


def forbids(pattern: str, argv: Sequence[str]) -> bool:
    """Whether an entry of a deny or ask rule covers an invocation: same program, and the tokens it names follow."""
    tokens = _tokens(pattern)
    if not tokens or not _same_program(tokens[0], argv[0]):
        return False
    rest = [token for token in tokens[1:] if token != "**"]
    words = list(argv[1:])
    if len(words) >= len(rest) and _each(rest, words[: len(rest)]):
        return True
    if not words or not words[0].startswith("-"):
        return False
    # Options before the subcommand (`git -C dir push`): which of them take a value is not known, so order decides.
    remaining = iter(words)
    return all(any(token in ("*", word) for word in remaining) for token in rest)


def _same_program(named: str, called: str) -> bool:
    if "/" in named:
        return named == called
    return called.rsplit("/", 1)[-1].casefold() == named.casefold()


def excuses(pattern: str, argv: Sequence[str]) -> bool:
    """Whether an entry of `except` covers these tokens; a lone program covers any arguments."""
    tokens = _tokens(pattern)
    return bool(tokens) and tokens[0] == argv[0] and (len(tokens) == 1 or _spelt(tokens, argv))


def rule_test(rule: Rule, command: str) -> bool:
    """Whether a rule's `commands` match a command text; arguments and paths are not looked at further."""
    entries = rule.when.commands or ()
    parsed = grammar.parse(command)
    if rule.effect is Effect.ALLOW:
        if isinstance(parsed, Refusal):
            return False
        return all(any(_within(entry, step.argv) for entry in entries) for step in parsed.steps)
    found = scan.of_text(command) if isinstance(parsed, Refusal) else scan.of_command(parsed)
    return any(forbids(entry, argv) for entry in entries for argv in found.invocations)


def _within(entry: str, argv: Sequence[str]) -> bool:
    if not permits(entry, argv):
        return False
    known = profiles.profile(argv[0])
    return known is None or not isinstance(known.vet(argv, repository=True), str)
