"""Rules about tools: templates, inputs, Python functions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from openclaw.manifest import expressions, scalars
from openclaw.manifest.builtins import BUILTINS
from openclaw.manifest.diagnostic import Diagnostic, Related, error
from openclaw.manifest.nodes import MapNode, Node, Scalar, Unknown, plain
from openclaw.manifest.project import Definition, Project
from openclaw.manifest.specs import below
from openclaw.near import meant, near
from openclaw.permissions.policy import Refusal
from openclaw.permissions.template import Template
from openclaw.signature import Derived, ImportProblem, SignatureProblem, mismatches

_BOUNDS = (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems"))
_ONLY_FOR = {
    "minimum": ("integer", "number"), "maximum": ("integer", "number"),
    "minLength": ("string", "path"), "maxLength": ("string", "path"), "pattern": ("string", "path"),
    "items": ("array",), "minItems": ("array",), "maxItems": ("array",),
}  # fmt: skip
_PYTHON = {"string": str, "path": str, "integer": int, "boolean": bool, "array": list, "object": dict}


def names_are_free(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        if tool.name in BUILTINS:
            yield error("tool-name", tool.key, f"`{tool.name}` is a built-in tool", "choose another name")


def python_tools_are_described(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        derived = project.derived.get(tool.name)
        if isinstance(derived, Derived) and not derived.description and tool.text("description") is None:
            yield error(
                "missing-key",
                tool.node.first,
                f"tool `{tool.name}` has no description, and neither has its function",
                "add `description: ...`, or a docstring",
            )


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────


def inputs_are_consistent(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        for declared in tool.entries("input"):
            yield from _declaration(declared)


def _declaration(declared: Definition) -> Iterator[Diagnostic]:
    type = declared.value("type")
    if type not in (*_PYTHON, "number"):
        return
    for key, types in _ONLY_FOR.items():
        if key in declared.node.entries and type not in types:
            yield error(
                "tool-input",
                declared.node.key(key),
                f"`{key}` does not go with type `{type}`; it is for {' and '.join(types)}",
                f"remove `{key}`, or change the type",
            )
            return
    for low, high in _BOUNDS:
        least, most = declared.value(low), declared.value(high)
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            yield error(
                "tool-input",
                _span(declared, high),
                f"`{high}` ({most}) is less than `{low}` ({least})",
                "exchange them",
            )
    for stated in (declared, below(declared, "items")):
        yield from _expression(stated)
    yield from _default(declared, str(type))
    if declared.value("optional") is True and "default" in declared.node.entries:
        yield error(
            "tool-input",
            declared.node.key("optional"),
            "an input with a default is never left out",
            "remove `optional` or `default`",
        )


def _expression(declared: Definition) -> Iterator[Diagnostic]:
    pattern = declared.text("pattern")
    if pattern is None:
        return
    objection = expressions.objection(str(pattern.value)) if pattern.value is not Unknown else None
    if objection is not None:
        yield error("tool-input", pattern.span, f"`pattern` {objection[0]}", objection[1])


def _default(declared: Definition, type: str) -> Iterator[Diagnostic]:
    for node in _values(declared):
        value = plain(node)
        if value is Unknown or (isinstance(node, Scalar) and value is None):
            continue
        if not _is(value, type):
            shown = node.shown if isinstance(node, Scalar) else scalars.kind(value)
            yield error(
                "tool-input",
                node.span,
                f"`{shown}` is {scalars.kind(value)}, and the input's type is `{type}`",
                f'quote it: "{shown}"' if type in ("string", "path") else f"write a value of type `{type}`",
            )
            return
    default, options = declared.get("default"), declared.get("enum")
    if default is not None and options is not None and plain(default) not in plain(options):
        shown = default.shown if isinstance(default, Scalar) else "the default"
        yield error(
            "tool-input",
            default.span,
            f"`{shown}` is not one of the input's values",
            f"one of: {', '.join(map(str, plain(options)))}",
        )


def _values(declared: Definition) -> Iterator[Node]:
    default, options = declared.get("default"), declared.get("enum")
    if default is not None:
        yield default
    if options is not None and not isinstance(options, Scalar | MapNode):
        yield from options.items


def _is(value: Any, type: str) -> bool:
    if type == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, _PYTHON[type]) and (type == "boolean" or not isinstance(value, bool))


def _span(declared: Definition, key: str) -> Any:
    node = declared.get(key)
    return node.span if node else declared.key


# ── shell templates ──────────────────────────────────────────────────────────────────────────────


def templates_split(project: Project) -> Iterator[Diagnostic]:
    for tool, shell, compiled in _templates(project):
        if isinstance(compiled, Refusal):
            at = min(max(compiled.column - 1, 0), max(len(shell.value) - 1, 0))
            folded = shell.value[at : at + 1] == "\n"
            yield error(
                "template",
                project.inside(shell, at),
                f"the command of `{tool.name}` cannot be split: {compiled.message}",
                "a command is one line; `shell: >-` folds lines into one"
                if folded
                else "a template is split without a shell: plain words, quotes, |, &&, || and ;",
            )


def placeholders_are_inputs(project: Project) -> Iterator[Diagnostic]:
    for tool, shell, compiled in _templates(project):
        if not isinstance(compiled, Template):
            continue
        declared = _inputs(tool)
        for hole in compiled.placeholders:
            if hole.name not in declared:
                length = len(hole.name) + (5 if hole.spread else 2)
                yield error(
                    "template-input",
                    project.inside(shell, hole.column - 1, length),
                    f"no input `{hole.name}`{meant(hole.name, declared)}",
                    _declare(hole.name, declared),
                )
            elif hole.spread and _type(declared[hole.name]) not in ("array", None):
                length = len(hole.name) + 5
                yield error(
                    "template-input",
                    project.inside(shell, hole.column - 1, length),
                    f"`{{{hole.name}...}}` spreads a list, and `{hole.name}` is none",
                    f"write `{{{hole.name}}}`, or `type: array`",
                )


def _declare(name: str, declared: dict[str, Definition]) -> str:
    close = near(name, declared)
    return (
        f"write `{{{close}}}`"
        if close
        else f"declare it: `input: {{{name}: {{type: string}}}}`; `{{{{` is a plain brace"
    )


def inputs_are_used(project: Project) -> Iterator[Diagnostic]:
    for tool, shell, compiled in _templates(project):
        if not isinstance(compiled, Template):
            continue
        declared = _inputs(tool)
        used = {hole.name for hole in compiled.placeholders}
        misspelt = {near(name, declared) for name in used - set(declared)}
        # An input whose placeholder is misspelt has had its diagnostic there.
        for name in declared.keys() - used - misspelt:
            yield _doubled(project, shell, name) or error(
                "template-input",
                declared[name].key,
                f"the command does not use input `{name}`",
                f"write `{{{name}}}` in the command, or remove the input",
            )


def _doubled(project: Project, shell: Scalar, name: str) -> Diagnostic | None:
    """`{{path}}`, as other tools write it, is plain text here."""
    found = re.search(rf"\{{\{{\s*{re.escape(name)}\s*\}}\}}", shell.value)
    if found is None:
        return None
    span = project.inside(shell, found.start(), len(found[0]))
    return error(
        "template-input", span, f"`{found[0]}` is plain text; a placeholder has single braces", f"write `{{{name}}}`"
    )


def _templates(project: Project) -> Iterator[tuple[Definition, Scalar, Template | Refusal]]:
    for tool in project.all("tool").values():
        shell = tool.text("shell")
        if shell is not None and tool.name in project.templates:
            yield tool, shell, project.templates[tool.name]


def _inputs(tool: Definition) -> dict[str, Definition]:
    return {declared.name: declared for declared in tool.entries("input")}


def _type(declared: Definition) -> Any:
    return declared.value("type")


# ── Python functions ─────────────────────────────────────────────────────────────────────────────


def functions_load(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        problem, reference = project.functions.get(tool.name), tool.text("python")
        if not isinstance(problem, ImportProblem) or reference is None:
            continue
        name = reference.value.rpartition(":")[2]
        close = near(name, problem.candidates)
        code = "python-mark" if problem.kind == "not_marked" else "python-import"
        hint = f"; did you mean `{close}`?" if close else ""
        cure = {
            "no_module": "correct the name, or put the module into the project folder",
            "import_failed": "correct the module; `python -c 'import ...'` in the project folder shows the whole error",
            "endless": "let the module end: what waits or connects belongs into the function",
            "no_attribute": f"write `{reference.value.rpartition(':')[0]}:{close}`"
            if close
            else "correct the function's name",
            "not_callable": "name a function",
            "not_marked": "put `@openclaw.tool` above its `def`",
        }[problem.kind]
        related = (
            [Related(_within(project, problem.file), problem.line or 1, 1, "the cause is here")] if problem.file else []
        )
        yield error(code, reference.span, f"{problem.message}{hint}", cure, related)


def _within(project: Project, file: str) -> str:
    return file.removeprefix(project.folder.root).lstrip("/") or file


def signatures_fit(project: Project) -> Iterator[Diagnostic]:
    for tool in project.all("tool").values():
        derived, reference = project.derived.get(tool.name), tool.text("python")
        if reference is None:
            continue
        if isinstance(derived, SignatureProblem):
            yield error(
                "python-signature",
                reference.span,
                f"`{reference.value}` cannot be a tool: {derived.message}",
                "correct the function",
            )
        elif isinstance(derived, Derived):
            yield from _mismatched(tool, reference, derived)


def _mismatched(tool: Definition, reference: Scalar, derived: Derived) -> Iterator[Diagnostic]:
    inputs, fixed = tool.get("input"), tool.get("with")
    named = list(inputs.entries) if isinstance(inputs, MapNode) else list(derived.input_schema.get("properties", {}))
    given = list(fixed.entries) if isinstance(fixed, MapNode) else []
    misspelt = set()
    for found in mismatches(derived, named, given):
        place = inputs if found.place == "input" else fixed
        close = near(found.name, derived.parameters)
        if found.place == "missing":
            if found.name not in misspelt:
                yield error(
                    "python-signature",
                    reference.span,
                    found.message,
                    f"declare `{found.name}` under `input`, or fix it under `with`",
                )
        elif isinstance(place, MapNode):
            misspelt.add(close)
            yield error(
                "python-signature", place.key(found.name), found.message, f"did you mean `{close}`?" if close else None
            )
