"""What is protected inside a workspace, found just before a command runs: to be hidden, kept as it is, or never made.

The law: every protected path that exists is found, or it is said that the search fell short; a command that was let
through because of what is hidden does not run then. A folder that cannot be searched is hidden whole. Folders are read
again only when they have changed. Starts nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from openclaw.errors import ToolError
from openclaw.permissions.paths import protected
from openclaw.tools._sandbox_unmade import Placed, is_folder, is_vacant
from openclaw.words import Confinement


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOST_FOLDERS = 50_000  # of a workspace; a larger one cannot be searched in time
MOST_MASKS = 1_000
_MOST_REMEMBERED = 100
_REMEMBERED = 1.0  # seconds in which decisions do not search again; what runs then is searched for anew
_SETTLED = 2 * 10**9  # ns after a change; before that, another one may bear the same time

# Settings that make programs run things: readable for what a person agreed to, and never changed by it.
_SETTINGS = _words("""
    .gitattributes .gitmodules .gitconfig .vscode .idea .cursor .claude .codex .gemini .continue .husky .envrc
    .mcp.json .npmrc .yarnrc .yarnrc.yml .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc
    .zshenv .zprofile .zlogin .zlogout .kshrc .cshrc .tcshrc .login .inputrc .vimrc .exrc .config .terraform.d
