"""A project as a drawing: which way in leads to which agent, what its tools do, and whose policy decides. Pure.

Its law: an arrow stands for what may happen, as the router admits and the policies decide: none leaves a way that is
off or that nobody may come by. Tools that a policy treats alike are one node, so that each node has one policy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from openclaw.manifest.snapshot import Snapshot
from openclaw.plan.access import Able, able
from openclaw.plan.ways import Way, ways
from openclaw.words import quote_line

COLUMNS: Final = ("ways in", "agents", "tools", "policies")
Sort: TypeAlias = Literal["usual", "may", "unasked", "partly", "asks", "denied", "decides"]
LEGEND: Final[Mapping[Sort, str]] = {
    "usual": "answers there",
    "may": "may be asked there",
    "unasked": "runs unasked",
    "partly": "in part unasked",
    "asks": "a person is asked",
    "denied": "denied",
    "decides": "decides",
}
MOST: Final = 500  # arrows that Mermaid draws, unless whoever shows it allows more
_SHAPES: Final = (("([", "])"), ("[", "]"), ("[[", "]]"), ("{{", "}}"))  # of Mermaid, by column
_ARROWS: Final[Mapping[Sort, str]] = {
    "usual": "==>", "may": "-->", "unasked": "-->", "partly": "-->", "asks": "-.->", "denied": "--x", "decides": "---",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Node:
    column: int
    lines: tuple[str, ...]  # a name; of tools, what becomes of their calls, and their names
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


def drawn(snapshot: Snapshot, now: datetime) -> Drawing:
    """Permissions as they are at `now`, for a rule may end."""
    policies = {agent.policy: Node(3, (quote_line(agent.policy),)) for agent in snapshot.agents.values()}
    agents, arrows = dict[str, Node](), list[Arrow]()
    for each in able(snapshot, now):
        agents[each.agent] = agent = _agent(each, snapshot)
        groups = _groups(each, snapshot)
        for node, sort in groups:
            arrows += [Arrow(agent, node, sort), Arrow(node, policies[each.policy], "decides")]
        if not groups:
            arrows.append(Arrow(agent, policies[each.policy], "decides"))
    entries = list[Node]()
    for way in ways(snapshot):
        entries.append(node := _way(way))
        if not node.quiet:
            arrows += [Arrow(node, agents[id], "usual" if id == way.usual else "may") for id in way.agents]
    for node, check in _checks(snapshot, entries):
        arrows += [Arrow(node, check, "unasked"), Arrow(check, policies[check.note], "decides")]
    arrows = [*dict.fromkeys(arrows)]
    tools = dict.fromkeys(arrow.head for arrow in arrows if arrow.head.column == 2)
    return Drawing(_ordered([entries, [*agents.values()], [*tools], [*policies.values()]], arrows), (*arrows,))


def _agent(each: Able, snapshot: Snapshot) -> Node:
    asked = f"; asks {', '.join(each.approvers)}" if each.approvers else ""
    return Node(1, (each.agent,), quote_line(f"{snapshot.agents[each.agent].description}{asked}"))


def _way(way: Way) -> Node:
    off = way.off or ("" if way.who else "nobody may write there")
    mark = " (off)" if off else " !" if way.open else ""
    who = f"{', '.join(way.who)}{'; ! people whom no manifest names' if way.open else ''}"
    return Node(0, (quote_line(f"{way.title}{mark}"),), quote_line(off or who), bool(off))


def _groups(each: Able, snapshot: Snapshot) -> list[tuple[Node, Sort]]:
    """An agent's tools by what becomes of their calls."""
    said: dict[str, list[Sort]] = {}
    for sort, lines in (("unasked", each.unasked), ("asks", each.asks), ("denied", each.denied)):
        for name in (name for line in lines for name in line.tools):
            said.setdefault(name, []).append(sort)  # type: ignore[arg-type]
    found: dict[Sort, list[str]] = {}
    for name in snapshot.agents[each.agent].tools:
        if sorts := said.get(name):
            whole: Sort = sorts[0] if set(sorts) == {sorts[0]} else "partly" if sorts[0] == "unasked" else "asks"
            found.setdefault(whole, []).append(name)
    return [
        (Node(2, (LEGEND[sort], *found[sort]), quote_line(each.policy)), sort) for sort in LEGEND if sort in found
    ]


def _checks(snapshot: Snapshot, entries: list[Node]) -> Iterator[tuple[Node, Node]]:
    """What heartbeats run by themselves, before any agent is woken."""
    nodes = {node.lines[0]: node for node in entries}
    for beat in snapshot.heartbeats.values():
        node = nodes.get(quote_line(f"heartbeat {beat.name}"))
        if node is not None and beat.check is not None:
            policy = snapshot.agents[beat.agent].policy
            yield node, Node(2, ("as a check, unasked", beat.check.tool), quote_line(policy))


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


def mermaid(drawing: Drawing) -> str:
    names = {node: f"n{number}" for number, node in enumerate(node for column in drawing.columns for node in column)}
    lines = ["flowchart LR", "  %% thick: answers there; thin: may be asked there, or runs; dotted: a person is asked"]
    for title, column, (left, right) in zip(COLUMNS, drawing.columns, _SHAPES, strict=True):
        lines.append(f'  subgraph {title.replace(" ", "_")}["{title}"]')
        lines += [f'    {names[node]}{left}"{"<br/>".join(map(_quoted, node.lines))}"{right}' for node in column]
        lines.append("  end")
    lines += [f"  {names[arrow.tail]} {_ARROWS[arrow.sort]} {names[arrow.head]}" for arrow in drawing.arrows]
    if quiet := [names[node] for node in names if node.quiet]:
        lines += ["  classDef off opacity:0.45", f"  class {','.join(quiet)} off"]
    return "\n".join(lines) + "\n"


def _quoted(name: str) -> str:
    return "".join(each if each.isalnum() or each in " -_./@(),!" else f"#{ord(each)};" for each in name)
