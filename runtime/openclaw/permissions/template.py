"""Shell templates: a command of the manifest with holes, split once when it is loaded, never given to a shell.

Its law: a placeholder becomes exactly one argument, or a part of one, whatever its value says; quotes
around it change nothing. `{name...}` spreads a list, one argument each. `{{` and `}}` are braces.
An omitted optional drops the whole argument it stands in. Knows nothing of rules, or of which
placeholders are declared: the manifest compares names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from openclaw.errors import ToolError
from openclaw.permissions import grammar
from openclaw.permissions.policy import Refusal
from openclaw.words import CommandLine, Step

_HOLE = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<spread>\.\.\.)?\}|[{}]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_LISTS = frozenset({"array", "list"})


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`column` is 1-based in the template, where its `{` stands."""

    name: str
    column: int
    spread: bool


Part: TypeAlias = str | Placeholder


@dataclass(frozen=True, slots=True)
class Shape:
    """A step before its values are known. `literal_from` is the argument after a literal `--`, if there is one."""

    words: tuple[tuple[Part, ...], ...]
    after: grammar.Operator
    stdout: Literal["", "null"]
    stderr: Literal["", "null", "stdout"]
    literal_from: int | None


@dataclass(frozen=True, slots=True)
class Template:
    """A `shell` line that was read once and is filled in for each call."""

    text: str
    shapes: tuple[Shape, ...]
    placeholders: tuple[Placeholder, ...]
    inputs: Mapping[str, Mapping[str, Any]]

    def expand(self, input: Mapping[str, Any]) -> CommandLine:
        """The literal steps for these values; raises ToolError where a value may not stand where it would."""
        return CommandLine(tuple(self._step(shape, input) for shape in self.shapes))

    def _step(self, shape: Shape, input: Mapping[str, Any]) -> Step:
        argv: list[str] = []
        for index, word in enumerate(shape.words):
            after_dashes = shape.literal_from is not None and index >= shape.literal_from
            argv.extend(self._arguments(word, input, after_dashes))
        return Step(tuple(argv), shape.after, shape.stdout, shape.stderr)

    def _arguments(self, word: tuple[Part, ...], input: Mapping[str, Any], after_dashes: bool) -> list[str]:
        first = word[0] if word else ""
        if isinstance(first, Placeholder) and first.spread:
            values = self._value(first.name, input)
            if not isinstance(values, list | tuple | None):
                raise ToolError(f"`{first.name}` must be a list")
            texts = [_text(first.name, value) for value in values or ()]
        else:
            whole = self._joined(word, input)
            texts = [] if whole is None else [whole]
        if isinstance(first, Placeholder) and not after_dashes:
            for text in texts:
                if text.startswith("-") and not _admits_dash(self.inputs.get(first.name, {}), input.get(first.name)):
                    raise ToolError(f"`{first.name}` must not begin with `-`: the program would take it for an option")
        return texts

    def _joined(self, word: tuple[Part, ...], input: Mapping[str, Any]) -> str | None:
        texts = []
        for part in word:
            if isinstance(part, str):
                texts.append(part)
                continue
            value = self._value(part.name, input)
            if value is None:
                return None
            texts.append(_text(part.name, value))
        return "".join(texts)

    def _value(self, name: str, input: Mapping[str, Any]) -> Any:
        """The value, its default, or None where an optional is left out."""
        if input.get(name) is not None:
            return input[name]
        declaration = self.inputs.get(name, {})
        if declaration.get("default") is None and not declaration.get("optional"):
            raise ToolError(f"`{name}` is missing")
        return declaration.get("default")


def compile_template(text: str, inputs: Mapping[str, Mapping[str, Any]]) -> Template | Refusal:
    """Splits a template by the strict grammar; `inputs` maps names to their declarations."""
    drafts = grammar.split(text, template=True)
    if isinstance(drafts, Refusal):
        return drafts
    shapes: list[Shape] = []
    for draft in drafts:
        words: list[tuple[Part, ...]] = []
        for word in draft.words:
            parts = _parts(word)
            problem = parts if isinstance(parts, Refusal) else _misplaced(parts, not words, inputs)
            if isinstance(parts, Refusal) or problem is not None:
                return problem  # type: ignore[return-value]
            words.append(parts)
        literal_from = next((i + 1 for i, word in enumerate(words) if i and word == ("--",)), None)
        shapes.append(Shape(tuple(words), draft.after, draft.stdout, draft.stderr, literal_from))
    holes = tuple(p for shape in shapes for word in shape.words for p in word if isinstance(p, Placeholder))
    return Template(text, tuple(shapes), holes, dict(inputs))


def _parts(word: list[grammar.Piece]) -> tuple[Part, ...] | Refusal:
    """The literal stretches and placeholders of one word, neighbouring literals joined."""
    parts: list[Part] = []
    for piece in word:
        at = 0
        start = piece.column + (1 if piece.quoted else 0)
        for hole in _HOLE.finditer(piece.text):
            _literal(parts, piece.text[at : hole.start()])
            column = start + hole.start()
            if hole["name"]:
                parts.append(Placeholder(hole["name"], column, bool(hole["spread"])))
            elif len(hole[0]) == 2:
                _literal(parts, hole[0][0])
            else:
                return Refusal("brace", f"a single `{hole[0]}`; double it to mean the character itself", column)
            at = hole.end()
        _literal(parts, piece.text[at:])
    return tuple(parts) or ("",)


def _literal(parts: list[Part], text: str) -> None:
    if not text:
        return
    last = parts[-1] if parts else None
    if isinstance(last, str):
        parts[-1] = last + text
    else:
        parts.append(text)


def _misplaced(parts: tuple[Part, ...], program: bool, inputs: Mapping[str, Mapping[str, Any]]) -> Refusal | None:
    for part in parts:
        if not isinstance(part, Placeholder):
            continue
        listed = part.name in inputs and inputs[part.name].get("type") in _LISTS
        if program:
            return Refusal("program", "the program itself cannot be a placeholder", part.column)
        if part.spread and len(parts) > 1:
            return Refusal("spread", f"`{{{part.name}...}}` must be an argument of its own", part.column)
        if part.spread and part.name in inputs and not listed:
            return Refusal("spread", f"`{part.name}` is not a list; write {{{part.name}}}", part.column)
        if listed and not part.spread:
            return Refusal("spread", f"`{part.name}` is a list; write {{{part.name}...}}", part.column)
    return None


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str):
        raise ToolError(f"`{name}` must be text, a number, or true or false")
    bad = _CONTROL.search(value.replace("\t", " "))
    if bad is not None:
        raise ToolError(f"`{name}` contains the control character U+{ord(bad[0]):04X}")
    return value


def _admits_dash(declaration: Mapping[str, Any], value: Any) -> bool:
    """Whether the manifest said that this value may begin with `-`: by a pattern, an enum or a negative minimum."""
    if declaration.get("type") in _LISTS and isinstance(declaration.get("items"), Mapping):
        declaration = declaration["items"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        least = declaration.get("minimum", declaration.get("exclusiveMinimum"))
        return isinstance(least, int | float) and least < 0
    if "enum" in declaration:
        return True
    pattern = declaration.get("pattern")
    values = value if isinstance(value, list | tuple) else [value]
    return isinstance(pattern, str) and all(isinstance(v, str) and re.search(pattern, v) for v in values)
