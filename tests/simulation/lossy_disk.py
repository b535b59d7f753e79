"""A disk that keeps what was synced, and of the rest what chance leaves: after a power cut, a kill, or when it is full.

The law: what `sync`, `sync_content` and `sync_folder` returned from is kept, and nothing else is promised. `image`
makes the folder as the next start finds it: of every file the synced bytes and a torn part of those behind them; of
names that were made, moved or taken away without a sync of their folder, the first few. The database syncs for itself;
its file and its log are taken as they are, which is what was committed. The files themselves are on a disk in memory,
so that whatever reads them needs to know nothing of this.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from openclaw.stores._files import Files

COMMIT = 16 << 10  # bytes that a transaction takes, about
DATABASE = ("runtime.db", "runtime.db-wal")
UNKEPT = ("runtime.db-shm", "lock", "probe", "reserve")


@dataclass(slots=True, eq=False)
class _Node:
    """A file, whatever its name is now."""

    place: tuple[int, int] = (0, 0)  # device and inode
    synced: int = 0  # bytes from the beginning
    ghost: bytes = b""  # what was cut off its end since


@dataclass(frozen=True, slots=True)
class _Change:
    """Something about names that no sync of the folder has made sure of. `old` is None for a file that was made, `new`
    for one that was taken away; `over` is what `new` was before."""

    folders: frozenset[Path]
    old: Path | None
    new: Path | None
    node: _Node
    over: tuple[_Node, bytes] | None = None


@dataclass(slots=True)
class Faults:
    """What is wrong with the disk now. `free` is None where there is plenty."""

    free: int | None = None
    broken_at: int | None = None  # the number of the call that fails for good


class LossyFiles(Files):
    """`step` is told of every call before it is made, and may raise PowerCut instead of returning."""

    def __init__(self, root: Path, step: Callable[[str], None], name: Callable[[], str]) -> None:
        self.root = root
        self.faults = Faults()
        self._step = step
        self._name = name
        self._calls = 0
        self._names: dict[Path, _Node] = {}
        self._open: dict[int, _Node] = {}
        self._changes: list[_Change] = []

    def _called(self, what: str) -> None:
        self._step(what)
        self._calls += 1
        if self.faults.broken_at is not None and self._calls >= self.faults.broken_at:
            raise OSError(errno.EIO, "Input/output error")

    def _takes(self, size: int) -> None:
        if self.faults.free is not None:
            if size > self.faults.free:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.faults.free -= size

    # ── the calls ────────────────────────────────────────────────────────────────────────────────

    def open(self, path: Path, flags: int) -> int:
        self._called(f"open {path.name}")
        new = flags & os.O_CREAT and not path.exists()
        if new:
            self._takes(1)
        file = os.open(path, flags, 0o600)
        node = self._names.get(path)
        if node is None:
            node = self._names[path] = _Node(synced=0 if new else os.fstat(file).st_size)
            if new and path.name not in (*DATABASE, *UNKEPT):
                self._changes.append(_Change(frozenset((path.parent,)), None, path, node))
        elif flags & os.O_TRUNC:
            node.synced = 0
        node.place = _place(file)
        self._open[file] = node
        return file

    def write(self, file: int, content: bytes | memoryview) -> int:
        self._called(f"write {len(content)}")
        free = self.faults.free
        if free is not None and len(content) > free > 0:
            content = content[:free]
        self._takes(len(content))
        self._open[file].ghost = b""
        return os.write(file, content)

    def sync(self, file: int) -> None:
        self._called("sync")
        self._synced(file)

    def sync_content(self, file: int) -> None:
        self._called("sync content")
        self._synced(file)

    def _synced(self, file: int) -> None:
        node = self._open.get(file)
        if node is not None:
            node.synced, node.ghost = os.fstat(file).st_size, b""

    def truncate(self, file: int, size: int) -> None:
        self._called(f"truncate {size}")
        node, now = self._open[file], os.fstat(file).st_size
        path = next(path for path, named in self._names.items() if named is node)
        node.ghost = path.read_bytes()[size:now]
        if self.faults.free is not None:
            self.faults.free += now - size
        os.ftruncate(file, size)

    def allocate(self, file: int, size: int) -> None:
        self._called(f"allocate {size}")
        self._takes(size)
        os.ftruncate(file, size)

    def rename(self, old: Path, new: Path) -> None:
        self._called(f"rename {new.name}")
        node, over = self._names.pop(old, None) or _Node(synced=old.stat().st_size), None
        if new.exists():
            over = (self._names.get(new) or _Node(synced=new.stat().st_size), new.read_bytes())
        old.rename(new)
        self._names[new] = node
        self._changes.append(_Change(frozenset((old.parent, new.parent)), old, new, node, over))

    def unlink(self, path: Path) -> None:
        self._called(f"unlink {path.name}")
        if self.faults.free is not None and path.exists():
            self.faults.free += path.stat().st_size
        self._names.pop(path, None)
        path.unlink()

    def folder(self, path: Path) -> None:
        self._called(f"folder {path.name}")
        self._takes(1)
        super().folder(path)

    def sync_folder(self, path: Path) -> None:
        self._called(f"sync folder {path.name}")
        self._changes = [change for change in self._changes if path not in change.folders]

    def commit(self, db: sqlite3.Connection) -> None:
        self._called("commit")
        self._takes(COMMIT)
        super().commit(db)
        self._step("committed")

    def name(self) -> str:
        return self._name()

    # ── what is left ─────────────────────────────────────────────────────────────────────────────

    def image(self, target: Path, chance: Random, *, power: bool) -> None:
        """The folder as the next start finds it. Without `power` the machine went on and only the process was killed:
        then all is there that was written."""
        shutil.copytree(self.root, target, ignore=shutil.ignore_patterns(*UNKEPT), copy_function=shutil.copyfile)
        if not power:
            return
        names = dict(self._names)
        lasting = chance.randint(0, len(self._changes))
        olds: dict[Path, bytes] = {}
        for change in reversed(self._changes[lasting:]):
            self._undo(change, names, olds)
        for path in dict.fromkeys((*self._names, *names)):
            self._settle(path, names.get(path), olds, target, chance)

    def close(self) -> None:
        """Lets go of what a dead runtime left open, as its system would. The database's files are its connection's."""
        kept = {self._names[path] for path in self._names if path.name in DATABASE}
        for file, node in self._open.items():
            with contextlib.suppress(OSError):
                if node not in kept and _place(file) == node.place:
                    os.close(file)

    def inherit(self, before: LossyFiles) -> None:
        """The machine went on: what was not synced then is not synced yet."""

        def moved(path: Path) -> Path:
            return self.root / path.relative_to(before.root)

        self._names = {moved(path): node for path, node in before._names.items() if path.name not in UNKEPT}
        self._changes = [
            replace(
                change,
                folders=frozenset(map(moved, change.folders)),
                old=change.old and moved(change.old),
                new=change.new and moved(change.new),
            )
            for change in before._changes
        ]

    def _undo(self, change: _Change, names: dict[Path, _Node], olds: dict[Path, bytes]) -> None:
        if change.new is not None and names.get(change.new) is change.node:
            del names[change.new]
            if change.over is not None:
                names[change.new], olds[change.new] = change.over
        if change.old is not None:
            names[change.old] = change.node

    def _settle(self, path: Path, node: _Node | None, olds: dict[Path, bytes], target: Path, chance: Random) -> None:
        """What of one name is there afterwards."""
        there = target / path.relative_to(self.root)
        if node is None:
            there.unlink(missing_ok=True)
            return
        if path.name in (*DATABASE, *UNKEPT):
            return
        now = next((place for place, named in self._names.items() if named is node), None)
        written = olds[path] if path in olds else now.read_bytes() if now is not None and now.exists() else b""
        written += node.ghost if chance.random() < 0.5 else b""
        kept = min(node.synced, len(written))
        torn = chance.randint(kept, len(written)) if chance.random() < 0.7 else kept
        if torn < len(written) or now != path or path in olds:
            there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            hole = bytes(min(len(written) - torn, 64)) if chance.random() < 0.15 else b""  # given, and never written
            there.write_bytes(written[:torn] + hole)


def _place(file: int) -> tuple[int, int]:
    about = os.fstat(file)
    return about.st_dev, about.st_ino
