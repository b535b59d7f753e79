"""Records docs/images/session.svg, the README's picture, and the same as text in README.md.

The real command runs under tmux on the two files that the README shows, with the built-in demo model; what is drawn is
what stood on the screen after its first lines, in its colours, and between the two halves the edit that was made in
another window. Durations are normalised, so that the same runtime draws the same picture. Needs tmux. With --check
nothing is written; the exit code is 1 where the picture is out of date.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from _terminal import PROMPT, Screen, differs, plain, prompts, same

TOP = Path(__file__).resolve().parent.parent
README, PICTURE = TOP / "README.md", TOP / "docs" / "images" / "session.svg"
WIDTH, HEIGHT = 64, 46  # so narrow that the letters can be read on a telephone
EDIT = "sed -i 's/grep/grep, uname/' tools.yaml"
COMMAND = "openclaw run --demo"
LINE, CELL, SIZE, EDGE = 20, 8.4, 14, 12  # pixels: of a line, of a character, of the letters, around it all
STYLES = {"1": "bold", "2": "dim", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
COLOURS = {
    "light": {"ground": "#ffffff", "edge": "#d0d7de", "band": "#eef2f6", "text": "#1f2328", "dim": "#59636e",
              "red": "#c4161c", "green": "#116329", "yellow": "#7d4e00", "cyan": "#0a5f74"},
    "dark": {"ground": "#0d1117", "edge": "#3d444d", "band": "#1c2530", "text": "#e6edf3", "dim": "#9198a1",
             "red": "#ff7b72", "green": "#56d364", "yellow": "#e3b341", "cyan": "#76e3ea"},
}  # fmt: skip
_BLOCK = re.compile(r"^```(\S+) ([\w/.]+) minimal\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r"(<!-- begin picture -->\n).*?(<!-- end -->)", re.DOTALL)
_CODE = re.compile(r"\x1b\[([\d;]*)m|([^\x1b]+)")


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one line that look the same, from a column on."""

    column: int
    text: str
    styles: frozenset[str]


def recorded() -> list[str]:
    """Lines with the terminal's codes; the one of the edit begins with `$ `."""
    with tempfile.TemporaryDirectory(prefix="picture-") as made:
        root = Path(made, "assistant")
        for _, name, text in _BLOCK.findall(README.read_text("utf-8")):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
        command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", f"{made}/state", *COMMAND.split()[1:]]
        screen = Screen(Path(made), command, WIDTH, HEIGHT, colour=True)
        try:
            shown = _played(screen, root)
        finally:
            screen.close()
        return [line.replace(str(root), "~/assistant").replace(made, "~") for line in shown]


def _played(screen: Screen, root: Path) -> list[str]:
    screen.until(prompts, "the prompt")
    screen.clear()
    screen.until(lambda text: text == PROMPT, "an empty screen")
    screen.type("remember that my cat is Zorblax")
    screen.until(lambda text: "your cat is Zorblax." in text and prompts(text), "the answer")
    screen.type("run uname")
    screen.until(lambda text: "[y] once" in text, "the question")
    screen.press("n")
    screen.until(lambda text: "That did not run." in text and prompts(text), "the refusal")
    before = same(screen.shows(styled=True))[:-1]
    subprocess.run(EDIT, shell=True, cwd=root, check=True)
    screen.until(lambda text: "reload 1" in text and prompts(text), "word of the reload")
    screen.type("run uname")
    screen.until(lambda text: text.count("Jarvis:") == 3 and prompts(text), "what ran")
    after = same(screen.shows(styled=True))[:-1]
    return [*before, f"$ {EDIT}", *after[len(before) :]]


def text(lines: list[str]) -> str:
    """The same without colours."""
    told = [f"# in another window: {line}" if line.startswith("$ ") else plain(line) for line in lines]
    return "\n".join([f"$ {COMMAND}", *told])


# ── the picture ──────────────────────────────────────────────────────────────────────────────────


