"""Keys to file names, injective, case-safe and readable, and names that nobody had before. Knows no folder.

`agent:main:user:12345` becomes `agent_main_user_12345`. Lower-case letters, digits and `-` stand for
themselves, `:` is written `_`, every other character as `%xx` per UTF-8 byte. `_` itself is thus `%5f`,
so no two keys meet in one name, and none of them differ by case alone. A name longer than `LONGEST`
keeps its head and ends in a hash of the whole key; stores keep the key in the file's first line and
compare it on load.
"""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass

INCOMING = "incoming"  # in a workspace: files that came with messages
LONGEST = 120
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def file_name(key: str) -> str:
    """The file name, without suffix, of a session or memory key. Never empty, never `.` or `..`."""
    name = "".join(_written(char) for char in key) or "%"
    if len(name) <= LONGEST:
        return name
    # `~` appears in no unshortened name, so a shortened one can never meet one of those.
    return f"{name[: LONGEST - 33]}~{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _written(char: str) -> str:
    if char in _PLAIN:
        return char
    if char == ":":
        return "_"
    return "".join(f"%{byte:02x}" for byte in char.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class Chance:
    """What is left to chance, as a thing that is handed over: ids nobody can guess, and shares from 0 up to 1."""

    hex: Callable[[int], str] = secrets.token_hex  # of so many bytes
    share: Callable[[], float] = random.random

    def fresh(self, prefix: str = "") -> str:
        """A new id that nobody can guess: 128 random bits in hex behind the prefix."""
        return prefix + self.hex(16)


CHANCE = Chance()
"""The system's own."""


def fresh(prefix: str = "") -> str:
    return CHANCE.fresh(prefix)
