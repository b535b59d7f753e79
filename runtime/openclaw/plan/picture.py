"""A drawing as an SVG that needs nothing but a browser, light or dark. Pure.

Its law: what is written into it is text and nothing else, whatever a manifest holds.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from typing import Final

from openclaw.plan.drawing import COLUMNS, LEGEND, Arrow, Drawing, Node
from openclaw.words import char_width

_WIDE, _LINE, _PAD, _BETWEEN, _GAP, _TOP, _EDGE = 200, 16, 10, 12, 110, 56, 24  # pixels
_LETTERS: Final = 27  # of a name that fit
_MOST: Final = 8  # tools that a box names
_STYLE: Final = """\
svg { font: 13px system-ui, sans-serif; color-scheme: light dark; --ink: #1f2430; --box: #f3f4f8; --line: #8a90a2; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e8ef; --box: #2a2f3d; --line: #8a90a2; } }
text { fill: var(--ink); } .title { font-weight: 600; } .small { font-size: 12px; }
.heading { font-size: 12px; opacity: .7; }
rect { fill: var(--box); stroke: var(--line); rx: 6px; } .quiet { opacity: .45; }
path { fill: none; stroke: var(--line); stroke-width: 1.2; }
.usual { stroke: var(--ink); stroke-width: 2; } .unasked { stroke: #2f9e63; stroke-width: 2; }
.partly { stroke: #2f9e63; stroke-dasharray: 9 4; } .asks { stroke: #d08a1d; stroke-dasharray: 5 3; }
.denied { stroke: #d64545; stroke-dasharray: 1 3; } .decides { opacity: .5; }"""


def svg(drawing: Drawing) -> str:
    tallest = max(map(_height, drawing.columns))
    legend = _TOP + tallest + 30
    width, height = 2 * _EDGE + 4 * _WIDE + 3 * _GAP, legend + 44
    place = {node: at for column in drawing.columns for node, at in _places(column, tallest)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img">',
        "<title>who reaches which agent, what its tools do, and which policy decides</title>",
        f"<style>{_STYLE}</style>",
    ]
    parts += [f'<text class="title" x="{_left(n)}" y="34">{title}</text>' for n, title in enumerate(COLUMNS)]
    parts += [_arrow(arrow, place) for arrow in drawing.arrows]
    parts += [_box(node, *place[node]) for node in place]
    parts += [*_legend(legend), "</svg>"]
    return "\n".join(parts) + "\n"


def _left(column: int) -> int:
    return _EDGE + column * (_WIDE + _GAP)


def _high(node: Node) -> int:
    return len(_lines(node)) * _LINE + _PAD


def _height(column: tuple[Node, ...]) -> int:
    return sum(_high(node) + _BETWEEN for node in column)


def _places(column: tuple[Node, ...], tallest: int) -> Iterator[tuple[Node, tuple[int, int]]]:
    """Each column spread over the height, though not too far."""
    spare = min((tallest - _height(column)) // (len(column) + 1), 2 * _LINE)
    down = _TOP + (tallest - _height(column) - spare * (len(column) - 1)) // 2
    for node in column:
        yield node, (_left(node.column), down)
        down += _high(node) + _BETWEEN + spare


def _lines(node: Node) -> tuple[str, ...]:
    shown = node.lines if len(node.lines) <= _MOST + 1 else (*node.lines[:_MOST], f"and {len(node.lines) - _MOST} more")
    return tuple(map(_short, shown))


def _short(name: str) -> str:
    """Its begin and its end, since names often differ in the latter."""
    if sum(map(char_width, name)) <= _LETTERS:
        return name
    head, tail = _upto(name, _LETTERS - 10), _upto(name[::-1], 9)[::-1]
    return f"{head}…{tail}"


def _upto(name: str, most: int) -> str:
    wide = 0
    for place, char in enumerate(name):
        wide += char_width(char)
        if wide > most:
            return name[:place]
    return name


def _box(node: Node, x: int, y: int) -> str:
    """What is too wide for it, in whatever letters, is cut off at its edge."""
    high, tools = _high(node), node.column == 2
    said = f"{node.lines[0]}: {', '.join(node.lines[1:])}" if tools else node.lines[0]
    note = html.escape(f"{said}: {node.note}" if node.note and not tools else said)
    quiet = ' class="quiet"' if node.quiet else ""
    lines = "".join(
        f'<text{_heading(node, n)} x="10" y="{(n + 1) * _LINE}">{html.escape(line)}</text>'
        for n, line in enumerate(_lines(node))
    )
    return (
        f'<g{quiet}><title>{note}</title><rect x="{x}" y="{y}" width="{_WIDE}" height="{high}"/>'
        f'<svg x="{x}" y="{y}" width="{_WIDE - 4}" height="{high}">{lines}</svg></g>'
    )


def _heading(node: Node, line: int) -> str:
    return ' class="heading"' if node.column == 2 and line == 0 else ""


def _arrow(arrow: Arrow, place: Mapping[Node, tuple[int, int]]) -> str:
    (x, y), (end, down) = place[arrow.tail], place[arrow.head]
    x, y, down, bend = x + _WIDE, y + _high(arrow.tail) // 2, down + _high(arrow.head) // 2, _GAP // 2
    return f'<path class="{arrow.sort}" d="M{x} {y}C{x + bend} {y} {end - bend} {down} {end} {down}"/>'


def _legend(y: int) -> Iterator[str]:
    for number, (sort, words) in enumerate(LEGEND.items()):
        x = _EDGE + number * 168
        yield f'<path class="{sort}" d="M{x} {y}h28"/><text class="small" x="{x + 34}" y="{y + 4}">{words}</text>'
