"""The command line of bubblewrap for one program: what it sees of this machine, and what of that it may write.

The law: nothing is there that is not listed here. The system is read-only; /proc, /dev and /tmp are fresh; the
home folder is not mounted; the workspace can be written only by what a person agreed to; what is protected in it
is hidden, or kept as it is, under every name. Text in, text out: starts nothing and looks at nothing but the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openclaw.tools._sandbox_masks import Masks
from openclaw.tools._sandbox_unmade import is_folder
from openclaw.words import Confinement

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store", "/gnu/store")
ETC = (
    "alternatives", "ca-certificates", "ca-certificates.conf", "debian_version", "fonts", "gitconfig", "group",
    "host.conf", "hosts", "inputrc", "issue", "java-17-openjdk", "ld.so.cache", "ld.so.conf", "ld.so.conf.d",
    "locale.alias", "localtime", "lsb-release", "machine-info", "magic", "mime.types", "networks", "nsswitch.conf",
    "os-release", "passwd", "perl", "pki", "protocols", "python3", "python3.11", "resolv.conf", "rpc", "services",
    "shells", "ssl", "terminfo", "timezone",
)  # fmt: skip
"""What programs need of /etc. No shadow, no sudoers, no ssh, no machine-id, nothing of services."""

_SMALL = 256 * 2**20  # bytes that may lie in the fresh /tmp
_FRESH = ("/proc", "/dev")


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """`folder` holds a copy of what programs need of /etc, and a file and a folder that are empty; see `prepare`."""

    program: str
    folder: Path
    limits: tuple[str, ...] = ()  # a command line that sets limits and then runs what follows it

    def argv(
        self, confinement: Confinement, masks: Masks, cwd: Path, argv: Sequence[str], program: str, tmp: Path | None
    ) -> list[str]:
        """`tmp`: a folder to use for /tmp, where programs of one command line share theirs."""
        return [
            self.program,
            "--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            *(() if confinement.network else ("--unshare-net",)),
            "--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--new-session",
            *self._machine(confinement),
            *(("--bind", str(tmp), "/tmp") if tmp else ("--size", str(_SMALL), "--tmpfs", "/tmp")),
            *self._program(program),
            *_workspace(confinement, masks, self.folder),
            "--chdir", str(cwd),
            *self._command(argv, program),
        ]  # fmt: skip

    def _machine(self, confinement: Confinement) -> Iterator[str]:
        for place in SYSTEM:
            path = Path(place)
            if path.is_symlink():
                yield from ("--symlink", str(path.readlink()), place)
            elif path.is_dir():
                yield from ("--ro-bind", place, place)
        etc = "/etc" if any(map(self._lacks, confinement.shown)) else str(self.folder / "etc")
        yield from ("--ro-bind", etc, "/etc", "--proc", "/proc", "--dev", "/dev")
        if confinement.network and etc != "/etc":  # names are looked up where the machine looks them up now
            yield from ("--ro-bind-try", os.path.realpath("/etc/resolv.conf"), "/etc/resolv.conf")

    def _lacks(self, path: Path) -> bool:
        """Whether it is a part of /etc that programs do not need, and that whoever agreed has read of."""
        return path.is_relative_to("/etc") and not (self.folder / str(path).lstrip("/")).exists()

    def _program(self, program: str) -> Iterator[str]:
        if not _of_system(program):
            yield from ("--ro-bind", program, program)

    def _command(self, argv: Sequence[str], program: str) -> Iterator[str]:
        """The judged file, by its judged name where that is sought inside exactly as it was outside: programs that
        go by several names look at the one they are called by, and only root can change what it means."""
        named = argv[0] if "/" not in argv[0] and _of_system(program) else program
        yield from ("--", *self.limits, named, *argv[1:])


def _of_system(program: str) -> bool:
    return program.startswith(tuple(f"{place}/" for place in SYSTEM))


def _workspace(confinement: Confinement, masks: Masks, folder: Path) -> Iterator[str]:
    workspace = confinement.workspace
    outside = [path for path in confinement.shown if not path.is_relative_to(workspace)]
    for path in sorted(outside, key=lambda each: len(each.parts)):
        if _worth_showing(path):
            yield from ("--ro-bind", str(path), str(path))
    yield from ("--bind" if confinement.writable else "--ro-bind", str(workspace), str(workspace))
    for path in masks.pinned:  # what is gone since it was found needs nothing, and would be made
        yield from ("--bind-try", str(path), str(path))
    for path in masks.kept:
        yield from ("--ro-bind-try", str(path), str(path))
    for path in filter(os.path.lexists, masks.hidden):
        yield from ("--ro-bind", str(folder / ("nothing" if is_folder(path) else "empty")), str(path))
    for path in masks.unmade:
        # Half as dear as binding a folder; what a program forces into it is gone with it.
        yield from ("--perms", "0555", "--size", "4096", "--tmpfs", str(path))


def _worth_showing(path: Path) -> bool:
    """Not the root, nothing that is made fresh, nothing that is there anyway, and nothing that does not exist."""
    there = any(path.is_relative_to(place) for place in (*_FRESH, *SYSTEM, "/etc"))
    return len(path.parts) > 1 and not there and os.path.lexists(path)


def prepare(folder: Path) -> None:
    """Copies what programs need of /etc: one mount instead of forty. Raises OSError."""
    etc = folder / "etc"
    etc.mkdir(parents=True)
    # What is hidden is empty rather than forbidden: programs that walk through the workspace do not stumble over it.
    (folder / "empty").touch(0o444)
    (folder / "nothing").mkdir(0o555)
    for name in ETC:
        source = Path("/etc", name)
        with suppress(OSError, shutil.Error):  # a file that is not ours to read is not the program's either
            if source.is_dir():
                shutil.copytree(source, etc / name, symlinks=True, ignore=shutil.ignore_patterns("private"))
            elif name == "localtime":
                (etc / name).symlink_to(source.readlink())  # programs learn the zone's name from it
            elif source.exists():
                shutil.copyfile(source, etc / name)


def limits(found: Mapping[str, str | None], wanted: Iterable[tuple[str, int]]) -> tuple[str, ...]:
    """The command line that sets limits inside, where `prlimit` is installed: outside, they would bind bubblewrap."""
    prlimit = found.get("prlimit")
    return () if prlimit is None else (prlimit, *(f"--{name}={value}:{value}" for name, value in wanted), "--")
