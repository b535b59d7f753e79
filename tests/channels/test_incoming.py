"""Names of files that come along: harmless, and one for each attachment of each message."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.channels._incoming import put, safe_name


@pytest.mark.parametrize(
    ("called", "name"),
    [
        ("report.pdf", "telegram-555-77-0-report.pdf"),
        ("../../etc/passwd", "telegram-555-77-0-etc-passwd"),
        ("..", "telegram-555-77-0-file"),
        (".bashrc", "telegram-555-77-0-bashrc"),
        ("Bericht März 🦀.xlsx", "telegram-555-77-0-Bericht-März.xlsx"),
        ("a\x00b\n.txt", "telegram-555-77-0-a-b.txt"),
        ("", "telegram-555-77-0-file"),
        ("報告" * 100 + ".pdf", f"telegram-555-77-0-{'報告' * 20}.pdf"),
        ("x" * 500 + ".tar.gz", f"telegram-555-77-0-{'x' * 120}.gz"),
    ],
)
def test_what_a_sender_calls_a_file_leads_nowhere(called: str, name: str) -> None:
    assert safe_name("telegram", "555:77", 0, called) == name


IDS = st.text("0123456789-:_", min_size=1, max_size=8)


@given(st.tuples(IDS, st.integers(0, 20)), st.tuples(IDS, st.integers(0, 20)))
def test_two_attachments_never_share_a_name(one: tuple[str, int], two: tuple[str, int]) -> None:
    names = {safe_name("telegram", *one, "x.txt"), safe_name("telegram", *two, "x.txt")}
    assert len(names) == len({one, two})


@given(st.text(max_size=60))
def test_every_name_is_one_component_that_is_not_hidden(called: str) -> None:
    name = safe_name("t", "1:2", 0, called)
    assert Path(name).name == name and not name.startswith(".") and name.isprintable() and len(name.encode()) < 200


def test_a_file_is_written_whole_for_this_user_alone_and_over_an_earlier_delivery(tmp_path: Path) -> None:
    for content in (b"first, and longer", b"second"):
        path = asyncio.run(put(tmp_path / "incoming", "t-1-2-0-a.txt", content))
    assert path.read_bytes() == b"second" and [one.name for one in path.parent.iterdir()] == ["t-1-2-0-a.txt"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_cannot_be_put_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "incoming" / "a.txt").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        asyncio.run(put(tmp_path / "incoming", "a.txt", b"x"))
    assert [one.name for one in (tmp_path / "incoming").iterdir()] == ["a.txt"]


def test_a_folder_that_the_agent_put_a_link_in_place_of_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "incoming").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        asyncio.run(put(tmp_path / "incoming", "a.txt", b"x"))
    assert not list((tmp_path / "elsewhere").iterdir())
