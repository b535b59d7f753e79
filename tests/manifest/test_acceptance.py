"""The mistakes people make in manifests, by number: each is told once, at its place, in words that name it, and what
the help gives is pasted back and leaves a sound project. Where what is right is the reader's to say, the help is
advice. `pytest -s` prints the table: six points a case."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_fixtures import BAD, GOOD, JARGON, TODAY, compiled, files_of, told

from openclaw.manifest.build import compile
from openclaw.manifest.diagnostic import Diagnostic
from openclaw.manifest.folder import Folder

VARIABLES = {"HTTP_TOKEN": "spoken-only-here", "NOT_SET_TOKEN": "spoken-only-here", "NAME": "spoken-only-here"}
ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Case:
    """`paste` names what is done with the help; None where the text is no mistake here."""

    fixture: str
    place: str = ""
    paste: str | None = None


CASES = {
    1: Case("01-cron-star", "heartbeats.yaml:3:11", "line"),
    4: Case("04-bang-prefix", "agents/main.yaml:3:9", "line"),
    7: Case("07-tab", "agents/main.yaml:4:1", "spaces"),
    8: Case("08-dedent", "agents/main.yaml:3:2", "align"),
    9: Case("09-colon-in-text", "agents/main.yaml:2:28", "line"),
    10: Case("10-open-quote", "agents/main.yaml:1:7", "close"),
    11: Case("11-after-quote", "tools.yaml:4:22", "line"),
    12: Case("12-template-shell", "tools.yaml:4:12", "line"),
    14: Case("14-escape", "tools.yaml:8:19", "line"),
    15: Case("15-open-bracket", "agents/main.yaml:3:8", "after"),
    16: Case("16-no-space", "agents/main.yaml:1:1", "line"),
    18: Case("18-block-dedent", "agents/main.yaml:3:1", "move"),
    19: Case("19-conflict", "agents/main.yaml:2:1", ADVICE),
    21: Case("21-alias", "heartbeats.yaml:4:9", "token"),
    22: Case("22-custom-tag", "channels.yaml:2:29", "value"),
    23: Case("23-python-tag", "tools.yaml:4:12", ADVICE),
    26: Case("26-duplicate", "agents/main.yaml:4:1", "remove"),
    29: Case("29-hash", "heartbeats.yaml:4:13", "line"),
    30: Case("30-core-scalars"),
    32: Case("32-time-of-day"),
    34: Case("34-version", "agents/main.yaml:1:7", "quoted"),
    35: Case("35-plus", "agents/main.yaml:5:15", "quoted"),
    37: Case("37-empty-rule", "tools.yaml:5:9", "remove"),
    38: Case("38-date", "tools.yaml:4:35", ADVICE),
    40: Case("40-quoted-number", "agents/main.yaml:6:15", "line"),
    41: Case("41-quoted-boolean", "agents/main.yaml:5:10", "line"),
    44: Case("44-comments-only", "heartbeats.yaml:1:1", "delete"),
    45: Case("45-misspelt", "agents/main.yaml:5:1", "key"),
    46: Case("46-other-style", "agents/main.yaml:6:3", "key"),
    47: Case("47-wrong-level", "agents/main.yaml:7:3", "move"),
    48: Case("48-missing", "agents/main.yaml:1:1", "insert"),
    51: Case("51-unknown-kind", "channels.yaml:3:11", "meant"),
    52: Case("52-kind-missing", "channels.yaml:3:5", "insert"),
    53: Case("53-other-kind", "tools.yaml:5:5", "remove"),
    54: Case("54-exclusive", "tools.yaml:5:5", "remove"),
    59: Case("59-version", "agents/main.yaml:5:1", "remove"),
    61: Case("61-unknown-tool", "agents/main.yaml:5:5", "token"),
    62: Case("62-unknown-agent", "heartbeats.yaml:5:12", "token"),
    64: Case("64-prefix-twice", "agents/other.yaml:5:9", ADVICE),
    67: Case("67-include-circle", "tools.yaml:2:23", "take out"),
    68: Case("68-missing-soul", "agents/main.yaml:5:7", "meant"),
    70: Case("70-no-attribute", "tools.yaml:4:13", "token"),
    71: Case("71-signature", "tools.yaml:6:7", "token"),
    72: Case("72-template-input", "tools.yaml:4:18", "token"),
    74: Case("74-quoted-placeholder"),
    75: Case("75-rule-unknown-tool", "tools.yaml:4:16", "token"),
    77: Case("77-pattern", "tools.yaml:4:41", ADVICE),
    78: Case("78-allow-all", "tools.yaml:4:17", ADVICE),
    79: Case("79-unset", "channels.yaml:4:12", "set"),
    80: Case("80-malformed", "channels.yaml:4:12", "token"),
    81: Case("81-literal", "channels.yaml:4:12", "token"),
    82: Case("82-cron-4", "heartbeats.yaml:3:11", ADVICE),
    83: Case("83-cron-6", "heartbeats.yaml:3:11", ADVICE),
    86: Case("86-cron-never", "heartbeats.yaml:3:11", ADVICE),
    87: Case("87-cron-both", "heartbeats.yaml:3:11", ADVICE),
    88: Case("88-cron-often", "heartbeats.yaml:3:11", ADVICE),
    91: Case("91-port-twice", "channels.yaml:3:28", ADVICE),
    93: Case("93-type", "tools.yaml:6:20", "meant"),
    94: Case("94-bomb", "heartbeats.yaml:5:4", ADVICE),
    96: Case("96-deep-nesting", "tools.yaml:1:4", ADVICE),
}
FIXTURES = {fixture.stem: fixture for fixture in (*GOOD, *BAD)}
SEVERAL = {  # fixtures that hold a mistake more than once
    "45-misspelt-required", "45-words-of-other-tools", "46-other-tool", "77-rule-test", "79-unset-twice",
}  # fmt: skip
MORE = {  # further fixtures whose help is pasted
    "01-star-list": "token", "12-template": "line", "14-escape-flow": "key and value", "37-empty-section": "line",
    "45-permissions-for-policies": "key", "52-kind-of-a-channel": "insert", "52-type-for-kind": "key",
    "54-rule-misspelt": "key", "62-misspelt-defaults-no-cascade": "key", "68-soul-in-a-folder": "meant",
    "72-double-braces": "token", "72-template-input-block": "token",
}  # fmt: skip


def number(fixture: Path) -> int:
    found = re.match(r"\d+", fixture.stem)
    return int(found.group()) if found else 0


# ── pasting: what a reader does with the help, one way each ──────────────────────────────────────


def found(pattern: str, text: str) -> str:
    first = re.search(pattern, text)
    assert first is not None
    return first[1]


class Spot:
    """The text with the place that a diagnostic points at."""

    def __init__(self, text: str, said: Diagnostic) -> None:
        self.lines, self.said, self.help = text.split("\n"), said, said.help or ""
        self.line = self.lines[said.line - 1]
        self.end = said.end_column - 1 if said.end_line == said.line else len(self.line)

    @property
    def given(self) -> str:
        """The first that stands between backticks in the help."""
        return found(r"`([^`]+)`", self.help)

    @property
    def indent(self) -> int:
        return len(self.line) - len(self.line.lstrip(" "))

    def with_line(self, *lines: str) -> str:
        return "\n".join([*self.lines[: self.said.line - 1], *lines, *self.lines[self.said.line :]])

    def with_token(self, new: str) -> str:
        return self.with_line(self.line[: self.said.column - 1] + new + self.line[self.end :])


def moved(spot: Spot) -> str:
    way, by = re.findall(r"(dedent|indent) .*?by (\d+) space", spot.help)[0]
    return spot.with_line(spot.line[int(by) :] if way == "dedent" else " " * int(by) + spot.line)


def aligned(spot: Spot) -> str:
    other = spot.lines[int(re.findall(r"on line (\d+)", spot.help)[0]) - 1]
    return spot.with_line(" " * (len(other) - len(other.lstrip(" "))) + spot.line.lstrip(" "))


def after(spot: Spot) -> str:
    what, word = re.findall(r"add `(.+?)` after `(.+?)`", spot.help)[0]
    return spot.with_line(spot.line.replace(word, word + what))


def key_and_value(spot: Spot) -> str:
    """Inside brackets: `key: value` in place of the one there is."""
    key = spot.given.partition(":")[0]
    return spot.with_line(re.sub(rf'{key}: "(?:[^"\\]|\\.)*"', lambda _: spot.given, spot.line))


PASTE: dict[str, Callable[[Spot], str]] = {
    "line": lambda spot: spot.with_line(" " * spot.indent + spot.given),
    "key and value": key_and_value,
    "token": lambda spot: spot.with_token(spot.given),
    "value": lambda spot: spot.with_line(re.sub(r"!\w+ \w+", lambda _: spot.given, spot.line)),
    "quoted": lambda spot: spot.with_token(found(r'quote it: (".*?")', spot.help)),
    "key": lambda spot: spot.with_token(spot.given.removesuffix(":")),
    "meant": lambda spot: spot.with_token(found(r"did you mean `(.+?)`", spot.said.message)),
    "spaces": lambda spot: spot.with_token(" " * int(re.findall(r"with (\d) spaces", spot.help)[0])),
    "close": lambda spot: spot.with_line(spot.line + spot.given),
    "insert": lambda spot: spot.with_line(" " * spot.indent + spot.given, spot.line),
    "remove": lambda spot: spot.with_line(),
    "take out": lambda spot: spot.with_token(""),
    "delete": lambda spot: "",
    "set": lambda spot: "\n".join(spot.lines),
    "move": moved,
    "align": aligned,
    "after": after,
}


def mended(fixture: Path, paste: str, root: Path) -> list[str]:
    """What is told of the project once the help has been followed."""
    files, _ = files_of(fixture)
    _, result = compiled(root / "broken", {name: text.encode() for name, text in files.items()})
    (said,) = result.diagnostics
    files[said.file] = PASTE[paste](Spot(files[said.file], said))
    _, again = compiled(root / "mended", {name: text.encode() for name, text in files.items() if text})
    if any(each.code == "variable-unset" for each in again.diagnostics):
        again = compile(Folder.read(root / "mended"), environment=VARIABLES, importer=None, today=TODAY)
    return told(again.diagnostics)


def points(case: Case, root: Path) -> tuple[int, str]:
    """Of six: file, line, column, one diagnostic, words, help; and what the table says of the last."""
    files, expected = files_of(FIXTURES[case.fixture])
    _, result = compiled(root, {name: text.encode() for name, text in files.items()})
    if case.paste is None:
        return (0 if result.diagnostics else 6), "silent"
    said = result.diagnostics[0]
    file, line, column = case.place.split(":")
    place = [said.file == file, said.line == int(line), said.column == int(column)]
    text = f"{said.message}\n{said.help}"
    words = all(word in text for word in expected[0].split(" | ")[1:]) and not any(word in text for word in JARGON)
    helped = bool(said.help) if case.paste == ADVICE else mended(FIXTURES[case.fixture], case.paste, root / "p") == []
    right = [*place, len(result.diagnostics) == 1, words, helped]
    return sum(right), f"{said.code:18} {'advice' if case.paste == ADVICE else 'pasted' if helped else 'NOT MENDED'}"


def test_the_sixty_have_all_their_points(tmp_path: Path) -> None:
    scored = {}
    for case, what in CASES.items():
        scored[case], words = points(what, tmp_path / str(case))
        print(f"{case:02} {what.place or what.fixture:26} {words:28} {scored[case]}/6")
    print(f"{sum(scored.values())} of {6 * len(CASES)} points")
    assert {case: each for case, each in scored.items() if each != 6} == {}
    assert len(CASES) == 60


def test_every_case_stands_in_the_fixture_of_its_number() -> None:
    assert {case: number(FIXTURES[what.fixture]) for case, what in CASES.items()} == {case: case for case in CASES}


def test_every_mistake_is_told_once() -> None:
    for fixture in BAD:
        if number(fixture) in CASES and fixture.stem not in SEVERAL:
            assert len(files_of(fixture)[1]) == 1, fixture.stem


@pytest.mark.parametrize("name", MORE)
def test_what_the_help_gives_mends_it(name: str, tmp_path: Path) -> None:
    assert mended(FIXTURES[name], MORE[name], tmp_path) == []
