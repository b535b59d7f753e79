"""File tools work inside the workspace, whole or not at all, and nowhere else whatever path or link is offered."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openclaw import output
from openclaw.clock import SystemClock
from openclaw.messages import Call, ToolResult
from openclaw.ports import Place
from openclaw.tools.files import Tools

TOOLS = Tools({}, Place("/nonexistent", "/nonexistent"), SystemClock())


def run(workspace: Path, name: str, **input: Any) -> ToolResult:
    call = Call("main", "agent:main:repl:local", "repl:local", workspace, "call1")
    return asyncio.run(TOOLS.run(name, input, call))


def text(workspace: Path, name: str, **input: Any) -> str:
    result = run(workspace, name, **input)
    assert not result.is_error, result.text
    return result.text


def error(workspace: Path, name: str, **input: Any) -> str:
    result = run(workspace, name, **input)
    assert result.is_error, result.text
    return result.text


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    return tmp_path / "workspace"


def test_a_written_file_is_private_whole_and_read_back_as_it_was(workspace: Path) -> None:
    assert text(workspace, "write_file", path="notes/a.txt", content="one\ntwo\n") == (
        "Wrote `notes/a.txt`: 2 lines, 8 characters."
    )
    assert text(workspace, "read_file", path="notes/a.txt") == "one\ntwo"
    assert (workspace / "notes/a.txt").read_bytes() == b"one\ntwo\n"
    assert (workspace / "notes/a.txt").stat().st_mode & 0o777 == 0o600
    assert (workspace / "notes").stat().st_mode & 0o777 == 0o700
    assert [p.name for p in (workspace / "notes").iterdir()] == ["a.txt"]
    assert text(workspace, "read_file", path=str(workspace / "notes/../notes/./a.txt")) == "one\ntwo"


def test_replacing_a_file_keeps_its_mode_and_leaves_readers_the_old_one(workspace: Path) -> None:
    text(workspace, "write_file", path="run.sh", content="old")
    (workspace / "run.sh").chmod(0o751)
    with (workspace / "run.sh").open() as before:
        assert text(workspace, "write_file", path="run.sh", content="") == "Replaced `run.sh`: 0 lines, 0 characters."
        assert before.read() == "old"
    assert (workspace / "run.sh").stat().st_mode & 0o777 == 0o751


def test_long_files_are_read_page_by_page(workspace: Path) -> None:
    text(workspace, "write_file", path="long.txt", content="".join(f"line {n}\n" for n in range(1, 5001)))
    assert text(workspace, "read_file", path="long.txt", offset=4999) == (
        "line 4999\nline 5000\n[lines 4,999 to 5,000 of 5,000]"
    )
    assert text(workspace, "read_file", path="long.txt", offset=2, limit=1) == (
        "line 2\n[lines 2 to 2 of 5,000; go on with offset 3]"
    )
    seen, offset = [], 1
    while True:
        *lines, last = text(workspace, "read_file", path="long.txt", offset=offset).split("\n")
        seen += lines
        if "go on with offset" not in last:
            break
        offset = int(last.rpartition(" ")[2].rstrip("]"))
    assert seen == [f"line {n}" for n in range(1, 5001)]
    assert "has 5,000 lines; offset 5,001" in error(workspace, "read_file", path="long.txt", offset=5001)


def test_every_result_fits_what_a_model_should_read(workspace: Path) -> None:
    text(workspace, "write_file", path="wide.txt", content="x" * 100_000 + "\nend")
    shown = text(workspace, "read_file", path="wide.txt")
    assert len(shown) <= output.LIMIT
    assert "more characters in this line]" in shown
    assert "go on with offset 2" in shown
    for n in range(600):
        (workspace / f"{n:04}-{'n' * 60}").touch()
    listed = text(workspace, "list_files")
    assert len(listed) <= output.LIMIT
    assert listed.endswith("[and more; use a narrower pattern]")


def test_what_is_not_text_is_named_and_refused(workspace: Path) -> None:
    workspace.mkdir()
    (workspace / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    (workspace / "a.bin").write_bytes(b"ab\0cd")
    (workspace / "utf16.txt").write_bytes("grüße".encode("utf-16"))
    (workspace / "latin.txt").write_bytes(b"gr\xfc\xdfe")
    (workspace / "empty.txt").touch()
    with (workspace / "big.log").open("wb") as big:
        big.truncate(11 << 20)
    assert "is an image (PNG, 10 bytes)" in error(workspace, "read_file", path="a.png")
    assert "is binary (5 bytes)" in error(workspace, "read_file", path="a.bin")
    assert text(workspace, "read_file", path="utf16.txt") == "grüße"
    assert text(workspace, "read_file", path="latin.txt") == "gr\ufffd\ufffde"
    assert text(workspace, "read_file", path="empty.txt") == "[`empty.txt` is empty]"
    assert "11,534,336 bytes" in error(workspace, "read_file", path="big.log")
    assert "not UTF-8" in error(workspace, "edit_file", path="latin.txt", old="gr", new="x")


def test_an_edit_needs_one_exact_place_or_all(workspace: Path) -> None:
    text(workspace, "write_file", path="a.py", content="x = 1\ny = 1\nz = 2\n")
    assert "2 times (lines 1, 2)" in error(workspace, "edit_file", path="a.py", old="= 1", new="= 3")
    assert text(workspace, "edit_file", path="a.py", old="x = 1", new="x = 9") == (
        "Edited `a.py`: 1 place, the first at line 1."
    )
    assert text(workspace, "edit_file", path="a.py", old="z", new="zz", all=True).startswith("Edited `a.py`: 1 place")
    assert (workspace / "a.py").read_text() == "x = 9\ny = 1\nzz = 2\n"
    assert "the nearest line is: y = 1" in error(workspace, "edit_file", path="a.py", old="yy = 1", new="")
    assert "line 1, but with other white space" in error(workspace, "edit_file", path="a.py", old="x  =\t9", new="")
    assert "same text" in error(workspace, "edit_file", path="a.py", old="x", new="x")
    assert "empty" in error(workspace, "edit_file", path="a.py", old="", new="x")


def test_an_edit_keeps_windows_line_ends(workspace: Path) -> None:
    workspace.mkdir()
    (workspace / "dos.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    text(workspace, "edit_file", path="dos.txt", old="one\ntwo", new="1\n2")
    assert (workspace / "dos.txt").read_bytes() == b"1\r\n2\r\nthree\r\n"


def test_concurrent_edits_of_one_file_lose_nothing(workspace: Path) -> None:
    text(workspace, "write_file", path="a.txt", content="".join(f"[{n}]\n" for n in range(40)))

    async def all_at_once() -> list[ToolResult]:
        call = Call("main", "s", "repl:local", workspace)
        edits = ({"path": "a.txt", "old": f"[{n}]", "new": f"<{n}>"} for n in range(40))
        return await asyncio.gather(*(TOOLS.run("edit_file", edit, call) for edit in edits))

    assert not any(result.is_error for result in asyncio.run(all_at_once()))
    assert (workspace / "a.txt").read_text() == "".join(f"<{n}>\n" for n in range(40))


def test_missing_files_are_answered_with_near_names(workspace: Path) -> None:
    text(workspace, "write_file", path="notes/today.md", content="x")
    assert error(workspace, "read_file", path="notes/tody.md") == (
        "there is no file `notes/tody.md`; did you mean `notes/today.md`?"
    )
    assert error(workspace, "read_file", path="note/today.md") == "there is no folder `note`; did you mean `notes`?"
    assert error(workspace, "edit_file", path="zzz", old="a", new="b") == (
        "there is no file `zzz`; list_files shows what there is"
    )
    assert "there is no file `zzz`" in error(workspace, "list_files", path="zzz")
    assert "is a folder, not a file" in error(workspace, "read_file", path="notes")
    assert "is a folder, not a file" in error(workspace, "write_file", path="notes", content="")
    assert "is a file, not a folder" in error(workspace, "write_file", path="notes/today.md/x", content="")
    assert "is a folder" in error(workspace, "read_file", path=".")
    assert "is a folder" in error(workspace, "write_file", path="", content="")


def test_listing_shows_one_level_or_what_a_pattern_finds(workspace: Path) -> None:
    for path in ("b.txt", "a.py", "src/deep/c.py", "src/d.txt", ".hidden", "node_modules/x.py"):
        (workspace / path).parent.mkdir(parents=True, exist_ok=True)
        (workspace / path).write_text("12")
    (workspace / "link").symlink_to("/etc")
    assert text(workspace, "list_files").split("\n") == [
        ".hidden  2 bytes", "a.py  2 bytes", "b.txt  2 bytes", "link -> /etc", "node_modules/", "src/",
    ]  # fmt: skip
    assert text(workspace, "list_files", pattern="*.py").split("\n") == ["a.py  2 bytes", "src/deep/c.py  2 bytes"]
    assert text(workspace, "list_files", pattern="src/*.txt") == "src/d.txt  2 bytes"
    assert text(workspace, "list_files", path="src", pattern="**/c.*") == "src/deep/c.py  2 bytes"
    assert text(workspace, "list_files", pattern="src/**/*.py") == "src/deep/c.py  2 bytes"
    assert text(workspace, "list_files", pattern="node_modules/**") == ("node_modules/\nnode_modules/x.py  2 bytes")
    assert text(workspace, "list_files", path="src/deep") == "src/deep/c.py  2 bytes"
    assert text(workspace, "list_files", pattern="*.rs") == "[nothing in `.` matches `*.rs`]"
    assert ".." in error(workspace, "list_files", pattern="../*")


def test_a_pattern_with_many_stars_ends(workspace: Path) -> None:
    (workspace / Path(*["a"] * 30)).mkdir(parents=True)
    assert "nothing" in text(workspace, "list_files", pattern="/".join(["**", "a*a*"] * 20) + "/b")


OUTSIDE = [
    "..",
    "../x",
    "/etc/passwd",
    "a/../../x",
    "~/../..//x/../../etc/passwd",
    "//etc/passwd",
    "/proc/self/environ",
]


@pytest.mark.parametrize(
    "path", [*OUTSIDE, "a\0b", "a\nb", "a\\b", "x\u202egpj.exe", "a" * 256, "a/" * 3000, "dot.", "sp ", "\udcff"]
)
def test_no_path_leads_outside_or_says_what_it_does_not_show(workspace: Path, path: str) -> None:
    (workspace.parent / "x").write_text("secret")
    for name, more in (("read_file", {}), ("write_file", {"content": "x"}), ("list_files", {})):
        assert "secret" not in error(workspace, name, path=path, **more)
    assert (workspace.parent / "x").read_text() == "secret"


def test_a_workspace_whose_name_begins_another_is_not_its_inside(workspace: Path) -> None:
    other = workspace.parent / "workspace-other"
    other.mkdir()
    (other / "x").write_text("secret")
    assert "outside" in error(workspace, "read_file", path=str(other / "x"))


def test_no_link_is_followed_in_any_place(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("secret")
    workspace.mkdir()
    (workspace / "file").symlink_to(outside / "f")
    (workspace / "folder").symlink_to(outside)
    (workspace / "dangling").symlink_to(outside / "new")
    (workspace / "loop").symlink_to("loop")
    for path in ("file", "folder/f", "dangling", "loop", "folder/new"):
        assert "link" in error(workspace, "read_file", path=path)
        assert "link" in error(workspace, "write_file", path=path, content="x")
    assert "link" in error(workspace, "list_files", path="folder")
    assert "folder/f" not in text(workspace, "list_files", pattern="**")
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"f": "secret"}
    assert (workspace / "file").is_symlink()


def test_a_workspace_that_is_itself_reached_by_a_link_works(workspace: Path) -> None:
    workspace.mkdir()
    linked = workspace.parent / "linked"
    linked.symlink_to(workspace)
    text(linked, "write_file", path=str(linked / "a"), content="x")
    assert text(linked, "read_file", path=str(workspace / "a")) == "x"


def test_files_with_a_second_name_are_not_written(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    outside.write_text("secret")
    workspace.mkdir()
    (workspace / "hard").hardlink_to(outside)
    assert "hard links" in error(workspace, "write_file", path="hard", content="x")
    assert "hard links" in error(workspace, "edit_file", path="hard", old="secret", new="x")
    assert outside.read_text() == "secret"


def test_pipes_sockets_and_devices_neither_hang_nor_open(workspace: Path, tmp_path: Path) -> None:
    workspace.mkdir()
    os.mkfifo(workspace / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(workspace)  # the name of a socket has to be short
        try:
            listener.bind("sock")
        finally:
            os.chdir(here)
        for path, words in (("pipe", "a pipe"), ("sock", "a socket")):
            assert words in error(workspace, "read_file", path=path)
            assert words in error(workspace, "write_file", path=path, content="x")


@pytest.mark.parametrize(
    "path",
    [
        ".git/config", "sub/.git/hooks/pre-commit", ".GIT/config", ".env", ".env.local", "sub/.ENV", "server.key",
        "a/id_rsa", ".bashrc", ".gitattributes", ".vscode/tasks.json", "node_modules/.bin/x", ".venv/bin/python",
        ".ssh/config", ".openclaw/outputs/x.txt",
    ],
)  # fmt: skip
def test_what_others_trust_is_never_written_even_where_it_is_new(workspace: Path, path: str) -> None:
    assert "protected" in error(workspace, "write_file", path=path, content="x")
    assert list(workspace.iterdir()) == []


def test_links_swapped_in_during_a_write_never_lead_it_outside(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("0")
    text(workspace, "write_file", path="plain/f", content="0")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (workspace / "plain").rename(workspace / "away")
            (workspace / "plain").symlink_to(outside)
            (workspace / "plain").unlink()
            (workspace / "away").rename(workspace / "plain")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        for n in range(200):
            run(workspace, "edit_file", path="plain/f", old=str(n % 2), new=str((n + 1) % 2))
    finally:
        stop.set()
        swapper.join()
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"f": "0"}


PARTS = st.lists(
    st.sampled_from(["..", ".", "a", "link", "", "up", "/", "b\0", "~", "…"]) | st.text(max_size=5), max_size=8
)


@pytest.mark.slow
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=PARTS, absolute=st.booleans())
def test_whatever_the_path_nothing_outside_changes(tmp_path: Path, parts: list[str], absolute: bool) -> None:
    workspace, outside = tmp_path / "in" / "workspace", tmp_path / "out"
    outside.mkdir(exist_ok=True)
    workspace.mkdir(parents=True, exist_ok=True)
    for name, target in (("link", outside), ("up", "..")):
        if not (workspace / name).is_symlink():
            (workspace / name).symlink_to(target)
    path = ("/" if absolute else "") + "/".join(parts)
    run(workspace, "write_file", path=path, content="x")
    run(workspace, "read_file", path=path)
    assert list(outside.iterdir()) == []
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["workspace"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]


# ── long output ──────────────────────────────────────────────────────────────────────────────────


def test_long_output_is_cut_and_the_whole_can_be_read(workspace: Path) -> None:
    whole = "".join(f"line {n}\n" for n in range(10_000))
    workspace.mkdir()
    short = output.fit(whole, Call("main", "s", "repl:local", workspace, "toolu_01AbC"))
    assert len(short) <= output.LIMIT + 200
    assert short.startswith("line 0\n") and short.endswith("line 9999\n")
    (spilled,) = (workspace / ".openclaw/outputs").iterdir()
    assert spilled.read_text() == whole
    assert spilled.stat().st_mode & 0o777 == 0o600
    assert f"the whole is in .openclaw/outputs/{spilled.name}" in short
    assert text(workspace, "read_file", path=f".openclaw/outputs/{spilled.name}", offset=10_000) == (
        "line 9999\n[lines 10,000 to 10,000 of 10,000]"
    )


def test_spilling_follows_no_link_and_its_failure_costs_only_the_file(workspace: Path) -> None:
    outside = workspace.parent / "outside"
    outside.mkdir()
    workspace.mkdir()
    (workspace / ".openclaw").symlink_to(outside)
    short = output.fit("x" * 50_000, Call("main", "s", "repl:local", workspace, "c1"))
    assert "the whole could not be kept" in short
    assert list(outside.iterdir()) == []


def test_what_is_kept_of_an_endless_output_can_be_read_and_says_that_it_is_not_the_whole(workspace: Path) -> None:
    workspace.mkdir()
    line = "0123456789abcde\n"
    short = output.fit(line * (output.LARGEST // 16 + 1), Call("main", "s", "repl:local", workspace, "c1"))
    assert "the first 10 MiB of 10,485,776 bytes are in .openclaw/outputs/c1.txt" in short
    assert "the whole" not in short
    last = text(workspace, "read_file", path=".openclaw/outputs/c1.txt", offset=655_360)
    assert last == "0123456789abcde\n[lines 655,360 to 655,360 of 655,360]"


@pytest.mark.parametrize("start", ["BMW is schön", "a\0b"])
def test_a_kept_output_is_never_taken_for_a_picture_or_a_program(start: str, workspace: Path) -> None:
    workspace.mkdir()
    short = output.fit(start + "\nx" * 10_000, Call("main", "s", "repl:local", workspace, "c1"))
    assert short.startswith(start.replace("\0", "\\0"))
    assert text(workspace, "read_file", path=".openclaw/outputs/c1.txt", limit=1).startswith(start.replace("\0", "\\0"))


@pytest.mark.slow
def test_large_outputs_make_room_before_they_are_many(workspace: Path) -> None:
    workspace.mkdir()
    most = output.KEPT_BYTES // output.LARGEST
    for n in range(most + 3):
        output.fit("x" * output.LARGEST, Call("main", "s", "repl:local", workspace, f"c{n}"))
    names = {p.stem for p in (workspace / ".openclaw/outputs").iterdir()}
    assert names == {f"c{n}" for n in range(3, most + 3)}


def test_old_outputs_make_room_for_new_ones(workspace: Path) -> None:
    workspace.mkdir()
    for n in range(output.KEPT + 5):
        output.fit("x" * 17_000, Call("main", "s", "repl:local", workspace, f"c{n}"))
    names = {p.stem for p in (workspace / ".openclaw/outputs").iterdir()}
    assert len(names) == output.KEPT
    assert f"c{output.KEPT + 4}" in names


@given(whole=st.text(max_size=400), limit=st.integers(50, 200))
def test_a_cut_keeps_both_ends_and_says_how_much_is_missing(whole: str, limit: int) -> None:
    shown, was_cut = output.cut(whole, limit)
    assert was_cut == (len(whole) > limit)
    if not was_cut:
        assert shown == whole
    else:
        assert "characters" in shown
        assert len(shown) <= limit + 80