""")
# Made of code that lies in the workspace beside it, so that keeping it as it is would hold nobody up who may write.
_BUILT = frozenset({("node_modules", ".bin"), (".venv", "bin"), ("venv", "bin")})
_KEPT = frozenset({(".github", "workflows")})
_GIT_RUNS = ("config", "config.worktree", "hooks", "info", "commondir", "modules")  # what git takes orders from


@dataclass(frozen=True, slots=True)
class Masks:
    pinned: tuple[Path, ...] = ()  # folders that cannot be moved away, so that what is in them stays where it is
    kept: tuple[Path, ...] = ()  # can be read and not changed
    hidden: tuple[Path, ...] = ()
    unmade: tuple[Path, ...] = ()  # are not there, and cannot be made
    found: frozenset[Path] = frozenset()  # all that is protected
    missed: str = ""  # why that is not everything


@dataclass(slots=True)
class _Folder:
    changed: tuple[int, int]
    settled: bool = False
    guarded: tuple[Path, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(slots=True)
class Guards:
    """What is known of the workspaces of this runtime. Used by several threads."""

    placed: Placed = field(default_factory=Placed)
    _known: dict[str, _Folder] = field(default_factory=dict)
    _missed: dict[tuple[Path, tuple[Path, ...]], tuple[float, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def masks(self, confinement: Confinement) -> Masks:
        """What is `unmade` has to be given to `release`. Raises ToolError, and OSError."""
        self.placed.sweep(confinement.workspace)
        masks = self._found(confinement)
        if masks.missed and not confinement.lenient:
            raise ToolError(f"{masks.missed}; nothing was run")
        if confinement.writable:
            masks = replace(masks, unmade=self.placed.place(confinement))
        return masks

    def release(self, masks: Masks) -> None:
        """Takes away what was put in the place of what must not be made, where nobody needs it any more."""
        self.placed.release(masks.unmade)

    def made(self, confinement: Confinement, masks: Masks) -> tuple[Path, ...]:
        """What is protected and was not there when these were found; nothing where that cannot be told."""
        if not confinement.writable or masks.missed:
            return ()
        with self._lock, suppress(ToolError):
            found, _ = self._search(confinement.workspace, confinement.hidden)
            new = (path for path in found if path not in masks.found and _is_told(path, confinement))
            return tuple(sorted(new, key=_outermost))
        return ()

    def missed(self, workspace: Path, roots: tuple[Path, ...]) -> str:
        """Why not everything that is protected in a workspace can be hidden; empty where it can. A decision about
        many commands asks for each of them, so it is remembered for a moment."""
        until, missed = self._missed.get((workspace, roots), (0.0, ""))
        if time.monotonic() < until:
            return missed
        try:
            missed = self._found(Confinement(workspace=workspace, hidden=roots)).missed
        except ToolError as problem:
            missed = str(problem)
        if len(self._missed) > _MOST_REMEMBERED:
            self._missed.clear()
        self._missed[workspace, roots] = (time.monotonic() + _REMEMBERED, missed)
        return missed

    def _found(self, confinement: Confinement) -> Masks:
        with self._lock:
            found, missed = self._search(confinement.workspace, confinement.hidden)
        pinned, kept, hidden = _sorted(found, confinement)
        if len(kept) + len(hidden) > MOST_MASKS:
            missed = f"more than {MOST_MASKS:,} protected files lie in the workspace, too many to be hidden"
            kept, hidden = kept[:MOST_MASKS], hidden[: MOST_MASKS - len(kept[:MOST_MASKS])]
        return Masks(tuple(pinned), tuple(kept), tuple(hidden), found=frozenset(found), missed=missed)

    # ── the search ───────────────────────────────────────────────────────────────────────────────

    def _search(self, workspace: Path, roots: Sequence[Path]) -> tuple[list[Path], str]:
        """What was found, the outermost first, and why that is not all; empty where it is."""
        found: list[Path] = []
        waiting, seen = deque([str(workspace)]), 0
        while waiting:
            seen += 1
            if seen > MOST_FOLDERS:
                many = f"the workspace has more than {MOST_FOLDERS:,} folders"
                return found, f"{many}, too many to be searched for what is protected"
            folder = self._folder(waiting.popleft(), workspace, roots)
            found += folder.guarded
            waiting += folder.folders
        return found, ""

    def _folder(self, place: str, workspace: Path, roots: Sequence[Path]) -> _Folder:
        now = time.time_ns()
        try:
            status = os.stat(place, follow_symlinks=False)  # noqa: PTH116 - asked for every folder
        except OSError:  # gone, or beyond the reach of this user, and so of the command
            return _Folder((0, 0))
        changed = (status.st_mtime_ns, status.st_ctime_ns)
        known = self._known.get(place)
        if known is not None and known.settled and known.changed == changed:
            return known
        settled = now - status.st_ctime_ns > _SETTLED
        try:
            known = _read(place, changed, settled, workspace, roots)
        except OSError as error:
            if place == str(workspace):
                raise ToolError(f"the workspace cannot be searched: {error.strerror}") from error
            known = _Folder(changed, guarded=(Path(place),))  # the command cannot read it, nor look for names in it
        if len(self._known) > 2 * MOST_FOLDERS:
            self._known.clear()
        self._known[place] = known
        return known


def _read(place: str, changed: tuple[int, int], settled: bool, workspace: Path, roots: Sequence[Path]) -> _Folder:
    if not os.access(place, os.R_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    guarded, folders = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            path = Path(entry.path)
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.is_symlink():
                continue  # leads to what is judged where it is
            if protected(path, workspace, roots) is not None:
                if not (is_folder and is_vacant(path)):
                    guarded.append(path)
                else:
                    settled = False  # what is put into it does not change the folder around it
            elif is_folder:
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                continue
            elif stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                guarded.append(path)  # somebody outside listens there
    return _Folder(changed, settled, tuple(guarded), tuple(folders))


# ── what becomes of it ───────────────────────────────────────────────────────────────────────────


def _sorted(found: Iterable[Path], confinement: Confinement) -> tuple[list[Path], list[Path], list[Path]]:
    pinned: list[Path] = []
    kept: list[Path] = []
    hidden: list[Path] = []
    for path in sorted(found, key=_outermost):
        name = path.name.casefold()
        pair = (path.parent.name.casefold(), name)
        if name == ".git":
            _git(path, confinement, pinned, kept, hidden)
        elif pair in _BUILT or (confinement.settings and (pair in _KEPT or name in _SETTINGS)):
            continue
        elif _is_shown(path, confinement) or pair in _KEPT or (name in _SETTINGS and _may_read(confinement)):
            kept.append(path)
        else:
            hidden.append(path)
            pinned += _above(path, confinement) if path in confinement.hidden else []
    return pinned, kept if confinement.writable else [], hidden


def _outermost(path: Path) -> tuple[int, Path]:
    return len(path.parts), path


def _is_told(path: Path, confinement: Confinement) -> bool:
    """Whether a person may want to know that it came to be: not of what is built, nor that git made a repository."""
    names = (path.parent.name.casefold(), path.name.casefold())
    return names not in _BUILT and not (names[1] == ".git" and confinement.repository) and not path.is_socket()


def _may_read(confinement: Confinement) -> bool:
    return confinement.writable or confinement.repository


def _is_shown(path: Path, confinement: Confinement) -> bool:
    return any(shown.is_relative_to(path) for shown in confinement.shown)


def _git(path: Path, confinement: Confinement, pinned: list[Path], kept: list[Path], hidden: list[Path]) -> None:
    """Of a repository, git itself may write all but what it takes orders from; others at most read it."""
    if not (confinement.repository or confinement.writable or _is_shown(path, confinement)):
        hidden.append(path)
    elif confinement.repository and confinement.writable and is_folder(path):
        pinned.append(path)
        kept += [each for name in _GIT_RUNS if name not in confinement.opened and (each := path / name).exists()]
    else:
        kept.append(path)


def _above(path: Path, confinement: Confinement) -> list[Path]:
    """The folders between the workspace and a path, outermost first."""
    between = [parent for parent in path.parents if parent.is_relative_to(confinement.workspace)]
    return [each for each in reversed(between) if each != confinement.workspace] if confinement.writable else []
