"""The project a runtime starts with: read, compiled, and given the models it can really ask.

The law: a start either has a valid project and credentials for it, or says both ways on. A broken project that
ran before runs as it was applied last, loudly, unless that is forbidden. Knows nothing of what runs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from openclaw.clock import Clock
from openclaw.errors import CredentialsError, ProjectInvalid, UsageError
from openclaw.lastgood import last_good
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Model, Snapshot
from openclaw.parts import Reader
from openclaw.reading import Reading, read

NO_KEY = """\
no credentials for the model. Two ways on:
  openclaw run --demo               try everything with the built-in demo model
  export ANTHROPIC_API_KEY=...      a key of your own (or put it into .env beside agents/), then start again"""


@dataclass(frozen=True, slots=True)
class Options:
    """`demo`: the scripted model instead of every model; `demo_if_no_key`: only where no credential is found at all."""

    project: Path
    state: Path
    demo: bool = False
    demo_if_no_key: bool = False
    strict: bool = False  # a broken project does not start, also where a good one was applied before


@dataclass(frozen=True, slots=True)
class Project:
    """A valid project, and whether the demo model stands in for its models.

    `broken`: the errors of what is on disk, where the files that were applied last had to be taken.
    """

    snapshot: Snapshot
    reading: Reading
    demo: bool
    model: Callable[[Model], Model]
    broken: tuple[Diagnostic, ...] = ()


def load(options: Options, clock: Clock, read: Reader = read) -> Project:
    """Compiles the project. Raises UsageError, ProjectInvalid or CredentialsError, each with the way on.

    A broken project that ran before runs as it was applied last, unless `strict`.
    """
    if not options.project.is_dir():
        raise UsageError(f"there is no project folder {options.project}; `openclaw init DIR` makes one")
    reading = read(options.project, clock.now(), None)
    broken: tuple[Diagnostic, ...] = ()
    if reading.compiled.snapshot is None:
        broken = tuple(d for d in reading.compiled.diagnostics if d.severity == "error")
        reading = _last_good(options, clock, reading, read)
    folder, snapshot = reading.folder, reading.compiled.snapshot
    if snapshot is None:
        count = f"{len(broken)} error{'s'[: len(broken) != 1]}"
        raise ProjectInvalid(f"the project {options.project} has {count}; `openclaw validate` shows them", broken)
    demo = wants_demo(options, snapshot, folder)
    if not demo and _lacks_key(snapshot, folder):
        raise CredentialsError(NO_KEY)
    return Project(snapshot, reading, demo, asked_models(folder, demo), broken)


def wants_demo(options: Options, snapshot: Snapshot, folder: Folder) -> bool:
    """Whether a start now would have the demo model answer."""
    return options.demo or (options.demo_if_no_key and _lacks_key(snapshot, folder))


def asked_models(folder: Folder, demo: bool) -> Callable[[Model], Model]:
    """What is really asked in place of a model: the same with the key of the project's .env, or the demo."""
    return _demo_model if demo else _with_key(folder.environment({}))


def _last_good(options: Options, clock: Clock, reading: Reading, read: Reader) -> Reading:
    kept = last_good(options.state, options.project.resolve())
    if options.strict or not kept.is_dir():
        return reading
    return read(kept, clock.now(), options.project)


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
    return Model(model.alias, "demo", "scripted", {})


def _with_key(own: Mapping[str, str]) -> Callable[[Model], Model]:
    """Hands a key from the project's .env to the models that need one; the real environment comes first."""
    real = {name for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN") if os.environ.get(name)}
    found = {
        option: own[name]
        for name, option in (("ANTHROPIC_API_KEY", "api_key"), ("ANTHROPIC_AUTH_TOKEN", "auth_token"))
        if own.get(name) and not real
    }
    return lambda model: replace(model, options={**model.options, **found}) if found and _needs_key(model) else model
