"""A project as a picture: which way in leads to which agent, what tools that has, and whose policy decides. Pure.

Its law: an arrow stands for what may happen, as the router admits and the policies decide; what is denied whatever the
call is drawn too, as that.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from openclaw.manifest.snapshot import Snapshot
from openclaw.plan.access import able
from openclaw.plan.ways import ways

COLUMNS: Final = ("ways in", "agents", "tools", "policies")
Sort: TypeAlias = Literal["usual", "may", "unasked", "asks", "denied", "decides"]
LEGEND: Final[Mapping[Sort, str]] = {
    "usual": "answers there",
    "may": "may be asked there",
    "unasked": "runs unasked, at least in part",
    "asks": "a person is asked",
    "denied": "denied",
}
_SHAPES: Final = (("([", "])"), ("[", "]"), ("[[", "]]"), ("{{", "}}"))  # of Mermaid, by column
_ARROWS: Final[Mapping[Sort, str]] = {
    "usual": "==>", "may": "-->", "unasked": "-->", "asks": "-.->", "denied": "--x", "decides": "---",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    column: int
    name: str
    note: str = ""
    quiet: bool = False  # it takes no part


@dataclass(frozen=True, slots=True)
class Arrow:
    tail: Node
    head: Node
    sort: Sort


@dataclass(frozen=True, slots=True)
class Drawing:
    """`columns` in the order in which their nodes are best put."""

    columns: tuple[tuple[Node, ...], ...]
    arrows: tuple[Arrow, ...]


def drawn(snapshot: Snapshot) -> Drawing:
    agents = {id: Node(1, id, agent.description) for id, agent in snapshot.agents.items()}
    used = dict.fromkeys(name for agent in snapshot.agents.values() for name in agent.tools if name in snapshot.tools)
    tools = {name: Node(2, name, snapshot.tools[name].description.partition("\n")[0]) for name in used}
    policies = {agent.policy: Node(3, agent.policy) for agent in snapshot.agents.values()}
    arrows, entries = list[Arrow](), list[Node]()
    for way in ways(snapshot):
        node = Node(0, way.title, way.off or ", ".join(way.who), bool(way.off))
        entries.append(node)
        arrows += [Arrow(node, agents[id], "usual" if id == way.usual else "may") for id in way.agents if id in agents]
    for each in able(snapshot):
        sorts: dict[str, Sort] = {}
        for sort, lines in (("denied", each.denied), ("asks", each.asks), ("unasked", each.unasked)):
            sorts |= {name: sort for line in lines for name in line.tools}  # type: ignore[misc]
        arrows += [Arrow(agents[each.agent], tools[name], sorts[name]) for name in used if name in sorts]
    pairs = {(name, a.policy): None for a in snapshot.agents.values() for name in a.tools if name in tools}
    arrows += [Arrow(tools[name], policies[policy], "decides") for name, policy in pairs]
    return Drawing(_ordered([entries, [*agents.values()], [*tools.values()], [*policies.values()]], arrows), (*arrows,))


def _ordered(columns: list[list[Node]], arrows: list[Arrow]) -> tuple[tuple[Node, ...], ...]:
    """Each node near the middle of those that lead to it, so that fewer arrows cross."""
    placed = {node: place for place, node in enumerate(columns[0])}
    found = [tuple(columns[0])]
    tails: dict[Node, list[Node]] = {}
    for arrow in arrows:
        tails.setdefault(arrow.head, []).append(arrow.tail)
    for column in columns[1:]:
        middle = {
            node: sum(placed[t] for t in tails.get(node, ())) / (len(tails.get(node, ())) or 1) for node in column
        }
        found.append(tuple(sorted(column, key=middle.__getitem__)))
        placed |= {node: place for place, node in enumerate(found[-1])}
    return tuple(found)


# ── Mermaid ──────────────────────────────────────────────────────────────────────────────────────


def mermaid(drawing: Drawing) -> str:
    names = {node: f"n{number}" for number, node in enumerate(node for column in drawing.columns for node in column)}
    lines = ["flowchart LR"]
    for title, column, (left, right) in zip(COLUMNS, drawing.columns, _SHAPES, strict=True):
        lines.append(f'  subgraph {title.replace(" ", "_")}["{title}"]')
        lines += [f'    {names[node]}{left}"{_quoted(node.name)}"{right}' for node in column]
        lines.append("  end")
    lines += [f"  {names[arrow.tail]} {_ARROWS[arrow.sort]} {names[arrow.head]}" for arrow in drawing.arrows]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    return "".join(each if each.isalnum() or each in " -_./@()" else f"#{ord(each)};" for each in name)


# ── SVG ──────────────────────────────────────────────────────────────────────────────────────────

_WIDE, _HIGH, _GAP, _STEP, _TOP, _EDGE = 190, 26, 110, 36, 64, 24  # pixels
_LETTERS = 25  # of a name that fit
_STYLE = """\
svg { font: 13px system-ui, sans-serif; color-scheme: light dark; --ink: #1f2430; --box: #f3f4f8; --line: #8a90a2; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e8ef; --box: #2a2f3d; --line: #8a90a2; } }
text { fill: var(--ink); } .title { font-weight: 600; } .small { font-size: 12px; }
rect { fill: var(--box); stroke: var(--line); rx: 6px; } .quiet { opacity: .45; }
path { fill: none; stroke: var(--line); stroke-width: 1.2; }
.usual { stroke: var(--ink); stroke-width: 2; } .unasked { stroke: #2f9e63; }
.asks { stroke: #d08a1d; stroke-dasharray: 5 3; }
.denied { stroke: #d64545; stroke-dasharray: 1 3; } .decides { opacity: .5; }"""


def svg(drawing: Drawing) -> str:
    tallest = max(len(column) for column in drawing.columns)
    width, height = 2 * _EDGE + 4 * _WIDE + 3 * _GAP, _TOP + tallest * _STEP + 56
    place = {node: at for column in drawing.columns for node, at in _places(column, tallest)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' role="img">',
        "<title>who reaches which agent, what tools it has, and which policy decides</title>",
        f"<style>{_STYLE}</style>",
    ]
    parts += [f'<text class="title" x="{_left(n)}" y="36">{title}</text>' for n, title in enumerate(COLUMNS)]
    parts += [_arrow(arrow, place) for arrow in drawing.arrows]
    parts += [_box(node, *place[node]) for node in place]
    parts += [*_legend(height), "</svg>"]
    return "\n".join(parts) + "\n"


def _left(column: int) -> int:
    return _EDGE + column * (_WIDE + _GAP)


def _places(column: tuple[Node, ...], tallest: int) -> Iterator[tuple[Node, tuple[int, int]]]:
    """Each column in the middle of the height."""
    step = min(2 * _STEP, tallest * _STEP // (len(column) or 1))
    begin = _TOP + (tallest * _STEP - len(column) * step + step - _STEP) // 2
    for number, node in enumerate(column):
        yield node, (_left(node.column), begin + number * step)


def _box(node: Node, x: int, y: int) -> str:
    name = node.name if len(node.name) <= _LETTERS else f"{node.name[: _LETTERS - 1]}…"
    note = html.escape(f"{node.name}: {node.note}" if node.note else node.name)
    quiet = ' class="quiet"' if node.quiet else ""
    return (
        f'<g{quiet}><title>{note}</title><rect x="{x}" y="{y}" width="{_WIDE}" height="{_HIGH}"/>'
        f'<text x="{x + 10}" y="{y + 17}">{html.escape(name)}</text></g>'
    )


def _arrow(arrow: Arrow, place: Mapping[Node, tuple[int, int]]) -> str:
    (x, y), (end, down) = place[arrow.tail], place[arrow.head]
    x, y, down, bend = x + _WIDE, y + _HIGH // 2, down + _HIGH // 2, _GAP // 2
    return f'<path class="{arrow.sort}" d="M{x} {y}C{x + bend} {y} {end - bend} {down} {end} {down}"/>'


def _legend(height: int) -> Iterator[str]:
    for number, (sort, words) in enumerate(LEGEND.items()):
        x, y = _EDGE + number * 225, height - 22
        yield f'<path class="{sort}" d="M{x} {y}h28"/><text class="small" x="{x + 34}" y="{y + 4}">{words}</text>'
