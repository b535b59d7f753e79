"""What is protected inside a workspace, found just before a command runs: to be hidden, kept as it is, or never made.

The law: every protected path that exists is found, or the command does not run. A folder is read again only when it
has changed. What does not exist yet is kept from being made by an empty folder in its place while a command that may
write runs; nothing of these is left behind, not even after a crash. Starts nothing.
"""

from __future__ import annotations

import os
import stat
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from openclaw.errors import ToolError
from openclaw.messages import Confinement
from openclaw.permissions.paths import protected


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MOST_FOLDERS = 50_000  # of a workspace; a larger one cannot be searched in time
MOST_MASKS = 1_000
_OURS = 1_000_000_000  # the time, in ns, that marks an empty folder as put there by us

# Settings that make programs run things: readable for what a person agreed to, and never changed by it.
_SETTINGS = _words("""
    .gitattributes .gitmodules .gitconfig .vscode .idea .cursor .claude .codex .gemini .continue .husky .envrc
    .mcp.json .npmrc .yarnrc .yarnrc.yml .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc
    .zshenv .zprofile .zlogin .zlogout .kshrc .cshrc .tcshrc .login .inputrc .vimrc .exrc .config .terraform.d
""")
_PROGRAMS = frozenset({("node_modules", ".bin"), (".venv", "bin"), ("venv", "bin"), (".github", "workflows")})
_GIT_RUNS = ("config", "config.worktree", "hooks", "info", "commondir", "modules")  # what git takes orders from
_UNMADE = (
    ".git", ".gitattributes", ".gitmodules", ".gitconfig", ".env", ".envrc", ".mcp.json", ".vscode", ".husky",
    ".claude", ".cursor", ".codex", ".gemini", ".bashrc", ".bash_profile", ".profile", ".zshrc", ".zshenv", ".ssh",
)  # fmt: skip
_GIT_UNMADE = ("hooks", "config.worktree")


@dataclass(frozen=True, slots=True)
class Masks:
    pinned: tuple[Path, ...] = ()  # folders that cannot be moved away, so that what is in them stays where it is
    kept: tuple[Path, ...] = ()  # can be read and not changed
    hidden: tuple[Path, ...] = ()
    unmade: tuple[Path, ...] = ()  # are not there, and cannot be made