def runs(lines: list[str]) -> Iterator[list[Run]]:
    """A list for each line; what a code sets goes on over the ends of lines."""
    styles: set[str] = set()
    for line in lines:
        found, column = [], 0
        for codes, written in _CODE.findall(line):
            for code in [] if written else codes.split(";"):
                _set(styles, code)
            if written.strip():
                begin = len(written) - len(written.lstrip())
                found.append(Run(column + begin, written.strip(), frozenset(styles)))
            column += len(written)
        yield found


def _set(styles: set[str], code: str) -> None:
    if code in ("", "0"):
        styles.clear()
    elif code == "39":
        styles -= {"red", "green", "yellow", "cyan"}
    elif code in STYLES:
        styles.add(STYLES[code])


def drawn(lines: list[str]) -> str:
    """The picture: no address but that of SVG itself, no font but the reader's own."""
    width, height = round(WIDTH * CELL) + 2 * EDGE, (len(lines) + 1) * LINE + 2 * EDGE
    rows = [_row(0, [Run(0, "$", frozenset({"dim"})), Run(2, COMMAND, frozenset({"bold"}))])]
    for number, (line, found) in enumerate(zip(lines, runs(lines), strict=True), 1):
        rows.extend(_edit(number, line, width) if line.startswith("$ ") else [_row(number, found)])
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img" aria-labelledby="title text">',
        '<title id="title">A session of OpenClaw at the terminal</title>',
        f'<desc id="text">{escape(text(lines))}</desc>',
        _style(),
        f'<rect class="ground" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
        *filter(None, rows),
        "</svg>\n",
    ])  # fmt: skip


def _style() -> str:
    fonts = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
    dark = "".join(_rules(COLOURS["dark"]))
    return "\n".join([
        "<style>",
        f"text {{ font: {SIZE}px {fonts}; white-space: pre; }}",
        ".bold { font-weight: bold; }",
        *_rules(COLOURS["light"]),
        f"@media (prefers-color-scheme: dark) {{ {dark} }}",
        "</style>",
    ])  # fmt: skip


def _rules(colours: dict[str, str]) -> Iterator[str]:
    yield f".ground {{ fill: {colours['ground']}; stroke: {colours['edge']}; }}"
    yield f".band {{ fill: {colours['band']}; }}"
    yield f"text {{ fill: {colours['text']}; }}"
    for name in ("dim", "red", "green", "yellow", "cyan"):
        yield f".{name} {{ fill: {colours[name]}; }}"


def _row(number: int, found: list[Run]) -> str:
    y = EDGE + number * LINE + SIZE
    return "".join(f"<text{_class(run)} {_place(run)} y=\"{y}\">{escape(run.text)}</text>" for run in found)


def _edit(number: int, line: str, width: int) -> Iterator[str]:
    """The band between the two halves."""
    y = EDGE + number * LINE - 2
    yield f'<rect class="band" x="1" y="{y}" width="{width - 2}" height="{LINE + 2}"/>'
    words = "in another window"
    command = Run(len(words) + 2, line, frozenset({"bold"}))
    yield _row(number, [Run(0, words, frozenset({"dim"})), command])


def _class(run: Run) -> str:
    colour = sorted(run.styles - {"dim"} if run.styles & {"red", "green", "yellow", "cyan"} else run.styles)
    return f' class="{" ".join(colour)}"' if colour else ""


def _place(run: Run) -> str:
    """Where it begins, and how long it is: columns stand below each other in whatever font there is."""
    long = f' textLength="{len(run.text) * CELL:.1f}"' if len(run.text) > 1 else ""
    return f'x="{EDGE + run.column * CELL:.1f}"{long}'


def main() -> int:
    parser = argparse.ArgumentParser(description="records the README's picture")
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        return differs(PICTURE.read_text("utf-8"), lambda: drawn(recorded()))
    lines = recorded()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(drawn(lines), "utf-8")
    block = f"```text\n{text(lines)}\n```\n"
    README.write_text(_TEXT.sub(lambda found: found[1] + block + found[2], README.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
