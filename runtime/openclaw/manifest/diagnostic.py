"""A mistake in a manifest, as a value: what was found, where, and what would be right.

Law: a diagnostic never carries a secret, never repeats a parser's own words, and always points at a
place in a file. Knows nothing of YAML, schemas or how it is printed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Span:
    """A token's place: 1-based lines and columns in code points, the end column exclusive."""

    file: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Related:
    """Another place that belongs to the mistake, with a word on how."""

    file: str
    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    code: str
    severity: Severity
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    message: str
    help: str | None = None
    related: tuple[Related, ...] = ()

    @property
    def order(self) -> tuple[str, int, int, str, str]:
        return (self.file, self.line, self.column, self.code, self.message)


def error(code: str, span: Span, message: str, help: str | None = None, related: Iterable[Related] = ()) -> Diagnostic:
    return _at(span, code, "error", message, help, related)


def warning(
    code: str, span: Span, message: str, help: str | None = None, related: Iterable[Related] = ()
) -> Diagnostic:
    return _at(span, code, "warning", message, help, related)


def see(span: Span, message: str) -> Related:
    return Related(span.file, span.line, span.column, message)


def arrange(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sorted by place; one mistake reached twice (through an alias, say) is told once."""
    unique = {(d.file, d.line, d.column, d.code, d.message): d for d in diagnostics}
    return tuple(sorted(unique.values(), key=lambda d: d.order))


def _at(
    span: Span, code: str, severity: Severity, message: str, help: str | None, related: Iterable[Related]
) -> Diagnostic:
    return Diagnostic(
        code,
        severity,
        span.file,
        span.line,
        span.column,
        span.end_line,
        span.end_column,
        _short(message, 400),
        help and _short(help, 1000),
        tuple(related),
    )


def _short(text: str, most: int) -> str:
    """One line of bearable length: a name in a hostile file may be a megabyte."""
    line = "".join(char if char.isprintable() else " " for char in text[: most + 1])
    return line if len(line) <= most else f"{line[: most - 3]}..."


CODES: dict[str, str] = {
    # the file
    "file": "A manifest is a regular, readable file; links that lead in a circle, pipes and folders are not.",
    "file-name": "Manifests are found by their names: agents/<id>.yaml, tools.yaml, channels.yaml and so on.",
    "file-size": "A manifest holds at most 1 MiB.",
    "encoding": "Manifests are UTF-8 text without control characters.",
    "empty": "The file holds no manifest: it is empty, or everything in it is a comment.",
    # YAML
    "yaml": "The line cannot be read as YAML.",
    "yaml-alias": "`*name` repeats what `&name` marked earlier in the same file; text that starts so is quoted.",
    "yaml-alias-size": "Aliases may expand a file to 100,000 values at most, and never contain themselves.",
    "yaml-block": "A block of text (`|` or `>`) ends at the first line that is indented less than it.",
    "yaml-bracket": "Every `[` and `{` is closed, with commas between what stands inside.",
    "yaml-character": "Text that starts with one of `@ ` % & * ! | > ?` is quoted.",
    "yaml-colon": "A key is followed by a colon and a space; text that holds `: ` is quoted.",
    "yaml-conflict": "The file holds the markers of an unresolved merge.",
    "yaml-depth": "Values may be nested 100 levels deep at most.",
    "yaml-documents": "A manifest is one YAML document.",
    "yaml-duplicate": "A key stands once in a mapping.",
    "yaml-escape": "In double quotes a backslash starts an escape; single quotes take everything as it is.",
    "yaml-indent": "Keys of one mapping start in the same column.",
    "yaml-key": "Keys are text.",
    "yaml-merge": "`<<` merges mappings.",
    "yaml-number": "The number is too large to be kept exactly.",
    "yaml-quote": "A value in quotes ends with the same quote, and nothing follows it on the line.",
    "yaml-tab": "YAML is indented with spaces; tabs are refused.",
    "yaml-tag": "Tags (`!word`) have no meaning in manifests; text that starts with `!` is quoted.",
    # shape
    "unknown-key": "The key has no meaning in this place.",
    "missing-key": "A required key is missing.",
    "exclusive-keys": "Of some keys exactly one may be given.",
    "empty-value": "The key is there and has no value.",
    "wrong-type": "The value is of another type than the key takes.",
    "wrong-value": "The value is of the right type and outside what the key takes.",
    # placeholders and secrets
    "placeholder": "Placeholders are written ${NAME}, ${NAME:-default} or ${file:PATH}.",
    "placeholder-place": "Names, descriptions, prompts, policies, commands and lists of tools take no placeholders.",
    "variable-unset": "The environment variable has no value, neither in the environment nor in .env.",
    "secret-file": "The file named by ${file:PATH} cannot be read.",
    "secret-literal": "A secret stands in the file; manifests are shared, so it belongs in the environment.",
    "env-file": "Lines of .env are NAME=value.",
    "env-ignored": ".env gives values for placeholders and the model's key; it never configures the runtime.",
    # references
    "unknown-tool": "No tool of this name is built in or described in tools.yaml.",
    "unknown-policy": "No policy of this name is described.",
    "unknown-model": "The model is neither an alias in models.yaml nor an id this build knows.",
    "unknown-channel": "No channel of this name is described in channels.yaml.",
    "unknown-agent": "No agent has this id.",
    "unknown-person": "No person of this name is described in channels.yaml.",
    "unknown-room": "No room of this name is described in channels.yaml.",
    "unknown-heartbeat": "No heartbeat of this name is described in heartbeats.yaml.",
    "unknown-group": "No person belongs to this group.",
    "missing-file": "A file that a manifest names is not there.",
    "address": "An address is the channel's key, a colon and the channel's own id: telegram:12345.",
    # agents
    "no-agents": "A project has at least one agent.",
    "agent-id": "An agent's id is its file's name: lower-case letters, digits and dashes, once in the project.",
    "default-agent": "Exactly one agent is the default, unless there is only one.",
    "prefix": "A prefix leads to one agent and is not a built-in command.",
    "soul": "A soul is a text file inside the project, and not empty.",
    "workspace": "A workspace is `own`, `shared`, or an absolute path outside the project.",
    "tool-denied": "The agent is given a tool that its policy always denies, so the model never sees it.",
    # tools
    "tool-name": "Tools and policies have names of their own.",
    "tool-input": "An input's declaration contradicts itself.",
    "template": "The command of a shell tool cannot be split safely.",
    "template-input": "Placeholders of a template and declared inputs agree, both ways.",
    "python-import": "The Python callable cannot be loaded.",
    "python-mark": "Only callables marked @openclaw.tool may be named.",
    "python-signature": "The declared inputs do not fit the callable's parameters.",
    # policies
    "policy-include": "Policies may include others, but not in a circle.",
    "policy-floor": "`floor` joins every policy and holds only ask and deny rules.",
    "rule-matches-nothing": "The rule matches no tool, so it decides nothing.",
    "rule-too-wide": "The rule would let any command or any tool run unasked.",
    "rule-pointless": "Another rule of the same policy makes this one pointless.",
    "rule-pattern": "The pattern of a rule cannot be read.",
    "rule-condition": "The rule's conditions do not fit the tools it names.",
    "rule-test": "One of the rule's own tests fails.",
    "rule-network": "`network` is for rules that let commands run, or ask about them.",
    "writes-nothing": "A template that writes is allowed unasked, and may not write in the workspace.",
    "policy-repository": "A trusted repository is named by the whole path of its root.",
    "rule-until": "`until` is a date or a time: 2027-01-31 or 2027-01-31T18:00:00Z.",
    # schedule, channels, models
    "cron": "A schedule has five fields (minute hour day month weekday) or is a name such as @daily.",
    "cron-often": "The schedule fires very often, and every time asks the model.",
    "cron-both-days": "With day and weekday both given, either is enough.",
    "timezone": "A time zone is an IANA name such as Europe/London.",
    "active-hours": "Some time of a heartbeat's schedule lies in its active hours.",
    "jitter": "A heartbeat is late on purpose by less than the time between two of its runs.",
    "max-cost": "What a run costs can be limited only where the price of the model is known.",
    "check-wake": "`after`, `repeat` and `recovered` of a check speak of what lasts, so not of changes.",
    "check-policy": "Nobody is asked about the call of a check, so the policy must allow it.",
    "channel-twice": "Two channels cannot share a port or the terminal.",
    "channel-webhook": "A Telegram webhook comes in by the HTTP channel, so there must be one.",
    "channel-intent": "Discord shows all messages of a server only to bots with the message content intent.",
    "channel-open": "A server that other machines can reach needs a token of at least 32 characters.",
    "fallback": "Models stand in for each other along a way that has an end.",
    "script": "The script of a `scripted` model cannot be followed.",
    "person-twice": "An id belongs to one person.",
}
"""Every code with its one-line explanation."""
