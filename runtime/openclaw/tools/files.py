"""Tools of kind `files`: read_file, write_file, edit_file and list_files, inside the call's workspace.

The law: nothing outside the workspace is touched, no link is followed, and a file changes whole or not
at all (openclaw/beneath.py does the opening). Rules decided already; the few names that no agent ever
writes are refused here as well, so that a mistake above does not reach the disk. What was struck out of a
text before a model saw it is not written back over what it stood for.

Knows nothing of policies, agents or sessions.
"""

from __future__ import annotations

import asyncio
import difflib
import fnmatch
import os
import re
import stat
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from openclaw.beneath import folder, names_in, parts_of, read_all, reading, replace
from openclaw.clock import Clock
from openclaw.errors import ToolError
from openclaw.messages import Call, ToolResult, ToolSpec
from openclaw.output import LARGEST, LIMIT
from openclaw.permissions.paths import protected
from openclaw.ports import Place
from openclaw.secrecy import SECRETS, STRUCK

LINES = 2_000  # shown by one read_file, if they fit
LISTED = 500  # names shown by one list_files
VISITED = 50_000  # names looked at by one list_files
DEEPEST = 40  # folders below one another
_PASSED_OVER = frozenset({".git", ".hg", ".svn", ".openclaw", ".venv", "node_modules", "__pycache__"})
_OURS = frozenset({".git", ".openclaw"})  # never written, whatever lies below
_IMAGES = {b"\x89PNG\r\n": "PNG", b"\xff\xd8\xff": "JPEG", b"GIF8": "GIF", b"BM": "BMP"}

_WORD = re.compile(r"\w+")

# Two sessions may share a workspace: reading a file, changing it and writing it back is one step.
_writing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Spot:
    """A path as asked for: the workspace, the parts below it, and how it is shown."""

    root: Path
    parts: tuple[str, ...]

    @property
    def shown(self) -> str:
        return "/".join(self.parts) or "."

    @property
    def name(self) -> str:
        return self.parts[-1]


class Tools:
    """All four; every one of them runs in a thread and ends in text."""

    def __init__(self, specs: Mapping[str, ToolSpec], place: Place, clock: Clock) -> None:
        self._specs = specs

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def run(self, name: str, input: Mapping[str, Any], call: Call) -> ToolResult:
        return await asyncio.to_thread(_answer, _ANSWERS[name], input, call)


def _answer(answer: Callable[[Spot, Mapping[str, Any]], str], input: Mapping[str, Any], call: Call) -> ToolResult:
    path = input.get("path") or "."
    try:
        call.workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
        spot = Spot(call.workspace, parts_of(path, call.workspace))
        try:
            return ToolResult(answer(spot, input))
        except FileNotFoundError:
            raise ToolError(_missing(spot)) from None
    except ToolError as error:
        return ToolResult(str(error), is_error=True)
    except OSError as error:
        words = (error.strerror or "input or output failed").lower()
        return ToolResult(f"`{path}`: {words}", is_error=True)


# ── read_file ────────────────────────────────────────────────────────────────────────────────────


def _read(spot: Spot, input: Mapping[str, Any]) -> str:
    lines = _text(_content(spot), spot).split("\n")
    if lines[-1] == "":
        lines.pop()
    first = max(int(input.get("offset") or 1), 1)
    if not lines:
        return f"[`{spot.shown}` is empty]"
    if first > len(lines):
        raise ToolError(f"`{spot.shown}` has {len(lines):,} lines; offset {first:,} is beyond its end")
    shown = _page(lines[first - 1 :], max(1, min(int(input.get("limit") or LINES), LINES)))
    last = first + len(shown) - 1
    text = "\n".join(shown)
    if first == 1 and last == len(lines):
        return text
    more = f"; go on with offset {last + 1}" if last < len(lines) else ""
    return f"{text}\n[lines {first:,} to {last:,} of {len(lines):,}{more}]"


