"""What the doctor looks at of the machine itself: Python and its packages, the user, the clock and the disk.

Looks and changes nothing. Knows no project and no runtime.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shlex import quote

import openclaw
from openclaw.cli._doctor_finding import Finding, size

_FULL, _LOW = 64 * 2**20, 2**30  # bytes that are left on a disk: below the first it is as good as full
_FEW_FILES = 10_000  # that can still be made
_NEWEST = 2200  # a clock beyond it is wrong, as one is that lies before this program was written
_UNSYNCHRONISED = 0x0040  # STA_UNSYNC of adjtimex(2)
_FORBID = (  # settings of kernels, the value with which users make no namespaces, and one with which they do
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)
_REQUIRED = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?")
_SPELT = re.compile(r"([A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[-+]?\d.*")  # a zone by its offset
_BOUND = re.compile(r"(>=|<=|<|>|==|!=|~=)\s*([0-9][\w.*]*)")


# ── Python ───────────────────────────────────────────────────────────────────────────────────────


def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python", "ok", f"{version} at {sys.executable}")


def packages() -> Finding:
    """This program, and whether what it needs is installed in versions that it was made for."""
    from importlib.metadata import PackageNotFoundError, requires, version

    about, own = "packages", f"openclaw {openclaw.__version__}"
    try:
        wanted = requires("openclaw-runtime") or []
    except PackageNotFoundError:
        return Finding(about, "ok", f"{own}, run from its source at {Path(openclaw.__file__).parent}")
    needed = dict(_needed(wanted))
    amiss = []
    for name, bounds in needed.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            amiss.append((name, bounds, "is missing"))
            continue
        if not within(found, bounds):
            amiss.append((name, bounds, f"{found} is not {bounds}"))
    if amiss:
        cure = f"{quote(sys.executable)} -m pip install " + " ".join(f"'{name}{bounds}'" for name, bounds, _ in amiss)
        return Finding(about, "problem", f"{own}; " + "; ".join(f"{name} {why}" for name, _, why in amiss), cure)
    return Finding(about, "ok", f"{own} with the {len(needed)} packages that it needs")


def _needed(requirements: list[str]) -> Iterator[tuple[str, str]]:
    for text in requirements:
        found = _REQUIRED.match(text)
        if found and "extra" not in (found[3] or ""):
            yield found[1], found[2].replace(" ", "")


def within(version: str, bounds: str) -> bool:
    """Whether a version keeps to bounds such as `>=2.12,<3`; what is not understood admits every one."""
    have = _numbers(version)
    for sign, text in _BOUND.findall(bounds):
        bound = _numbers(text)
        width = max(len(have), len(bound))
        left, right = (each + (0,) * (width - len(each)) for each in (have, bound))
        kept = {">=": left >= right, "<=": left <= right, "<": left < right, ">": left > right}
        if not kept.get(sign, True):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


# ── the user ─────────────────────────────────────────────────────────────────────────────────────


def user() -> Finding:
    if os.geteuid() == 0:
        found = "root: Python tools may do anything to this machine"
        return Finding("user", "warning", found, "run it as a user of its own")
    return Finding("user", "ok", f"uid {os.geteuid()}")


# ── the clock ────────────────────────────────────────────────────────────────────────────────────


def clock(now: datetime, environment: Mapping[str, str], synchronised: bool | None = None) -> Finding:
    """`synchronised`: whether something keeps the clock right; None where nobody can tell."""
    written = datetime.fromtimestamp(Path(openclaw.__file__).stat().st_mtime, UTC)
    said = f"{now:%Y-%m-%d %H:%M} UTC"
    if now < written - timedelta(days=1) or now.year > _NEWEST:
        found = f"{said}, which cannot be: this program was installed on {written:%Y-%m-%d}"
        return Finding("clock", "problem", found, "set the clock (timedatectl set-ntp true): heartbeats go by it")
    zone = (environment["TZ"] or "UTC") if "TZ" in environment else _zone_of(Path("/etc/localtime"))
    if not _known(zone):
        cure = "set TZ to an IANA name such as Europe/London, or unset it"
        return Finding("clock", "warning", f"{said}, and the zone {zone} is not known", cure)
    here = f"{said}, here {_local(now, zone)}" if zone else said
    if synchronised is False:
        cure = "timedatectl set-ntp true, or install chrony: heartbeats go by it"
        return Finding("clock", "warning", f"{here}; the kernel says that nothing keeps it right", cure)
    return Finding("clock", "ok", here)


def synchronised() -> bool | None:
    """What Linux says of its clock, whatever program keeps it; None elsewhere."""
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    timex = ctypes.create_string_buffer(512)  # struct timex, with modes = 0: only read
    try:
        if ctypes.CDLL(None, use_errno=True).adjtimex(timex) < 0:
            return None
    except (OSError, AttributeError):
        return None
    long = ctypes.sizeof(ctypes.c_long)
    status = int.from_bytes(
        timex.raw[5 * long : 5 * long + 4], sys.byteorder
    )  # modes, offset, freq, maxerror, esterror
    return not status & _UNSYNCHRONISED


def _zone_of(link: Path) -> str:
    """The zone that the machine is set to; "" where it does not say."""
    _, found, name = os.path.realpath(link).partition("/zoneinfo/")
    return name if found else ""


def _known(zone: str) -> bool:
    from zoneinfo import ZoneInfo

    name = zone.removeprefix(":")
    if not name or name.startswith("/") or name.upper() in ("UTC", "GMT") or _SPELT.fullmatch(zone):
        return True  # the C library's own spellings, which mean something to it
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        return False
    return True


def _local(now: datetime, zone: str) -> str:
    return f"{now.astimezone():%H:%M} ({zone})"


# ── the disk ─────────────────────────────────────────────────────────────────────────────────────


def disk(folder: Path) -> Finding:
    """What is left where a folder is, or would come to be."""
    try:
        place = nearest(folder)
        usage, files = shutil.disk_usage(place), os.statvfs(place)
    except OSError as error:
        found = f"what is left at {folder} cannot be told: {(error.strerror or str(error)).lower()}"
        return Finding("disk", "warning", found, "ask as the user of the runtime")
    found = f"{size(usage.free)} of {size(usage.total)} free at {place}"
    if usage.free < _LOW:
        cure = "free some space: on a full disk nothing new is taken in"
        return Finding("disk", "problem" if usage.free < _FULL else "warning", found, cure)
    if files.f_files and files.f_favail < _FEW_FILES:
        cure = "delete files: on a disk without inodes nothing new is taken in"
        return Finding("disk", "warning", f"{found}, but room for {files.f_favail:,} more files only", cure)
    return Finding("disk", "ok", found)


def nearest(path: Path) -> Path:
    """What is there of a path: itself, or the first of its parents. Raises OSError where nobody may look."""
    for each in (path, *path.parents):
        try:
            each.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return each
    return Path(path.anchor)


# ── namespaces ───────────────────────────────────────────────────────────────────────────────────


def freed(settings: Path = Path("/proc/sys")) -> str:
    """What lets a bubblewrap that is installed, and fails, make its namespaces."""
    for name, forbids, free in _FORBID:
        try:
            value = settings.joinpath(*name.split(".")).read_text("ascii").strip()
        except OSError:
            continue
        if value == forbids:
            return f"sudo sysctl -w {name}={free}"
    return "let this process make namespaces: a container's filter or the unit it runs in forbids it"
