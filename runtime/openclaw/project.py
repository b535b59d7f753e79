"""The project a runtime starts with: read, compiled, and given the models it can really ask.

The law: a start either has a valid project and credentials for it, or says both ways on. A broken project that
ran before runs as it was applied last, loudly, unless that is forbidden. Knows nothing of what runs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from openclaw import shrinking
from openclaw.clock import Clock
from openclaw.errors import CredentialsError, ProjectInvalid, UsageError
from openclaw.lastgood import Recalled, bytes_of, recalled
from openclaw.manifest.build import Compiled
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.policies import forbidding, laid
from openclaw.manifest.snapshot import FREE, Model, Snapshot
from openclaw.parts import Reader
from openclaw.permissions.policy import Policy, Rule
from openclaw.plan.rules import place, rule_words
from openclaw.reading import Reading, read
from openclaw.words import quote_line

NO_KEY = """\
no credentials for the model. Two ways on:
  --demo, after run or chat         try everything with the built-in demo model
  export ANTHROPIC_API_KEY=...      a key of your own (or put it into .env beside agents/), then start again"""
_NAMED: Final = 3  # rules


@dataclass(frozen=True, slots=True)
class Options:
    """`demo`: the scripted model instead of every model; `demo_if_no_key`: only where no credential is found at all."""

    project: Path
    state: Path
    demo: bool = False
    demo_if_no_key: bool = False
    strict: bool = False  # a broken project does not start, also where a good one was applied before
    level: str = "info"  # from which one on the log keeps what is ours


@dataclass(frozen=True, slots=True)
class Project:
    """A valid project, and whether the demo model stands in for its models.

    `broken`: the errors of what is on disk, where the files that were applied last had to be taken; `laid`: the rules
    of the broken project that are in force on top of those; `kept_code`: the code of Python tools on disk is another.
    """

    snapshot: Snapshot
    reading: Reading
    demo: bool
    model: Callable[[Model], Model]
    broken: tuple[Diagnostic, ...] = ()
    laid: tuple[Rule, ...] = ()
    kept_code: bool = False

    @property
    def exact(self) -> bool:
        """Whether what runs is what its files come to, from where they are."""
        return not self.laid and not self.kept_code

    @property
    def notice(self) -> str:
        """How it differs from what is on disk, for whoever starts it; empty where it does not."""
        if not self.broken:
            return ""
        first, more = self.broken[0], len(self.broken) - 1
        less = {said.code for said in self.broken} == {"cut-off"}  # it is valid, and less
        parts = [f"THE PROJECT ON DISK {'BREAKS OFF' if less else 'IS BROKEN'}; running what was applied last"]
        parts += ["with the code of Python tools as it was then"] if self.kept_code else []
        parts += [f"{_counted(self.laid)} of the broken edit {_are(self.laid)} in force on top"] if self.laid else []
        where = f"{quote_line(first.file)}:{first.line}:{first.column}: {first.message}"
        cure = f"; {first.help}" if less and first.help else ""
        return f"{', '.join(parts)}. {where}{cure}{f' (and {more} more)' if more else ''}"


def _counted(rules: Sequence[Rule]) -> str:
    """`3 deny and ask rules`."""
    effects = sorted({rule.effect for rule in rules}, reverse=True)
    names = " and ".join(effect.name.lower() for effect in effects)
    return f"{len(rules)} {names} rule{'s'[: len(rules) != 1]} ({'; '.join(map(_named, rules[:_NAMED]))}{_rest(rules)})"


def _named(rule: Rule) -> str:
    return f"{rule_words(rule)}, {place(rule)}"


def _rest(rules: Sequence[Rule]) -> str:
    return f"; and {len(rules) - _NAMED} more" if len(rules) > _NAMED else ""


def _are(rules: Sequence[Rule]) -> str:
    return "is" if len(rules) == 1 else "are"


def load(options: Options, clock: Clock, read: Reader = read) -> Project:
    """Compiles the project. Raises UsageError, ProjectInvalid or CredentialsError, each with the way on.

    A broken project that ran before runs as it was applied last, unless `strict`.
    """
    if not options.project.is_dir():
        raise UsageError(f"there is no project folder {options.project}; `openclaw init DIR` makes one")
    reading = read(options.project.resolve(), clock.now(), None)  # from one folder, wherever a link leads by then
    snapshot = reading.compiled.snapshot
    if snapshot is None:
        return _asked(_last_good(options, clock, reading.compiled, read), options)
    return _asked(_less(options, clock, reading, read) or Project(snapshot, reading, False, _itself), options)


def _itself(model: Model) -> Model:
    return model


def _less(options: Options, clock: Clock, reading: Reading, read: Reader) -> Project | None:
    """What was applied last, where what is on disk is valid and breaks off before prohibitions of that: a disk that was
    full, or went without power, leaves files half written while nothing runs."""
    root, new = options.project.resolve(), reading.compiled.snapshot
    before = bytes_of(options.state, root)
    if before is None or not shrinking.is_cut(before, reading.folder):
        return None
    try:
        kept = recalled(options.state, root, clock.now(), read)
    except ProjectInvalid:
        return None
    held = shrinking.held(kept.reading.folder, kept.snapshot, reading.folder, new) if kept else None
    if kept is None or held is None or new is None:
        return None
    if options.strict:
        less = f"the project {options.project} is less than what was applied last, which --strict does not run"
        raise ProjectInvalid(less, held.diagnostics)
    return _under(kept, held.diagnostics, {name: forbidding(policy) for name, policy in new.policies.items()})


def _asked(project: Project, options: Options) -> Project:
    """With the models that are really asked."""
    folder = project.reading.folder
    demo = wants_demo(options, project.snapshot, folder)
    if not demo and _lacks_key(project.snapshot, folder):
        raise CredentialsError(NO_KEY)
    return replace(project, demo=demo, model=asked_models(folder, demo))


def _last_good(options: Options, clock: Clock, compiled: Compiled, read: Reader) -> Project:
    """What was applied last, under what the broken project forbids as well: never looser than either."""
    broken = tuple(said for said in compiled.diagnostics if said.severity == "error")
    words = f"the project {options.project} has {len(broken)} error{'s'[: len(broken) != 1]}"
    try:
        kept = None if options.strict else recalled(options.state, options.project.resolve(), clock.now(), read)
    except ProjectInvalid as error:
        raise ProjectInvalid(f"{words}, and {error}; `openclaw validate` shows what is wrong", broken) from error
    if kept is None:
        raise ProjectInvalid(f"{words}; `openclaw validate` shows them", broken)
    return _under(kept, broken, compiled.prohibitions)


def _under(kept: Recalled, broken: tuple[Diagnostic, ...], over: Mapping[str, Policy]) -> Project:
    policies, rules = laid(kept.snapshot.policies, over)
    return Project(replace(kept.snapshot, policies=policies), kept.reading, False, _itself, broken, rules, kept.code)


def wants_demo(options: Options, snapshot: Snapshot, folder: Folder) -> bool:
    """Whether a start now would have the demo model answer."""
    return options.demo or (options.demo_if_no_key and _lacks_key(snapshot, folder))


def asked_models(folder: Folder, demo: bool) -> Callable[[Model], Model]:
    """What is really asked in place of a model: the same with the key of the project's .env, or the demo."""
    return _demo_model if demo else _with_key(folder.environment({}))


