"""All manifests together, read and checked one by one, for the rules that look across files.

A definition is known by name even where its file is broken: a reference to it is then no mistake.
Holds values that several rules and the snapshot need: templates, functions, policies. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from heapq import nsmallest
from typing import Any

from openclaw.manifest.builtins import BUILTINS, MODELS
from openclaw.manifest.diagnostic import Diagnostic, Span, error, see
from openclaw.manifest.folder import Folder
from openclaw.manifest.nodes import MapNode, Node, Scalar, Unknown, texts
from openclaw.manifest.source import Source
from openclaw.near import near
from openclaw.permissions.policy import Policy, Refusal
from openclaw.permissions.template import Template
from openclaw.signature import Derived, Importer, ImportProblem, SignatureProblem

FILES = {
    "tool": "tools.yaml",
    "channel": "channels.yaml",
    "person": "channels.yaml",
    "room": "channels.yaml",
    "heartbeat": "heartbeats.yaml",
    "model": "models.yaml",
}
_MOST_GUESSES = 40_000  # about half a second's work where names are alike


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """Something with a name. `sound` is False where its own manifest has mistakes already."""

    name: str
    key: Span
    node: MapNode
    sound: bool = True

    def get(self, key: str) -> Node | None:
        return self.node.get(key)

    def text(self, key: str) -> Scalar | None:
        """The value of a key, if it is text."""
        node = self.node.get(key)
        return node if isinstance(node, Scalar) and isinstance(node.value, str) else None

    def texts(self, key: str) -> list[Scalar]:
        return texts(self.node.get(key))

    def value(self, key: str, default: Any = None) -> Any:
        """The plain value of a scalar key; the default where it is missing, unknown or no scalar."""
        node = self.node.get(key)
        if not isinstance(node, Scalar) or node.value is None or node.value is Unknown:
            return default
        return node.value

    def entries(self, key: str) -> Iterator[Definition]:
        """The named mappings below a key."""
        return definitions(self.node.get(key))


def definitions(node: Node | None) -> Iterator[Definition]:
    if isinstance(node, MapNode):
        for name, entry in node.entries.items():
            if isinstance(entry.value, MapNode):
                yield Definition(name, entry.key.span, entry.value)


@dataclass(slots=True, eq=False)
class Project:
    folder: Folder
    variables: Mapping[str, str] | None  # None: nobody looked
    importer: Importer | None
    now: datetime
    sources: dict[str, Source] = field(default_factory=dict)
    roots: dict[str, MapNode] = field(default_factory=dict)
    named: dict[str, dict[str, Definition]] = field(default_factory=dict)  # kind -> name -> definition
    faulty: set[int] = field(default_factory=set)  # ids of the mappings in which something is at fault
    unreadable: set[str] = field(default_factory=set)  # kinds of which some names may be missing
    templates: dict[str, Template | Refusal] = field(default_factory=dict)
    functions: dict[str, Callable[..., Any] | ImportProblem] = field(default_factory=dict)
    derived: dict[str, Derived | SignatureProblem] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)  # values that no output may hold
    guesses: int = 0  # names compared so far with what was probably meant
    _names: dict[str, tuple[list[str], frozenset[str]]] = field(default_factory=dict)

    def all(self, kind: str) -> Mapping[str, Definition]:
        return self.named.get(kind, {})

    def names(self, kind: str) -> list[str]:
        """Every name a reference may use, built-in ones included. Asked for once all definitions are known."""
        if kind not in self._names:
            found = self._named(kind)
            self._names[kind] = found, frozenset(found)
        return self._names[kind][0]

    def has(self, kind: str, name: str) -> bool:
        self.names(kind)
        return name in self._names[kind][1]

    def _named(self, kind: str) -> list[str]:
        own = list(self.all(kind))
        match kind:
            case "tool":
                return [*BUILTINS, *own]
            case "model":
                return [*own, *MODELS]
            case "channel":
                return list(dict.fromkeys([*own, "repl"]))
            case "group":
                return sorted(
                    {group.value for person in self.all("person").values() for group in person.texts("groups")}
                )
            case _:
                return own

    def refer(self, kind: str, reference: Scalar, name: str | None = None) -> Iterator[Diagnostic]:
        """A diagnostic where nothing of this kind has the name that is referred to."""
        name = str(reference.value) if name is None else name
        if self.has(kind, name) or kind in self.unreadable or (kind == "group" and "person" in self.unreadable):
            return
        yield self.unknown(kind, reference, name)

    def unknown(self, kind: str, reference: Scalar, name: str) -> Diagnostic:
        names = self.names(kind)
        self.guesses += len(names)
        shown = "***" if reference.secret else name
        if self.guesses > _MOST_GUESSES:
            return error(f"unknown-{kind}", reference.span, f"no {kind} `{shown}`")
        close = near(name, names)
        if close is None:
            listed = (
                f"there are: {', '.join(nsmallest(20, names))}"
                if names
                else f"there is none yet; describe it in {self.home(kind)}"
            )
            return error(f"unknown-{kind}", reference.span, f"no {kind} `{shown}`", listed)
        definition = self.all(kind).get(close)
        where = f" ({definition.key})" if definition else " (built in)" if kind in ("tool", "model", "channel") else ""
        related = [see(definition.key, f"`{close}` is described here")] if definition else []
        return error(
            f"unknown-{kind}",
            reference.span,
            f"no {kind} `{shown}`; did you mean `{close}`{where}?",
            f"write `{close}`",
            related,
        )

    def home(self, kind: str) -> str:
        if kind == "agent":
            return "agents/<id>.yaml"
        if kind == "policy":
            return "policies.yaml" if "policies.yaml" in self.folder.files else "tools.yaml"
        return FILES.get(kind, "channels.yaml")

    def inside(self, node: Scalar, at: int, length: int = 1) -> Span:
        """The place of a stretch of a text value, whatever its quoting."""
        source = self.sources[node.span.file]
        return source.inside(node.start, node.end, node.style, str(node.value), at, length)

    def agents(self) -> Iterable[Definition]:
        """Agents whose manifest could be read at all."""
        return [agent for agent in self.all("agent").values() if agent.node.entries]