@dataclass(slots=True)
class _Folder:
    changed: int
    guarded: tuple[Path, ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(slots=True)
class Guards:
    """What is known of the workspaces of this runtime. Used by several threads."""

    _known: dict[str, _Folder] = field(default_factory=dict)
    _placed: Counter[Path] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def masks(self, confinement: Confinement) -> Masks:
        """Raises ToolError where not everything could be searched. What is `unmade` has to be given to `release`."""
        workspace = confinement.workspace
        with self._lock:
            found = self._search(workspace, confinement.hidden)
            pinned, kept, hidden = _sorted(found, confinement)
            if len(kept) + len(hidden) > MOST_MASKS:
                raise ToolError(f"more than {MOST_MASKS:,} protected files lie in the workspace; nothing was run")
            unmade = tuple(self._place(_missing(confinement))) if confinement.writable else ()
        return Masks(tuple(pinned), tuple(kept), tuple(hidden), unmade)

    def release(self, masks: Masks) -> None:
        """Takes away what was put in the place of what must not be made, where nobody needs it any more."""
        with self._lock:
            for path in masks.unmade:
                self._placed[path] -= 1
                if self._placed[path] <= 0:
                    del self._placed[path]
                    with suppress(OSError):
                        path.rmdir()

    def _place(self, paths: Iterable[Path]) -> Iterator[Path]:
        for path in paths:
            with suppress(FileExistsError):
                path.mkdir(mode=0o700)
                os.utime(path, ns=(_OURS, _OURS))
            self._placed[path] += 1
            yield path

    # ── the search ───────────────────────────────────────────────────────────────────────────────

    def _search(self, workspace: Path, roots: Sequence[Path]) -> list[Path]:
        found: list[Path] = []
        waiting, seen = [str(workspace)], 0
        while waiting:
            place = waiting.pop()
            seen += 1
            if seen > MOST_FOLDERS:
                raise ToolError(
                    f"the workspace has more than {MOST_FOLDERS:,} folders, too many to be searched for what is "
                    "protected; nothing was run"
                )
            folder = self._folder(place, workspace, roots)
            found += folder.guarded
            waiting += folder.folders
        return found

    def _folder(self, place: str, workspace: Path, roots: Sequence[Path]) -> _Folder:
        try:
            changed = os.stat(place, follow_symlinks=False).st_mtime_ns  # noqa: PTH116 - asked for every folder
            known = self._known.get(place)
            if known is not None and known.changed == changed:
                return known
            known = _read(place, changed, workspace, roots)
        except FileNotFoundError:
            return _Folder(0)
        except OSError as error:
            raise ToolError(f"`{place}` cannot be searched for what is protected: {error.strerror}") from error
        if len(self._known) > 2 * MOST_FOLDERS:
            self._known.clear()
        self._known[place] = known
        return known


def _read(place: str, changed: int, workspace: Path, roots: Sequence[Path]) -> _Folder:
    guarded, folders = [], []
    with os.scandir(place) as entries:
        for entry in entries:
            path = Path(entry.path)
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.is_symlink():
                continue  # leads to what is judged where it is
            if protected(path, workspace, roots) is not None:
                if not (is_folder and _is_ours(path)):
                    guarded.append(path)
            elif is_folder:
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                continue
            elif stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                guarded.append(path)  # somebody outside listens there
    return _Folder(changed, tuple(guarded), tuple(folders))


def _is_ours(path: Path) -> bool:
    """Whether it is an empty folder that was put there while a command ran."""
    try:
        return path.lstat().st_mtime_ns == _OURS and not any(path.iterdir())
    except OSError:
        return False


# ── what becomes of it ───────────────────────────────────────────────────────────────────────────


def _sorted(found: Iterable[Path], confinement: Confinement) -> tuple[list[Path], list[Path], list[Path]]:
    pinned: list[Path] = []
    kept: list[Path] = []
    hidden: list[Path] = []
    for path in sorted(found):
        name = path.name.casefold()
        pair = (path.parent.name.casefold(), name)
        if name == ".git":
            _git(path, confinement, pinned, kept, hidden)
        elif _is_shown(path, confinement) or pair in _PROGRAMS or (name in _SETTINGS and _may_read(confinement)):
            kept.append(path)
        else:
            hidden.append(path)
            pinned += _above(path, confinement) if path in confinement.hidden else []
    return pinned, kept if confinement.writable else [], hidden


def _may_read(confinement: Confinement) -> bool:
    return confinement.writable or confinement.repository


def _is_shown(path: Path, confinement: Confinement) -> bool:
    return any(shown.is_relative_to(path) for shown in confinement.shown)


def _git(path: Path, confinement: Confinement, pinned: list[Path], kept: list[Path], hidden: list[Path]) -> None:
    """Of a repository, git itself may write all but what it takes orders from; others at most read it."""
    if not (confinement.repository or confinement.writable or _is_shown(path, confinement)):
        hidden.append(path)
    elif confinement.repository and confinement.writable and _is_folder(path):
        pinned.append(path)
        kept += [each for name in _GIT_RUNS if (each := path / name).exists()]
    else:
        kept.append(path)


def _above(path: Path, confinement: Confinement) -> list[Path]:
    """The folders between the workspace and a path, outermost first."""
    between = [parent for parent in path.parents if parent.is_relative_to(confinement.workspace)]
    return [each for each in reversed(between) if each != confinement.workspace] if confinement.writable else []


def _missing(confinement: Confinement) -> Iterator[Path]:
    workspace = confinement.workspace
    for name in _UNMADE:
        path = workspace / name
        if name == ".git" and confinement.repository:
            if _is_folder(path):
                yield from (each for inner in _GIT_UNMADE if _is_missing(each := path / inner))
        elif _is_missing(path) and not any(shown.is_relative_to(path) for shown in confinement.shown):
            yield path


def _is_missing(path: Path) -> bool:
    return not os.path.lexists(path) or (_is_folder(path) and _is_ours(path))


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
