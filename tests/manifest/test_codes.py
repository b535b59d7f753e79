"""Every code has an example that tells it and nothing else, and the same put right, which is silent.

So an example is a test of its rule, and what `openclaw explain` and docs/diagnostics.md show is what happens.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from openclaw import shrinking
from openclaw.cli import _examples
from openclaw.manifest.build import compile
from openclaw.manifest.codes import CODES, Code, sound
from openclaw.manifest.codes.code import shown
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot

SHOWN = sorted(code for code, told in CODES.items() if told.bad)


def test_the_sound_project_is_silent() -> None:
    assert _examples.told({})[0] == ()


def test_every_code_has_examples_or_says_why_it_has_none() -> None:
    without = [code for code, told in CODES.items() if not (told.bad and told.good) and not told.unshown]
    assert without == [], f"give them `bad` and `good` where they are described: {', '.join(without)}"
    assert [code for code, told in CODES.items() if told.unshown and (told.bad or told.good)] == []


@pytest.mark.parametrize("code", SHOWN)
def test_the_bad_example_tells_exactly_its_code_and_the_good_one_nothing(code: str) -> None:
    told, folder = _examples.told(CODES[code].bad)
    assert [each.code for each in told] == [code], _examples.printed(CODES[code].bad)
    assert told[0].file in folder.files or told[0].file == "agents" or code == "file-name"
    assert _examples.told(CODES[code].good)[0] == (), _examples.printed(CODES[code].good)


def _judged(root: Path) -> tuple[Diagnostic, ...]:
    return compile(Folder.read(root), environment={}, importer=None, today=sound.TODAY).diagnostics


def _laid(root: Path) -> None:
    for name, text in sound.SOUND.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_what_no_text_can_show_is_told_all_the_same(tmp_path: Path) -> None:
    unshown = {code for code, told in CODES.items() if told.unshown}
    _laid(tmp_path / "folder")
    (tmp_path / "folder/channels.yaml").mkdir()
    assert [each.code for each in _judged(tmp_path / "folder")] == ["file"]
    _laid(tmp_path / "many")
    many = "".join(f"key_{n}: 1\n" for n in range(1100))
    (tmp_path / "many/agents/main.yaml").write_text(sound.AGENT + many)
    assert _judged(tmp_path / "many")[-1].code == "too-many"
    edit = Folder.of({name: text.encode() for name, text in sound.over(sound.rules("{deny: web_fetch}")).items()})
    cut = Folder.of({name: text.encode() for name, text in sound.SOUND.items()})
    held = shrinking.held(edit, _valid(edit), cut, _valid(cut))
    assert held is not None and [each.code for each in held.diagnostics] == ["cut-off"]
    assert unshown == {"file", "too-many", "cut-off"}, "show here what a new one stands for"


def _valid(folder: Folder) -> Snapshot:
    compiled = compile(folder, environment={}, importer=None, today=sound.TODAY)
    assert compiled.snapshot is not None
    return compiled.snapshot


@pytest.mark.parametrize("code", CODES)
def test_a_law_is_one_sentence(code: str) -> None:
    what = CODES[code].what
    assert what.endswith(".") and "\n" not in what and len(what) <= 120


def test_an_example_that_is_none_may_take_files_away_and_hold_what_cannot_be_printed() -> None:
    code = Code("A law.", {"agents/main.yaml": None}, {"a.py": f"x\x07 = 1\n{'y' * 200}\n"})
    assert "agents/main.yaml" not in sound.over(code.bad)
    for text in (code.text(), code.markdown()):
        assert text.startswith("A law.\n\nWrong: without ")
        assert "x� = 1" in text and "(200 characters)" in text
    assert "~~~python\n" in code.markdown()
    assert shown("\tx") == "\tx"
