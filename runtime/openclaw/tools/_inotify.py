"""Tells which files of watched folders were touched, exactly and at once: Linux's inotify, asked when somebody looks.

The kernel queues an event in the very call that changes a file, so that whoever asks afterwards is told. It does not
hear of changes made on another machine (which is why network file systems are not watched), through a second name of
the file in another folder, of the making of such a name, or of what is written to mapped memory; whoever watches has
to check for those himself.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path

_MODIFY, _ATTRIB, _WRITTEN, _FROM, _TO, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0x40, 0x80, 0x100, 0x200
_GONE, _MOVED, _UNMOUNT = 0x400, 0x800, 0x2000  # the folder itself
_OVERFLOW, _IGNORED, _FOLDER = 0x4000, 0x8000, 0x40000000
_ONLY_PLAIN_FOLDERS = 0x01000000 | 0x02000000  # no links
_WANTED = _MODIFY | _ATTRIB | _WRITTEN | _FROM | _TO | _CREATE | _DELETE | _GONE | _MOVED | _ONLY_PLAIN_FOLDERS
_EVENT = struct.Struct("iIII")
# Those that report all that is done to them by programs of this machine.
_LOCAL = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "zfs", "bcachefs", "overlay", "jfs"))


class Unwatchable(Exception):
    """These folders cannot be watched; the text says why."""


@dataclass(slots=True)
class Touched:
    """What happened since the last time: paths relative to the root. `lost`: all must be looked at anew."""

    files: set[bytes] = field(default_factory=set)
    folders: set[bytes] = field(default_factory=set)  # that are new
    lost: bool = False


class Inotify:
    """Watches the folders it is told of, one by one. Not for several threads at a time."""

    def __init__(self, root: str) -> None:
        if not sys.platform.startswith("linux"):
            raise Unwatchable("this system has no inotify")
        kind = file_system(root)
        if kind not in _LOCAL:
            raise Unwatchable(f"a file system of the type {kind or '(unknown)'} does not report every change")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._root = os.fsencode(root)
        self._paths: dict[int, bytes] = {}
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def close(self) -> None:
        if self._fd != -1:
            os.close(self._fd)
            self._fd = -1

    def add(self, folder: str) -> None:
        """`folder` is relative to the root, "" the root. A folder below that is gone meanwhile is no matter."""
        path = os.fsencode(folder)
        whole = _below(self._root, path)
        try:
            number = self._checked(self._libc.inotify_add_watch(self._fd, whole, _WANTED))
        except OSError as error:
            if folder and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                return
            if error.errno == errno.ENOENT:
                raise
            cure = " (see sysctl fs.inotify.max_user_watches)" if error.errno == errno.ENOSPC else ""
            raise Unwatchable(f"the system gives no more watches{cure}: {error.strerror}") from error
        self._paths[number] = path

    def touched(self) -> Touched:
        """All that happened before this call."""
        found = Touched()
        while True:
            try:
                events = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return found
            at = 0
            while at < len(events):
                number, mask, _, length = _EVENT.unpack_from(events, at)
                name = events[at + _EVENT.size : at + _EVENT.size + length].rstrip(b"\0")
                at += _EVENT.size + length
                self._note(found, number, mask, name)

    def _note(self, found: Touched, number: int, mask: int, name: bytes) -> None:
        path = self._paths.get(number)
        if mask & _IGNORED:
            self._paths.pop(number, None)
        elif path is None or mask & (_OVERFLOW | _UNMOUNT | _MOVED) or (mask & _GONE and not path):
            found.lost = True
        elif mask & _FOLDER:
            # What was in a folder that is deleted was deleted before it, each with its own event.
            found.lost = found.lost or bool(mask & _FROM)
            if mask & (_CREATE | _TO | _ATTRIB):
                found.folders.add(_below(path, name))
        elif name:
            found.files.add(_below(path, name))

    def _checked(self, result: int) -> int:
        if result == -1:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _below(folder: bytes, name: bytes) -> bytes:
    return b"/".join(filter(None, (folder, name)))


def file_system(path: str) -> str:
    """The type of the file system that a folder is on; "" where that cannot be told."""
    real, best, kind = os.path.realpath(path), "", ""
    try:
        lines = Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        mount = fields.split(" ")[4].encode().decode("unicode_escape")
        if len(mount) >= len(best) and f"{real}/".startswith(f"{mount.rstrip('/')}/"):
            best, kind = mount, rest.split(" ")[0]
    return kind