def _lacks_key(snapshot: Snapshot, folder: Folder) -> bool:
    keyless = any(_needs_key(snapshot.models[alias]) for alias in _used(snapshot))
    return keyless and _ambient_key(folder.environment(os.environ)) is None


def _used(snapshot: Snapshot) -> set[str]:
    return {agent.model for agent in snapshot.agents.values()}


def _needs_key(model: Model) -> bool:
    return model.kind == "anthropic" and not (model.options.get("api_key") or model.options.get("base_url"))


def _ambient_key(environment: Mapping[str, str]) -> str | None:
    from openclaw.providers.anthropic import credentials  # does not import the SDK

    return credentials(environment)


def _demo_model(model: Model) -> Model:
    return Model(model.alias, "demo", "scripted", {}, FREE)


def _with_key(own: Mapping[str, str]) -> Callable[[Model], Model]:
    """Hands a key from the project's .env to the models that need one; the real environment comes first."""
    real = {name for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN") if os.environ.get(name)}
    found = {
        option: own[name]
        for name, option in (("ANTHROPIC_API_KEY", "api_key"), ("ANTHROPIC_AUTH_TOKEN", "auth_token"))
        if own.get(name) and not real
    }
    return lambda model: replace(model, options={**model.options, **found}) if found and _needs_key(model) else model
