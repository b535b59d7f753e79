"""A long conversation made from a seed: about a shop's software, with identifiers, paths, numbers and open tasks.

    entries, planted = talk(seed=7, tokens=200_000)

`planted` is what a summary must not lose: each was said by the person or the agent, some of it once and long ago.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from openclaw.messages import AssistantEntry, Entry, Intent, Result, Usage, UserEntry
from openclaw.plain import guess

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
SETUP = "setup-of-the-talk"
_TEXT = """\
the order queue then waits until stock is counted again because a parcel was lost on its way and nobody had told the
office so we look at it once more with care before the next delivery leaves while customers ask when their goods will
come and the driver says that snow has closed the pass for two days which makes it late for all of them
"""
_WORDS = _TEXT.split()


class _Talk:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.planted: list[str] = []
        self.at = START

    def prose(self, words: int) -> str:
        return " ".join(self.chance.choice(_WORDS) for _ in range(words))

    def plant(self) -> str:
        number = self.chance.randrange(1000, 9999)
        word = self.chance.choice(_WORDS)
        planted = self.chance.choice(
            [
                f"SHOP-{number}",
                f"/srv/shop/{word}/part{number}.csv",
                f"https://shop.example/{word}/{number}?page=2",
                f"{number}.{number % 97:02d}",
                f"{word}_{number}",
                f"{self.chance.randrange(16**10):010x}a1",
                f"{word}.{number}@shop.example",
            ]
        )
        self.planted.append(planted)
        return planted

    def turn(self, n: int) -> Iterator[Entry]:
        self.at += timedelta(minutes=self.chance.randrange(1, 90))
        says = f"{self.prose(60)}. It is about {self.plant()}, {self.prose(40)}."
        if n % 9 == 4:
            task = f"ask the depot about pallet {self.chance.randrange(10**6)} before Friday"
            self.planted.append(task)
            says += f"\n- [ ] {task}"
        yield UserEntry(f"u{n}", self.at, ({"type": "text", "text": says},), f"m{n}")
        call = {"type": "tool_use", "id": f"toolu_{n}", "name": "list_files", "input": {"path": self.plant()}}
        yield self.answer(f"a{n}", (self.thought(n), call), "tool_use")
        yield Intent(f"i{n}", self.at, f"toolu_{n}", "list_files", call["input"])
        listing = "\n".join(f"{self.prose(9)} {self.chance.randrange(10**7)}" for _ in range(12))
        yield Result(f"r{n}", self.at, f"toolu_{n}", listing, False)
        yield self.answer(f"b{n}", (self.thought(n), {"type": "text", "text": self.prose(150)}), "end_turn")

    def answer(self, id: str, content: tuple[dict[str, object], ...], stop: str) -> AssistantEntry:
        return AssistantEntry(id, self.at, content, "m", stop, Usage(), SETUP)

    @staticmethod
    def thought(n: int) -> dict[str, object]:
        return {"type": "thinking", "thinking": f"thought {n}", "signature": "of-long-ago"}


def talk(seed: int, tokens: int) -> tuple[list[Entry], list[str]]:
    made, entries, size = _Talk(seed), list[Entry](), 0
    while size < tokens:
        turn = list(made.turn(len(entries)))
        entries += turn
        size += guess(turn)
    return entries, made.planted
