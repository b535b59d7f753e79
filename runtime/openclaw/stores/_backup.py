"""A state folder as one file, taken while a runtime writes to it, and made a state folder again.

Law: what a backup holds is what a crash might have left. The rows are copied first, as they are at one moment, and the
transcripts after them: so a transcript may know more than the rows, as after a crash just before a message is settled,
and never less. What was open then may have been answered since, so its reply comes marked as repeated. A backup is
whole or it is not there; a state folder that was restored is, too. Each file is known by its hash. What stands for this
machine alone (locks, sockets, commands that run) or is made anew (the index) is left out: whoever starts on a copy must
not take the commands of the original for what a killed runtime left.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

from openclaw import __version__
from openclaw.errors import OpenClawError, StateError, StateTooNew
from openclaw.stores import _codec as codec
from openclaw.stores._aside import MARK
from openclaw.stores._files import Files
from openclaw.stores._lock import Lock
from openclaw.stores._schema import MARKS_RESTORED, VERSION

FORMAT = 1
MANIFEST = "openclaw-backup.json"  # the last of the archive, so one that was cut off has none
ROWS = "runtime.db"
_RUNNING = "running"
_OURS = frozenset({"lock", "reserve", "probe", "control.sock", "search.db", _RUNNING, ROWS, MANIFEST})
_BESIDE = ("-wal", "-shm", "-journal", ".new")
_ODD = (ValueError, OverflowError, RecursionError, MemoryError)  # of sizes, names and times that nobody wrote so
_CONFLICT = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR)  # of two members that want one place
_PIECE = 1 << 20
_LARGEST_MANIFEST = 256 << 20  # bytes; it names more than a million files


@dataclass(slots=True)
class Told:
    """What came of it: how many files and bytes, and what a person should know."""

    files: int = 0
    size: int = 0
    notes: list[str] = field(default_factory=list)
    whole: bool = True  # False where something could not be read


# ── taking one ───────────────────────────────────────────────────────────────────────────────────


def backup(state: Path, target: Path, now: datetime) -> Told:
    """`target` must not exist yet. Raises OpenClawError, and leaves nothing behind. What cannot be read is told, and is
    not in it: one file in a workspace must not keep all else from being saved."""
    try:
        return _backup(state, target, now)
    except OSError as error:
        raise OpenClawError(f"{target} cannot be written ({error.strerror or error})") from error


def _backup(state: Path, target: Path, now: datetime) -> Told:
    if not (state / ROWS).is_file():
        raise StateError(f"there is nothing to back up: no runtime has used the state folder {state}")
    if target.exists():
        raise OpenClawError(f"{target} exists already; choose another name")
    if not target.parent.is_dir():
        raise OpenClawError(f"there is no folder {target.parent}")
    if target.parent.resolve().is_relative_to(state.resolve()):
        raise OpenClawError(f"{target} lies in the state folder itself; choose a place outside")
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as beside:
        made = Path(beside) / "backup"
        told = _written(state, made, Path(beside) / ROWS, now)
        try:
            os.link(made, target)  # unlike a rename it never takes the place of another
        except FileExistsError:
            raise OpenClawError(f"{target} exists already; choose another name") from None
    Files().sync_folder(target.parent)
    return told


def _written(state: Path, made: Path, rows: Path, now: datetime) -> Told:
    told, files = Told(), {}
    with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=3, format=tarfile.PAX_FORMAT) as tar:
            _copy_rows(state / ROWS, rows, told)
            files[ROWS] = _add(tar, rows, ROWS, state, told)
            for path in _within(state, state, told):
                name = path.relative_to(state).as_posix()
                with suppress(FileNotFoundError):  # put aside or deleted meanwhile
                    files[name] = _add(tar, path, name, state, told)
            _add_manifest(tar, files, now)
        file.flush()
        os.fsync(file.fileno())
    return told


def _copy_rows(source: Path, target: Path, told: Told) -> None:
    """One moment of the database, without holding up whoever writes to it."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as db,
            closing(sqlite3.connect(target)) as copy,
        ):
            db.backup(copy, pages=-1)
            if not _sound(copy):
                told.notes.append(f"{ROWS} is damaged, so this backup cannot be restored as it is")
                told.whole = False
    except sqlite3.Error as error:
        raise StateError(f"{source} cannot be copied ({error})") from error


