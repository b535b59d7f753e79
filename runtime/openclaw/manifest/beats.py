"""What a heartbeat comes to once defaults are applied: its agent, zone, hours, models, its check's input.

Shared by the rules and the snapshot, so that what is judged is what runs. Tells no mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from openclaw.manifest.models import default_model
from openclaw.manifest.nodes import Entry, ListNode, MapNode, Node, Scalar
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.scalars import typed
from openclaw.manifest.specs import input_schema

DAY = 24 * 60  # minutes


@dataclass(eq=False)
class Beats:
    """The heartbeats of a project, and what they inherit."""

    project: Project
    defaults: Definition | None

    @classmethod
    def of(cls, project: Project) -> Beats:
        root = project.roots.get("heartbeats.yaml")
        found = root.get("defaults") if root else None
        defaults = Definition("defaults", root.span, found) if root and isinstance(found, MapNode) else None
        return cls(project, defaults)

    def agent(self, heartbeat: Definition) -> str:
        return self._inherited(heartbeat, "agent") or self._first

    def timezone(self, heartbeat: Definition) -> str:
        return self._inherited(heartbeat, "timezone") or "UTC"

    @property
    def zone(self) -> str:
        """The project's."""
        return str((self.defaults.value("timezone") if self.defaults else None) or "UTC")

    def notify(self, heartbeat: Definition) -> tuple[str, ...] | None:
        """As named; None where nobody says, which means the owners."""
        for place in (heartbeat, self.defaults):
            if place is not None and "notify" in place.node.entries:
                return tuple(str(each.value) for each in place.texts("notify"))
        return None

    def model(self, heartbeat: Definition) -> str:
        """The one that is asked: its own, else its agent's."""
        agent = self.project.all("agent").get(self.agent(heartbeat))
        own = heartbeat.value("model") or (agent.value("model") if agent else None)
        return str(own or default_model(self.project))

    def _inherited(self, heartbeat: Definition, key: str) -> str:
        return str(heartbeat.value(key) or (self.defaults.value(key) if self.defaults else None) or "")

    @cached_property
    def _first(self) -> str:
        """The default agent."""
        agents = sorted(self.project.agents(), key=lambda agent: agent.name)
        chosen = [agent for agent in agents if agent.value("default") is True]
        return next((agent.name for agent in [*chosen, *agents]), "")


def active_hours(heartbeat: Definition) -> tuple[int, int] | None:
    """Minutes of the day, the second up to 1440; None where it is always active or nobody knows."""
    text = str(heartbeat.value("active_hours", ""))
    try:
        start, end = (_minute(time) for time in text.split("-"))
    except ValueError:
        return None
    return start, end


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


def check_input(project: Project, check: Definition) -> MapNode:
    """What the tool of a check is called with, each placeholder in the type that the tool takes."""
    given = check.get("input")
    if not isinstance(given, MapNode):
        return MapNode({}, check.key)
    found = _typed(given, input_schema(project, str(check.value("tool", ""))) or {})
    return found if isinstance(found, MapNode) else given


def _typed(node: Node, schema: Any) -> Node:
    if not isinstance(schema, Mapping):
        return node
    match node:
        case Scalar(value=str() as text, filled=True) if "string" not in (kind := schema.get("type", "string")):
            return replace(node, value=typed(text, kind))
        case Scalar(value=float() as number) if number.is_integer() and schema.get("type") == "integer":
            return replace(node, value=int(number))
        case MapNode(entries, span):
            known = schema.get("properties", {})
            found = {name: Entry(each.key, _typed(each.value, known.get(name))) for name, each in entries.items()}
            return MapNode(found, span)
        case ListNode(items, span):
            return ListNode(tuple(_typed(item, schema.get("items")) for item in items), span)
        case _:
            return node
