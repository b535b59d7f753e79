"""Whether a rule holds for a call: permissions must cover all of it, prohibitions need touch only a part.

Knows the call as subjects; knows no programs' arguments and combines nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from openclaw.permissions import conditions, paths, patterns
from openclaw.permissions.policy import Attempt, Condition, Effect, Rule
from openclaw.permissions.scan import Invocation
from openclaw.permissions.subjects import PathSubject, Subjects


def applies(rule: Rule, attempt: Attempt, *, template: bool) -> bool:
    """Whether a rule speaks of this tool, now, for this person; what the call says is looked at later.

    `template`: the tool is a command that its author wrote."""
    named = conditions.names_tool(rule, attempt.tool.name)
    if not named and rule.effect is Effect.DENY and rule.when.commands is not None:
        named = template  # a forbidden program stays forbidden inside a template
    if not named or not conditions.asked_by(rule.when, attempt):
        return False
    return rule.effect is not Effect.ALLOW or conditions.in_time(rule, attempt.now)


def permits_call(rule: Rule, attempt: Attempt, subject: Subjects) -> bool:
    """Whether an allow covers a call as a whole: every path, every host, every input it names."""
    when = rule.when
    if when.commands is not None:
        return False
    return _covered(when, attempt, subject)


def permits_step(rule: Rule, attempt: Attempt, subject: Subjects, argv: Sequence[str]) -> str | None:
    """The entry of an allow's `commands` that covers one program with its arguments, if there is one."""
    if rule.when.commands is None or rule.when.paths is not None or rule.when.hosts is not None:
        return None
    if not _covered(rule.when, attempt, subject):
        return None
    return patterns.permitting(rule.when.commands, argv)


def _covered(when: Condition, attempt: Attempt, subject: Subjects) -> bool:
    if when.paths is not None and not _all_paths(when.paths, subject.paths):
        return False
    if when.hosts is not None and not _all_hosts(when.hosts, subject.hosts):
        return False
    return when.input is None or conditions.input_matches(when.input, attempt, Effect.ALLOW)


def _all_paths(globs: Iterable[str], named: Sequence[PathSubject]) -> bool:
    """Every path, judged where it leads and as it is written."""
    wanted = tuple(globs)
    spellings = [spelling for path in named for spelling in path.spellings]
    return bool(spellings) and all(any(paths.matches(glob, text) for glob in wanted) for text in spellings)


def _all_hosts(wanted: Sequence[str], hosts: Sequence[str]) -> bool:
    return bool(hosts) and all(any(conditions.host_matches(name, host) for name in wanted) for host in hosts)


def forbids_call(rule: Rule, attempt: Attempt, subject: Subjects, operands: Sequence[PathSubject]) -> bool:
    """Whether an ask or deny without `commands` holds; `operands` are paths the command itself would open."""
    when = rule.when
    if when.commands is not None:
        return False
    if when.paths is not None and not _any_path(when.paths, (*subject.paths, *operands)):
        return False
    if when.hosts is not None:
        hosts = [host for host in subject.hosts if any(conditions.host_matches(n, host) for n in when.hosts)]
        if not hosts:
            return False
    if when.input is not None and not conditions.input_matches(when.input, attempt, rule.effect):
        return False
    argvs = [step.argv for step in subject.command.steps] if subject.command is not None else []
    return not _excused(rule, attempt, subject, argvs)


def _any_path(globs: Iterable[str], named: Iterable[PathSubject]) -> bool:
    spellings = [spelling for path in named for spelling in path.spellings]
    return any(paths.matches(glob, text, fold=True) for glob in globs for text in spellings)


def forbids_step(
    rule: Rule, attempt: Attempt, subject: Subjects, invocations: Iterable[Invocation], argv: Sequence[str] | None
) -> bool:
    """Whether an ask or deny with `commands` holds for any of these invocations; `argv` is the step they stand in."""
    entries = rule.when.commands
    if entries is None or not patterns.any_forbids(entries, invocations):
        return False
    if rule.when.input is not None and not conditions.input_matches(rule.when.input, attempt, rule.effect):
        return False
    if rule.when.paths is not None and not _any_path(rule.when.paths, subject.paths):
        return False
    return not _excused(rule, attempt, subject, [] if argv is None else [argv])


def _excused(rule: Rule, attempt: Attempt, subject: Subjects, argvs: Sequence[Sequence[str]]) -> bool:
    """Whether the rule's own `except` holds, all it states, for all that it would forbid."""
    unless = rule.unless
    if unless is None or not conditions.asked_by(unless, attempt):
        return False
    if unless.commands is not None:
        entries = unless.commands
        if not argvs or not all(any(patterns.excuses(entry, argv) for entry in entries) for argv in argvs):
            return False
    return _covered(unless, attempt, subject)