def _sound(copy: sqlite3.Connection) -> bool:
    try:
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        return bool(copy.execute("PRAGMA quick_check").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _within(folder: Path, state: Path, told: Told) -> Iterator[Path]:
    """Transcripts before what is put aside, so that one that moves meanwhile is in one of the two places."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.is_dir(follow_symlinks=False), entry.name) for entry in entries)
    except PermissionError as error:
        _leave_out(folder.relative_to(state).as_posix(), error, told)
        return
    for is_folder, name in found:
        if folder == state and (name in _OURS or name.endswith(_BESIDE) or name.startswith(ROWS + MARK)):
            continue
        yield folder / name
        if is_folder:
            with suppress(FileNotFoundError):
                yield from _within(folder / name, state, told)


def _leave_out(name: str, error: OSError, told: Told) -> None:
    told.notes.append(f"{name} cannot be read ({error.strerror}), and was left out")
    told.whole = False


def _add(tar: tarfile.TarFile, path: Path, name: str, state: Path, told: Told) -> Mapping[str, Any]:
    try:
        about = path.lstat()
    except PermissionError as error:  # in a folder that can be listed and not entered
        _leave_out(name, error, told)
        return {"type": "nothing"}
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(about.st_mode) & 0o700, about.st_mtime
    if stat.S_ISDIR(about.st_mode):
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
        return {"type": "folder"}
    if stat.S_ISLNK(about.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        if not (_stays(name, member.linkname) and _ends_within(state, path)):
            told.notes.append(f"{name} is a link to somewhere else, and was left out")
            return {"type": "nothing"}
        tar.addfile(member)
        return {"type": "link", "to": member.linkname}
    if not stat.S_ISREG(about.st_mode):
        return {"type": "nothing"}
    try:
        file = path.open("rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        _leave_out(name, error, told)
        return {"type": "nothing"}
    with file:
        member.size = _end(file, lines=name.startswith(("sessions/", "logs/")) and name.endswith(".jsonl"))
        read = _Reading(file, member.size)
        tar.addfile(member, read)
    if read.lacking:
        why = "became shorter while it was read" if read.error is None else f"cannot be read whole ({read.error})"
        told.notes.append(f"{name} {why}; its end is filled up with zeros")
        told.whole = told.whole and read.error is None
    told.files, told.size = told.files + 1, told.size + member.size
    return {"type": "file", "size": member.size, "sha256": read.hash.hexdigest()}


def _stays(name: str, link: str) -> bool:
    """Whether a link at `name` leads to something within the folder."""
    where = os.path.normpath(os.path.join(os.path.dirname(name), link))  # noqa: PTH118, PTH120 - no file is asked
    return not (os.path.isabs(link) or where.startswith(".."))  # noqa: PTH117


def _ends_within(folder: Path, link: Path) -> bool:
    """Whether it does so on this disk, where its way may lead through other links."""
    return Path(os.path.realpath(link)).is_relative_to(os.path.realpath(folder))  # unlike `resolve`, ends in a loop


def _end(file: IO[bytes], *, lines: bool) -> int:
    """How much of it to take: all that is there now, of a file of lines only the whole ones."""
    end = os.fstat(file.fileno()).st_size
    place = end
    while lines and place > 0:
        start = max(place - _PIECE, 0)
        file.seek(start)
        found = file.read(place - start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        place = start
    file.seek(0)
    return end if place > 0 or not lines else 0


class _Reading(io.RawIOBase):
    """So many bytes of a file, hashed as they are read."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._rest = size
        self.hash = hashlib.sha256()
        self.lacking = 0
        self.error: str | None = None

    def read(self, size: int = -1) -> bytes:
        wanted = self._rest if size < 0 else min(size, self._rest)
        try:
            piece = self._file.read(wanted)
        except OSError as error:  # of a disk that is about to die: the rest of the folder is worth the more
            piece, self.error = b"", error.strerror
        if len(piece) < wanted:
            self.lacking += wanted - len(piece)
            piece += bytes(wanted - len(piece))
        self._rest -= wanted
        self.hash.update(piece)
        return piece


def _add_manifest(tar: tarfile.TarFile, files: Mapping[str, Mapping[str, Any]], now: datetime) -> None:
    told = {"format": FORMAT, "version": __version__, "schema": VERSION, "at": codec.time_text(now), "files": files}
    content = json.dumps(told, indent=1, ensure_ascii=True).encode()
    member = tarfile.TarInfo(MANIFEST)
    member.size, member.mode = len(content), 0o600
    tar.addfile(member, io.BytesIO(content))


# ── making one a state folder again ──────────────────────────────────────────────────────────────


def restore(archive: Path, state: Path, now: datetime, *, force: bool = False) -> Told:
    """Raises OpenClawError, and leaves the state folder as it was. With `force` an old one is put beside."""
    if not archive.is_file():
        raise OpenClawError(f"there is no backup {archive}")
    try:
        return _restore(archive, state.resolve(), now, force=force)  # a link stays one, and what it names is filled
    except OSError as error:
        raise OpenClawError(f"{archive} cannot be restored to {state} ({error.strerror or error})") from error


def _restore(archive: Path, state: Path, now: datetime, *, force: bool) -> Told:
    lock = Lock(state, Files())
    lock.take()  # makes the folder; raises StateLocked where a runtime uses it
    try:
        used = [path.name for path in state.iterdir() if path.name not in ("lock", "reserve")]
        mount = state.is_mount()
        if used and (mount or not force):
            cure = "empty it first" if mount else "choose another with --state, or set this one aside with --force"
            raise StateError(f"the state folder {state} is not empty; {cure}")
        with tempfile.TemporaryDirectory(
            prefix=".restoring-", dir=state if mount else state.parent, ignore_cleanup_errors=True
        ) as beside:
            staged = Path(beside) / "state"
            told = _staged(archive, staged)
            if mount:
                _move_in(staged, state)
            else:
                told.notes += _take_place(staged, state, now, aside=bool(used))
        Files().sync_folder(state if mount else state.parent)
        return told
    finally:
        lock.release()


def _staged(archive: Path, staged: Path) -> Told:
    staged.mkdir(mode=0o700)
    try:
        found, manifest = _extracted(archive, staged)
    except (tarfile.TarError, EOFError, zlib.error, OSError, *_ODD) as error:
        if isinstance(error, OSError) and error.errno not in (None, *_CONFLICT):
            raise
        raise OpenClawError(f"{archive} is damaged, or no backup ({error}); nothing was restored") from error
    _check(archive, found, manifest)
    _check_rows(staged / ROWS)
    _leave_commands(staged / _RUNNING)
    for path in [staged, *staged.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            Files().sync_folder(path)
    files = [entry for entry in found.values() if entry["type"] == "file"]
    return Told(len(files), sum(entry["size"] for entry in files))


def _extracted(archive: Path, staged: Path) -> tuple[dict[str, Mapping[str, Any]], Any]:
    """What is in it, file by file, into an empty folder; links last, so that nothing is written through one."""
    found: dict[str, Mapping[str, Any]] = {}
    links: dict[str, str] = {}
    manifest: Any = None
    with gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        for member in tar:
            name = _safe(archive, member.name)
            if manifest is not None or name in found:
                raise OpenClawError(f"{archive} holds `{name}` where none should be; nothing was restored")
            if name == MANIFEST:
                content = tar.extractfile(member) if member.size <= _LARGEST_MANIFEST else None
                manifest = json.loads(content.read() if content else b"")
            elif member.isdir():
                (staged / name).mkdir(mode=0o700, parents=True, exist_ok=True)
                found[name] = {"type": "folder"}
            elif member.issym() and _stays(name, member.linkname):
                links[name] = member.linkname
                found[name] = {"type": "link", "to": member.linkname}
            elif member.isreg():
                found[name] = _extract(tar, member, staged / name)
            else:
                raise OpenClawError(f"{archive} holds `{name}`, which is no file or folder; nothing was restored")
        while packed.read(_PIECE):  # to the sum at its end, which says whether each bit is as it was
            pass
    _link(archive, staged, links, found)
    return found, manifest


def _link(archive: Path, staged: Path, links: Mapping[str, str], found: Iterable[str]) -> None:
    """Links are made where all members are known, so that none is made through another."""
    through = next((name for name in found if any(str(above) in links for above in PurePosixPath(name).parents)), None)
    if through is not None:
        raise OpenClawError(f"{archive} holds `{through}` behind a link; nothing was restored")
    for name, link in links.items():
        (staged / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (staged / name).symlink_to(link)
    away = next((name for name in links if not _ends_within(staged, staged / name)), None)
    if away is not None:
        raise OpenClawError(f"{archive} holds `{away}`, a link that leads out of the folder; nothing was restored")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> Mapping[str, Any]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = tar.extractfile(member)
    assert content is not None
    digest, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 | member.mode & 0o700), "wb") as file:
        while piece := content.read(_PIECE):
            digest.update(piece)
            size += file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    os.utime(path, (member.mtime, member.mtime))
    return {"type": "file", "size": size, "sha256": digest.hexdigest()}


def _safe(archive: Path, name: str) -> str:
    """A path below the folder, whatever the archive says."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name or not path.parts:
        raise OpenClawError(f"{archive} holds `{name}`, which lies outside a state folder; nothing was restored")
    return path.as_posix()


def _check(archive: Path, found: Mapping[str, Any], manifest: Any) -> None:
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(one, dict) for one in files.values()):
        raise OpenClawError(f"{archive} ends before its end, or is no backup; nothing was restored")
    if manifest.get("format") != FORMAT:
        raise StateTooNew(
            f"{archive} was made by a newer version ({manifest.get('version')}); nothing was restored: use that one"
        )
    listed = {name: entry for name, entry in files.items() if entry.get("type") != "nothing"}
    wrong = sorted(name for name in {**listed, **found} if listed.get(name) != found.get(name))
    if wrong:
        raise OpenClawError(f"{archive} is damaged: {wrong[0]} is not as it was; nothing was restored")


def _check_rows(rows: Path) -> None:
    if not rows.is_file():
        raise OpenClawError("the backup holds no runtime.db; nothing was restored")
    try:
        with closing(sqlite3.connect(rows, isolation_level=None)) as db:
            _judge_rows(db)
    except sqlite3.Error as error:
        raise OpenClawError(f"the runtime.db of the backup is damaged ({error}); nothing was restored") from error


def _judge_rows(db: sqlite3.Connection) -> None:
    found = int(db.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise StateTooNew(f"the backup was made by a newer version (schema {found}, this one knows {VERSION})")
    if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise OpenClawError("the runtime.db of the backup is damaged; nothing was restored")
    # What waited to be sent or answered then may have been since: whoever gets it should know.
    db.execute("UPDATE outbox SET reply = json_set(reply, '$.repeated', json('true')) WHERE state = 'due'")
    if found >= MARKS_RESTORED:
        db.execute("UPDATE inbox SET restored = 1 WHERE settled IS NULL")


def _leave_commands(records: Path) -> None:
    """Those of the runtime that was copied, which may run on this machine still; an older backup holds them."""
    if records.is_dir() and not records.is_symlink():
        shutil.rmtree(records)
    else:
        records.unlink(missing_ok=True)


def _take_place(staged: Path, state: Path, now: datetime, *, aside: bool) -> list[str]:
    """One rename, or two; whoever started meanwhile would have a folder that is not empty, and it fails."""
    if aside:
        old = state.with_name(f"{state.name}.before-{now.strftime('%Y%m%dT%H%M%SZ')}")
        if old.exists():
            raise StateError(f"{old} exists already; move it away, or wait a second")
        state.rename(old)
        staged.rename(state)
        return [f"the state folder that was there is now {old}"]
    for name in ("lock", "reserve"):
        (state / name).unlink(missing_ok=True)
    staged.rename(state)
    return []


def _move_in(staged: Path, state: Path) -> None:
    """Into a folder that cannot be replaced. The rows come last: without them nothing is taken for a state folder."""
    for path in sorted(staged.iterdir(), key=lambda path: path.name == ROWS):
        shutil.move(path, state / path.name)
