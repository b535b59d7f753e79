"""The mistakes people make in manifests, by number: each is told once, at its place, and what the help gives as text
mends it. The number is what a fixture's name begins with; those in `SILENT` are none here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_fixtures import BAD, GOOD, compiled, files_of

from openclaw.manifest.diagnostic import Diagnostic

CASES = (
    1, 4, 7, 8, 9, 10, 11, 12, 14, 15, 16, 18, 19, 21, 22, 23, 26, 29, 30, 32, 34, 35, 37, 38, 40, 41, 44, 45, 46, 47,
    48, 51, 52, 53, 54, 59, 61, 62, 64, 67, 68, 70, 71, 72, 74, 75, 77, 78, 79, 80, 81, 82, 83, 86, 87, 88, 91, 93, 94,
    96,
)  # fmt: skip
SILENT = (30, 32, 74)  # `no` and `22:30` are text, and a quoted placeholder never meets a shell
SEVERAL = {  # fixtures that hold the mistake more than once
    "45-misspelt-required", "45-words-of-other-tools", "46-other-tool", "77-rule-test", "79-unset",
}  # fmt: skip
PASTED = (  # what the help of these gives is pasted as it stands
    "01-cron-star", "01-star-list", "04-bang-prefix", "09-colon-in-text", "11-after-quote", "14-escape",
    "15-open-bracket", "21-alias", "26-duplicate", "34-version", "37-empty-list", "37-empty-rule", "37-empty-section",
    "40-quoted-number", "41-quoted-boolean", "45-misspelt", "45-permissions-for-policies", "46-other-style",
    "47-wrong-level", "48-missing", "52-kind-missing", "52-kind-of-a-channel", "52-type-for-kind", "54-exclusive",
    "54-rule-misspelt", "59-version", "61-unknown-tool", "62-misspelt-defaults-no-cascade", "62-unknown-agent",
    "67-include-circle", "68-empty-soul", "70-no-attribute", "71-signature", "72-double-braces", "72-template-input",
    "75-rule-unknown-tool", "77-unsafe", "78-allow-commands", "78-pointless", "78-tool-denied",
)  # fmt: skip


def number(fixture: Path) -> int:
    found = re.match(r"\d+", fixture.stem)
    return int(found.group()) if found else 0


OF_CASES = [fixture for fixture in BAD if number(fixture) in CASES]


def pasted(text: str, at: Diagnostic) -> Iterator[str]:
    """The file as it would be with what stands between backticks in the help: at the line of its key, in place of what
    is underlined, or as a line of its own."""
    lines = text.split("\n")
    line = lines[at.line - 1]
    end = at.end_column - 1 if at.end_line == at.line else len(line)
    if re.search(r"\b(?:remove|delete)\b", at.help or ""):
        yield "\n".join([*lines[: at.line - 1], *lines[at.line :]])
        without = line[: at.column - 1].removesuffix(", ") + line[end:]
        yield "\n".join([*lines[: at.line - 1], without, *lines[at.line :]])
    if spaces := re.search(r"(dedent|indent) \S+(?: line)? by (\d+) space", at.help or ""):
        by = int(spaces[2])
        moved = line[by:] if spaces[1] == "dedent" else " " * by + line
        yield "\n".join([*lines[: at.line - 1], moved, *lines[at.line :]])
    for given in re.findall(r"`([^`]+)`|(?<=quote it: )(\"[^\"]*\"|'[^']*')", at.help or ""):
        given = given[0] or given[1]
        for wanted in (given, f'"{given}"'):
            key = re.match(r"[\w-]+:", given)
            place = re.search(rf"(?<![\w-]){re.escape(key.group()[:-1])} *:", line) if key else None
            news = [line[: at.column - 1] + wanted + line[end:], line[: at.column - 1] + wanted]
            if place:
                news.append(line[: place.start()] + wanted)
            if key and key.group() == wanted:
                news.append(line[: at.column - 1] + wanted[:-1] + line[end:])
            indent = line[: len(line) - len(line.lstrip(" -"))].replace("-", " ")
            for new in news:
                yield "\n".join([*lines[: at.line - 1], new, *lines[at.line :]])
            yield "\n".join([*lines[: at.line], indent + wanted, *lines[at.line :]])


def mended(fixture: Path, root: Path) -> bool:
    """Whether something the help gives as text, pasted, leaves a project without a mistake."""
    files, _ = files_of(fixture)
    _, result = compiled(root / "broken", {name: text.encode() for name, text in files.items()})
    (first,) = result.diagnostics
    for count, text in enumerate(pasted(files.get(first.file, ""), first)):
        now = {**files, first.file: text}
        _, again = compiled(root / str(count), {name: text.encode() for name, text in now.items()})
        if not again.diagnostics:
            return True
    return False


def test_every_case_has_a_fixture_of_its_own() -> None:
    bad, good = {number(fixture) for fixture in BAD}, {number(fixture) for fixture in GOOD}
    assert [case for case in CASES if case not in (good if case in SILENT else bad)] == []
    assert len(CASES) == 60


def test_every_mistake_is_told_once() -> None:
    for fixture in OF_CASES:
        _, expected = files_of(fixture)
        if fixture.stem not in SEVERAL:
            assert len(expected) == 1, fixture.stem
            print(f"{number(fixture):02} {fixture.stem:40} {expected[0].split(' | ')[0]}")


@pytest.mark.slow
@pytest.mark.parametrize("name", PASTED)
def test_what_the_help_gives_mends_it(name: str, tmp_path: Path) -> None:
    (fixture,) = [each for each in BAD if each.stem == name]
    assert mended(fixture, tmp_path)