def _page(lines: Sequence[str], most: int) -> list[str]:
    """As many lines as a result holds: at least one, and that one cut if it alone is too long."""
    page: list[str] = []
    room = LIMIT - 200  # for the line that says what is missing
    for line in lines[:most]:
        if len(line) + 1 > room:
            break
        page.append(line)
        room -= len(line) + 1
    if page:
        return page
    line = SECRETS.mask(lines[0])  # before a cut leaves half of a secret
    return [f"{line[: LIMIT - 300]}[... {max(len(line) - LIMIT + 300, 0):,} more characters in this line]"]


def _content(spot: Spot) -> bytes:
    if not spot.parts:
        raise ToolError("the workspace is a folder, not a file; use list_files")
    with folder(spot.root, spot.parts[:-1]) as at, reading(at, spot.name, spot.shown) as file:
        size = os.fstat(file).st_size
        if size > LARGEST:
            raise ToolError(f"`{spot.shown}` has {size:,} bytes; files of at most {LARGEST:,} are read")
        return read_all(file, LARGEST)


def _text(content: bytes, spot: Spot) -> str:
    """The content as text; what is none is named, with its size."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    kind = next((words for start, words in _IMAGES.items() if content.startswith(start)), None)
    kind = "WebP" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else kind
    if kind and b"\0" in content[:65536]:  # which every picture holds, and no text that begins with BM
        raise ToolError(f"`{spot.shown}` is an image ({kind}, {len(content):,} bytes); this tool reads text")
    if b"\0" in content[:65536]:
        raise ToolError(f"`{spot.shown}` is binary ({len(content):,} bytes); this tool reads text")
    return content.decode("utf-8", "replace")


# ── write_file and edit_file ─────────────────────────────────────────────────────────────────────


def _write(spot: Spot, input: Mapping[str, Any]) -> str:
    text: str = input["content"]
    with _writing:
        if STRUCK in text and _would_strike(_there(spot), text):
            raise ToolError(_struck_out(spot))
        new = _put(spot, text.encode("utf-8", "replace"), make=True)
    lines = text.count("\n") + (not text.endswith("\n") and text != "")
    return f"{'Wrote' if new else 'Replaced'} `{spot.shown}`: {_many(lines, 'line')}, {_many(len(text), 'character')}."


def _edit(spot: Spot, input: Mapping[str, Any]) -> str:
    old, new, every = input["old"], input["new"], bool(input.get("all"))
    if old == new:
        raise ToolError("`old` and `new` are the same text: nothing would change")
    if not old:
        raise ToolError("`old` is empty; use write_file to make a file")
    with _writing:
        text = _exact(_content(spot), spot)
        if old not in text and "\r\n" in text:
            old, new = (part.replace("\r\n", "\n").replace("\n", "\r\n") for part in (old, new))
        count = text.count(old)
        changed = text.replace(old, new)
        if STRUCK in old and count == 0 and old in SECRETS.mask(text):
            raise ToolError(_struck_out(spot))
        if new.count(STRUCK) > old.count(STRUCK) and _would_strike(text, changed):
            raise ToolError(_struck_out(spot))
        if count == 0:
            raise ToolError(_not_there(text, old, spot))
        if count > 1 and not every:
            raise ToolError(
                f"`old` is in `{spot.shown}` {count} times (lines {_places(text, old)}); "
                "add lines around it until it is there once, or set `all`"
            )
        _put(spot, changed.encode(), make=False)
    line = text.count("\n", 0, text.index(old)) + 1
    return f"Edited `{spot.shown}`: {_many(count, 'place')}, the first at line {line}."


def _there(spot: Spot) -> str:
    """What the file holds so far; "" where there is none."""
    try:
        return _content(spot).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _would_strike(text: str, new: str) -> bool:
    """Whether in the new text `***` stands where a secret of this one stood, rather than for itself."""
    shown, own, then = (Counter(_marks(each)) for each in (SECRETS.mask(text), text, new))
    return any(then[mark] > own[mark] for mark in shown - own)


def _marks(text: str) -> Iterator[tuple[str, ...]]:
    """By what each `***` is known again: the words before and after it, its line, and the lines around that one."""
    lines = ["", *(line.strip() for line in text.split("\n") if line.strip()), ""]
    for above, line, below in zip(lines, lines[1:], lines[2:], strict=False):
        parts = line.split(STRUCK) if STRUCK in line else ()
        for before, after in pairwise(parts):
            yield from (("before", *words) for words in [_WORD.findall(before)] if words)
            yield from (("after", *words) for words in [_WORD.findall(after)] if words)
        if len(parts) > 1:
            yield from ([("line", line)] if line != STRUCK else [("below", above), ("above", below)])
            yield ("between", above, below)


def _struck_out(spot: Spot) -> str:
    return (
        f"nothing was written: `{spot.shown}` holds a secret, of which you were shown `{STRUCK}`, and that would stand "
        "in its place; change the other parts with edit_file, and leave those that hold it as they are"
    )


def _put(spot: Spot, content: bytes, *, make: bool) -> bool:
    if not spot.parts:
        raise ToolError("the workspace is a folder, not a file; name a file in it")
    _refuse_protected(spot)
    if len(content) > LARGEST:
        raise ToolError(f"the file would have {len(content):,} bytes; at most {LARGEST:,} are written")
    with folder(spot.root, spot.parts[:-1], make=make) as at:
        return replace(at, spot.name, content, spot.shown)


def _refuse_protected(spot: Spot) -> None:
    name = protected(spot.root.joinpath(*spot.parts), spot.root, ())
    name = name or next((part for part in spot.parts if part.casefold() in _OURS), None)
    if name:
        raise ToolError(
            f"`{spot.shown}` is protected by its name (`{name}`): settings that other programs trust, and secrets, "
            "are never written"
        )


def _exact(content: bytes, spot: Spot) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ToolError(f"`{spot.shown}` is not UTF-8 text, so it cannot be edited without damage") from None


def _places(text: str, old: str) -> str:
    found = islice(re.finditer(re.escape(old), text), 6)
    starts = [text.count("\n", 0, match.start()) + 1 for match in found]
    return ", ".join(map(str, starts[:5])) + (", ..." if len(starts) > 5 else "")


def _not_there(text: str, old: str, spot: Spot) -> str:
    """Why an edit found nothing: other white space, or the nearest line there is."""
    loose = re.compile(r"\s+".join(map(re.escape, old.split()))) if old.split() and len(old) < 10_000 else None
    if loose and (match := loose.search(text)):
        line = text.count("\n", 0, match.start()) + 1
        return f"`old` is in `{spot.shown}` at line {line}, but with other white space; copy it exactly"
    first = next((line.strip() for line in old.split("\n") if line.strip()), "")
    near = difflib.get_close_matches(first, [line.strip() for line in text.split("\n")[:5000]], 1, 0.7)
    hint = f"; the nearest line is: {near[0][:200]}" if near else "; read the file again"
    return f"`old` is not in `{spot.shown}`{hint}"


# ── list_files ───────────────────────────────────────────────────────────────────────────────────


def _list(spot: Spot, input: Mapping[str, Any]) -> str:
    pattern = input.get("pattern") or ""
    wanted = [part for part in pattern.split("/") if part not in ("", ".")]
    if ".." in wanted:
        raise ToolError("a pattern may not hold `..`; give the folder as `path`")
    if len(wanted) == 1 and wanted != ["**"]:
        wanted = ["**", *wanted]
    found, complete = _matching(spot, wanted)
    if not found:
        return f"[nothing in `{spot.shown}` matches `{pattern}`]" if pattern else f"[`{spot.shown}` is empty]"
    lines = [line for _, line in sorted(found)]
    if len(lines) > LISTED or not complete:
        more = f"{len(lines) - LISTED:,} more" if len(lines) > LISTED and complete else "more"
        lines = [*lines[:LISTED], f"[and {more}; use a narrower path or pattern]"]
    text = "\n".join(lines)
    return (
        text
        if len(text) <= LIMIT
        else text[: text.rindex("\n", 0, LIMIT - 100)] + "\n[and more; use a narrower pattern]"
    )


def _matching(spot: Spot, wanted: Sequence[str]) -> tuple[list[tuple[str, str]], bool]:
    """Names and lines below `spot` that match, and whether all of it was looked at. No pattern: one level."""
    found: list[tuple[str, str]] = []
    pending: list[tuple[str, ...]] = [()]
    visited = 0
    while pending:
        below = pending.pop()
        for name, state, target in _entries(spot, below):
            visited += 1
            if visited > VISITED:
                return found, False
            path = (*below, name)
            if not wanted or _fits(path, wanted):
                found.append(("/".join(path), _line("/".join((*spot.parts, *path)), state, target)))
            if (
                wanted
                and stat.S_ISDIR(state.st_mode)
                and len(path) < DEEPEST
                and (name not in _PASSED_OVER or name in wanted)
            ):
                pending.append(path)
    return found, True


def _entries(spot: Spot, below: tuple[str, ...]) -> Iterator[tuple[str, os.stat_result, str]]:
    """Name, state and, for a link, where it leads. A folder that went or may not be read below the first is empty."""
    try:
        with folder(spot.root, (*spot.parts, *below)) as at:
            for name in names_in(at):
                try:
                    state = os.stat(name, dir_fd=at, follow_symlinks=False)
                    yield name, state, os.readlink(name, dir_fd=at) if stat.S_ISLNK(state.st_mode) else ""
                except OSError:
                    continue
    except (OSError, ToolError):
        if not below:
            raise


def _line(path: str, state: os.stat_result, target: str) -> str:
    path = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in path)
    if stat.S_ISDIR(state.st_mode):
        return f"{path}/"
    if target:
        return f"{path} -> {ascii(target)[1:-1]}"
    return f"{path}  {_many(state.st_size, 'byte')}" if stat.S_ISREG(state.st_mode) else f"{path}  (no regular file)"


def _fits(path: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the parts of a path match those of a pattern, where `**` is any number of parts."""
    states = _open(0, wanted)
    for part in path:
        steps = [at if wanted[at] == "**" else at + 1 for at in states if at < len(wanted) and _part(part, wanted[at])]
        states = {reached for at in steps for reached in _open(at, wanted)}
    return len(wanted) in states


