"""Tools of the project as the runtime and the model know them: declared inputs become one JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw.durations import seconds
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.nodes import ListNode, MapNode, Node, Scalar, Unknown, plain
from openclaw.manifest.project import Definition, Project
from openclaw.permissions.policy import Refusal
from openclaw.permissions.template import Template
from openclaw.signature import Derived
from openclaw.words import Judged, ToolSpec


def tools(project: Project) -> dict[str, ToolSpec]:
    own = {tool.name: spec(project, tool) for tool in project.all("tool").values()}
    return {**BUILTINS, **own}


def spec(project: Project, tool: Definition) -> ToolSpec:
    template = project.templates.get(tool.name)
    if isinstance(template, Template):
        env = {each: str(plain(entry.value)) for each, entry in below(tool, "env").node.entries.items()}
        options = {"template": template, "env": env, "writes": tool.value("writes") is True}
        return _spec(tool, str(tool.value("description", "")), _schema(tool), "shell", options)
    derived, function = project.derived.get(tool.name), project.functions.get(tool.name)
    known = derived if isinstance(derived, Derived) else None
    schema = _schema(tool) if "input" in tool.node.entries or known is None else known.input_schema
    options = {
        "reference": str(tool.value("python", "")),
        "function": function if callable(function) else None,
        "with": plain_text(below(tool, "with").node),
        "call": known.call if known else None,
    }
    description = str(tool.value("description", known.description if known else ""))
    return _spec(tool, description, schema, "python", options)


def _spec(
    tool: Definition, description: str, schema: Mapping[str, Any], kind: str, options: Mapping[str, Any]
) -> ToolSpec:
    judged: dict[str, Judged] = {declared.name: "path" for declared in tool.entries("input") if _is_path(declared)}
    timeout = seconds(str(tool.value("timeout", "")))
    return ToolSpec(
        tool.name,
        description.strip(),
        schema,
        kind,
        options,
        judged,
        timeout=60.0 if timeout is None else timeout,
        untrusted=tool.value("untrusted") is True,
        repeat=tool.value("repeat", "never"),
    )


def _is_path(declared: Definition) -> bool:
    return "path" in (declared.value("type"), below(declared, "items").value("type"))


def _schema(tool: Definition) -> dict[str, Any]:
    """Declared inputs as one JSON Schema; a path is text to the model."""
    inputs = {declared.name: plain_text(declared.node) for declared in tool.entries("input")}
    required = [name for name, declared in inputs.items() if "default" not in declared and not declared.get("optional")]
    properties = {name: _property(declared) for name, declared in inputs.items()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _property(declared: Mapping[str, Any]) -> dict[str, Any]:
    unknown = {"type"} if declared.get("type") == "" else set()  # nobody has looked at its variable
    kept = {key: value for key, value in declared.items() if key not in {"optional", *unknown}}
    if kept.get("type") == "path":
        kept["type"] = "string"
    if "pattern" in kept:
        kept["pattern"] = f"^(?:{kept['pattern']})$"  # an input's pattern speaks of the whole text
    if isinstance(kept.get("items"), dict):
        kept["items"] = _property(kept["items"])
    return kept


def plain_text(node: Node) -> Any:
    """Plain values; what nobody looked at is empty text."""
    match node:
        case Scalar(value):
            return "" if value is Unknown else value
        case ListNode(items):
            return [plain_text(item) for item in items]
        case MapNode(entries):
            return {name: plain_text(entry.value) for name, entry in entries.items()}


def below(definition: Definition, key: str) -> Definition:
    """The mapping below a key; an empty one where there is none."""
    node = definition.get(key)
    return Definition(key, definition.key, node if isinstance(node, MapNode) else MapNode({}, definition.key))


def tool_spec(project: Project, name: str) -> ToolSpec | None:
    """None where there is no such tool, or what it takes is not known, or it has had a diagnostic."""
    tool = project.all("tool").get(name)
    if tool is None:
        return BUILTINS.get(name)
    broken = isinstance(project.templates.get(name), Refusal) or not tool.sound
    return None if broken or input_schema(project, name) is None else spec(project, tool)


def input_schema(project: Project, name: str) -> Mapping[str, Any] | None:
    """What a tool takes; None where that is not known: there is no such tool, it has had a diagnostic, or
    nobody read its function."""
    tool = project.all("tool").get(name)
    if tool is None:
        return BUILTINS[name].input_schema if name in BUILTINS else None
    if not tool.sound:
        return None
    derived = project.derived.get(name)
    if "input" in tool.node.entries or "shell" in tool.node.entries:
        return _schema(tool)
    return derived.input_schema if isinstance(derived, Derived) else None
