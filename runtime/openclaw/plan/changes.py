"""What a plan is made of: changes, as values. Knows no snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from openclaw.permissions.policy import Origin

Kind: TypeAlias = Literal[
    "agent", "tool", "policy", "channel", "person", "room", "heartbeat", "model",
    "route", "restart", "variable", "permission",
]  # fmt: skip
What: TypeAlias = Literal[
    "added", "removed", "changed", "starts", "stops", "restarts", "takes over",
    "widens", "may widen", "tightens", "may tighten",
]  # fmt: skip
WIDER: Final = frozenset({"widens", "may widen"})


@dataclass(frozen=True, slots=True)
class Field:
    """A key whose value became another one, as shown to people: None is a value that is not there. For a list, what
    came and what went. `at`: where the new value stands, or the old one stood."""

    name: str
    old: str | None = None
    new: str | None = None
    came: tuple[str, ...] = ()
    went: tuple[str, ...] = ()
    at: Origin | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a reload would change. `words` say it in one sentence where the fields do not."""

    kind: Kind
    name: str
    what: What
    words: str = ""
    fields: tuple[Field, ...] = ()
    agents: tuple[str, ...] = ()  # whom a permission is about
    example: str = ""  # a call that is judged otherwise
    fires: tuple[str, ...] = ()  # of a heartbeat, ISO 8601 with the zone's offset
    secret: bool = False  # of a variable
    at: tuple[Origin, ...] = ()

    @property
    def widens(self) -> bool:
        return self.what in WIDER
