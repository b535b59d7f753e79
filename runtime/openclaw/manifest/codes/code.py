"""What one code of a diagnostic stands for: the law it guards, and a project that breaks it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Files: TypeAlias = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Code:
    """`what` says in one sentence what is right. `bad` and `good` lay files (path in the project -> text, None for one
    that is not there) over the small sound project of `sound.py`: with `bad` exactly this code is told, once; with
    `good` nothing. `unshown` says why no text of a file can show the code, where none can."""

    what: str
    bad: Files = field(default_factory=dict)
    good: Files = field(default_factory=dict)
    unshown: str = ""

    def text(self) -> str:
        """All of it in plain text."""
        wrong = "\n".join(_indented("Wrong", self.bad))
        right = "\n".join(_indented("Right", self.good))
        return "\n\n".join(part for part in (self.what, self.unshown, wrong, right) if part)

    def markdown(self) -> str:
        parts = (self.what, self.unshown, *fenced("Wrong", self.bad), *fenced("Right", self.good))
        return "\n\n".join(part for part in parts if part)


def _indented(word: str, files: Files) -> Iterator[str]:
    for file, text in files.items():
        if text is None:
            yield f"{word}: without {file}."
        else:
            yield f"{word}, {file}:"
            yield from (f"    {shown(line)}" if line else "" for line in text.splitlines())


def fenced(word: str, files: Files) -> Iterator[str]:
    """A paragraph of Markdown for each file."""
    for file, text in files.items():
        if text is None:
            yield f"{word}: without `{file}`."
        else:
            body = "\n".join(map(shown, text.splitlines()))
            yield f"{word}, `{file}`:\n\n~~~{_language(file)}\n{body}\n~~~"


def _language(file: str) -> str:
    return {"yaml": "yaml", "py": "python"}.get(file.rpartition(".")[2], "text")


def shown(line: str) -> str:
    """A line of an example as it can be printed: short, with control characters but tabs as signs one can see."""
    line = "".join(c if c.isprintable() or c == "\t" else "�" for c in line)
    return line if len(line) <= 100 else f"{line[:90]} ... ({len(line):,} characters)"