def _part(part: str, wanted: str) -> bool:
    return wanted == "**" or fnmatch.fnmatchcase(part, wanted)


def _open(at: int, wanted: Sequence[str]) -> set[int]:
    """`at`, and what can be reached from it without using up a part."""
    reached = {at}
    while at < len(wanted) and wanted[at] == "**":
        at += 1
        reached.add(at)
    return reached


# ── words ────────────────────────────────────────────────────────────────────────────────────────


def _missing(spot: Spot) -> str:
    """Which part of the path is not there, and what is there that looks like it."""
    for depth, part in enumerate(spot.parts):
        try:
            with folder(spot.root, spot.parts[:depth]) as at:
                names = names_in(at)
        except (OSError, ToolError):
            break
        if part not in names:
            before = "/".join(spot.parts[:depth])
            kind = "file" if depth == len(spot.parts) - 1 else "folder"
            near = [
                f"`{before}/{name}`" if before else f"`{name}`" for name in difflib.get_close_matches(part, names, 3)
            ]
            hint = f"; did you mean {' or '.join(near)}?" if near else "; list_files shows what there is"
            return f"there is no {kind} `{'/'.join(spot.parts[: depth + 1])}`{hint}"
    return f"there is no `{spot.shown}`"


def _many(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


_ANSWERS: Mapping[str, Callable[[Spot, Mapping[str, Any]], str]] = {
    "read_file": _read,
    "write_file": _write,
    "edit_file": _edit,
    "list_files": _list,
}
