"""Keys to file names: injective, case-safe, readable. Pure; knows no folder.

`agent:main:user:12345` becomes `agent_main_user_12345`. Lower-case letters, digits and `-` stand for
themselves, `:` is written `_`, every other character as `%xx` per UTF-8 byte. `_` itself is thus `%5f`,
so no two keys meet in one name, and none of them differ by case alone. A name longer than `LONGEST`
keeps its head and ends in a hash of the whole key; stores keep the key in the file's first line and
compare it on load.
"""

from __future__ import annotations

import hashlib
import secrets

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


def fresh(prefix: str = "") -> str:
    """A new id that nobody can guess: 128 random bits in hex behind the prefix."""
    return prefix + secrets.token_hex(16)
