"""A call as a person sees it before they answer: all of it, one argument a line, nothing hidden."""

from __future__ import annotations

import json
from collections.abc import Iterable

from openclaw.permissions.grammar import visible_letter
from openclaw.permissions.policy import Attempt, Decision
from openclaw.words import CommandLine

WARNING = "warning: some characters below are written as \\u{..}; they are not plain ASCII and may mislead"


def lines(attempt: Attempt, decision: Decision) -> tuple[str, ...]:
    """Never shortened. A warning comes first where anything had to be escaped."""
    shown = list(_command(decision.command) if decision.command is not None else _inputs(attempt))
    warned = [WARNING] if any("\\u{" in line for line in shown) else []
    return (*warned, attempt.tool.name, *shown, *_programs(decision.command))


def _programs(command: CommandLine | None) -> Iterable[str]:
    """The files that will run, not indented as every argument is: so no argument can pass for them."""
    found = dict.fromkeys(step.program for step in (command.steps if command is not None else ()) if step.program)
    if found:
        yield f"runs {', '.join(map(escaped, found))}"


def _command(command: CommandLine) -> Iterable[str]:
    for step in command.steps:
        if step.after:
            yield f"  {step.after}"
        for index, argument in enumerate(step.argv):
            yield f"  {'' if index == 0 else '  '}{escaped(argument) or repr('')}"
        if step.stdout == "null":
            yield "    >/dev/null"
        if step.stderr:
            yield "    2>/dev/null" if step.stderr == "null" else "    2>&1"
    if command.confinement is not None and command.confinement.network:
        yield "  (it may use the network)"
    if command.confinement is not None and command.confinement.opened:
        yield f"  (it may change {', '.join(f'.git/{name}' for name in command.confinement.opened)})"
    if command.confinement is not None and command.confinement.settings:
        yield "  (it may change files that programs obey, such as .gitattributes, .vscode and .github/workflows)"


def _inputs(attempt: Attempt) -> Iterable[str]:
    for name, value in attempt.input.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        first, *rest = text.split("\n")
        yield f"  {name}: {escaped(first, letters=True)}"
        yield from (f"    {escaped(line, letters=True)}" for line in rest)


def escaped(text: str, *, letters: bool = False) -> str:
    """Printable ASCII as it is, all else as `\\u{..}`; with `letters`, letters and digits of any script stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char, letters) for char in text)


def _shown(char: str, letters: bool) -> str:
    if char == "\\":
        return "\\\\"
    if (char.isascii() and char.isprintable()) or (letters and visible_letter(char)):
        return char
    return f"\\u{{{ord(char):x}}}"
