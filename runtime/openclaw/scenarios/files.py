"""The files of a project as a conversation has them: those of its folder, and over them what its steps edit.

The law: nothing of the project's folder is changed, and nothing outside of it is reached: every model is the one that
is given its answers, every channel that is not switched off takes part, and a workspace elsewhere is one of the
conversation's own. All else means what the manifests say. Compiles as the runtime does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from openclaw import adapters
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.folder import Folder, kind_of
from openclaw.manifest.snapshot import Agent, Channel, Model, Snapshot
from openclaw.providers.steps import Steps
from openclaw.reading import Loaded, Reading


@dataclass(slots=True, eq=False)
class Files:
    """`base` is the project as it was read, compiled: nobody looked at the environment."""

    base: Reading
    steps: Steps
    edits: dict[str, str | None] = field(default_factory=dict)  # by path; None: removed

    @property
    def root(self) -> Path:
        return Path(self.base.folder.root)

    def read(
        self,
        root: Path,
        now: datetime,
        imports_from: Path | None = None,
        *,
        env_from: Path | None = None,
        folder: Folder | None = None,
        loaded: Loaded | None = None,
    ) -> Reading:
        """As `openclaw.reading.read` does: the project, or what the runtime kept of it."""
        if imports_from is not None:
            return self._compiled(Folder.read(root), imports_from, now)
        if not self.edits:
            return self._staged(self.base)
        return self._compiled(self._edited(), self.root, now)

    def _edited(self) -> Folder:
        base = self.base.folder
        files, more = dict(base.files), dict(base.more)
        for path, text in self.edits.items():
            read_at_once = kind_of(path) is not None or (path.startswith("agents/") and path.endswith(".md"))
            if text is None:
                files.pop(path, None)
                more[path] = None
            elif read_at_once:
                files[path] = text.encode()
            else:
                more[path] = text.encode()
        return Folder(base.root, files, base.problems, more, base.on_disk)

    def _compiled(self, folder: Folder, home: Path, now: datetime) -> Reading:
        found = compile(folder, environment=None, importer=adapters.importer(home), today=now)
        return self._staged(Reading(folder, found))

    def _staged(self, reading: Reading) -> Reading:
        found = reading.compiled
        if found.snapshot is None:
            return reading
        return replace(reading, compiled=Compiled(staged(found.snapshot, self.steps), found.diagnostics))


def staged(snapshot: Snapshot, steps: Steps) -> Snapshot:
    """The same project with nothing of the world in it."""
    return replace(
        snapshot,
        agents={id: _at_home(agent) for id, agent in snapshot.agents.items()},
        channels={key: _taking_part(channel) for key, channel in snapshot.channels.items()},
        models={alias: _given(model, steps) for alias, model in snapshot.models.items()},
    )


def _at_home(agent: Agent) -> Agent:
    return agent if agent.workspace in ("shared", "own") else replace(agent, workspace="own")


def _taking_part(channel: Channel) -> Channel:
    return channel if channel.off else replace(channel, skipped=None)


def _given(model: Model, steps: Steps) -> Model:
    options: dict[str, Any] = {"steps": steps}
    return replace(model, kind="steps", options=options)
