"""What searching memories costs with 1,000, 10,000 and 100,000 of them, beside what SQLite alone asks for it.

Prints the time to build the index, and to build it anew beside those who search, to search it (95 of 100 searches are
quicker), to find a file that was edited by hand just before, what a look at the stamps of all files would take, and
what the memories cost that a conversation begins with. The floor is FTS5 by itself in the same run: the same texts in
one bare table, asked for any of the same words, ranked, with nothing around it. On a busy machine, `--cpu` shows the
time of the processor instead of the clock's. From tests:

    python -m bench.memory [--notes 1000 10000 100000] [--asked 300] [--cpu]
"""

from __future__ import annotations

import argparse
import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from openclaw import prompt
from openclaw.clock import SystemClock
from openclaw.tools import _words
from openclaw.tools.memory import Memory

WORDS = 30_000
LENGTH = 110  # words of a note
ASKED = 300  # searches of each kind
FOLDERS = 20
CPU = False


class Language:
    """A made-up language whose words are as unequal as those of real ones (Zipf)."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        letters = "bcdfghklmnprstvz"
        syllables = [a + b for a in letters for b in "aeiou"]
        made = {"".join(self.chance.choices(syllables, k=self.chance.randint(2, 4))) for _ in range(WORDS * 2)}
        self.words = sorted(made)[:WORDS]
        self.chance.shuffle(self.words)
        self._weights = list(accumulate(1 / (rank + 5) for rank in range(len(self.words))))

    def text(self, length: int) -> str:
        return " ".join(self.chance.choices(self.words, cum_weights=self._weights, k=length))

    def among(self, first: int, last: int) -> str:
        return self.words[self.chance.randrange(first, last)]


def questions(language: Language) -> dict[str, list[str]]:
    """Kinds of searches: how common the words in them are is what decides."""
    many = range(ASKED)
    return {
        "one rare word": [language.among(5_000, WORDS) for _ in many],
        "one common word": [language.among(0, 20) for _ in many],
        "a question": [f"what is the {language.text(3)} of {language.among(500, 5000)}?" for _ in many],
        "a phrase": [f'"{language.among(0, 200)} {language.among(0, 200)}"' for _ in many],
        "a beginning": [f"{language.among(1_000, WORDS)[:5]}*" for _ in many],
    }


def fill(folder: Path, language: Language, count: int) -> Iterator[str]:
    for number in range(count):
        text = language.text(LENGTH)
        place = folder / f"topic-{number % FOLDERS}"
        if number < FOLDERS:
            place.mkdir(parents=True)
        (place / f"{number}.md").write_text(f"---\ncreated: 2026-01-{number % 28 + 1:02}\n---\n\n{text}\n")
        yield text


def spread(times: Sequence[float]) -> str:
    found = sorted(times)
    return f"{found[len(found) // 2] * 1000:8.2f} {found[int(len(found) * 0.95)] * 1000:8.2f}"


def clock() -> float:
    return time.process_time() if CPU else time.perf_counter()


def timed(work: Callable[[], object]) -> float:
    begun = clock()
    work()
    return clock() - begun


def whole(memory: Memory) -> None:
    """Until all is read: one question waits only so long."""
    while memory.list("", 1).unread:
        pass


def begun(memory: Memory) -> int:
    """What a conversation begins with; how many characters that has."""
    found = memory.offered("", prompt.OFFERED + 1)
    notes = tuple((one.name, one.text, one.author) for one in found)
    remembered = prompt.Remembered(notes, more=len(found) > prompt.OFFERED)
    return len("\n".join(prompt._offered(remembered)))


def floor(file: Path, texts: Sequence[str]) -> tuple[sqlite3.Connection, float]:
    db = sqlite3.connect(file, isolation_level=None)
    db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;")
    db.execute("CREATE VIRTUAL TABLE t USING fts5 (body, tokenize = 'porter unicode61')")
    begun = clock()
    db.execute("BEGIN")
    db.executemany("INSERT INTO t VALUES (?)", ((text,) for text in texts))
    db.execute("COMMIT")
    return db, clock() - begun


def bare(db: sqlite3.Connection, question: str) -> None:
    asked = _words.query(question)
    terms = [f'"{term}"' for term in (*asked.words, *asked.phrases)] + [f'"{term}"*' for term in asked.prefixes]
    db.execute("SELECT body FROM t WHERE t MATCH ? ORDER BY rank LIMIT 5", (" OR ".join(terms),)).fetchall()


def stamps(folder: Path) -> None:
    for below in os.scandir(folder):
        for entry in os.scandir(below):
            entry.stat(follow_symlinks=False)


def edited(folder: Path, memory: Memory, count: int) -> Iterator[float]:
    for number in range(20):
        with (folder / f"topic-{number % FOLDERS}" / f"{number}.md").open("a") as file:
            file.write(f"\nxq{number}{count}\n")
        yield timed(lambda number=number: memory.search("", f"xq{number}{count}"))  # type: ignore[misc]


def measure(root: Path, count: int) -> None:
    language = Language(count)
    texts = list(fill(root / "memory", language, count))
    bare_db, bare_build = floor(root / "bare.db", texts)
    memory = Memory(root / "memory", root / "search.db", SystemClock(), watched=True)
    memory.open()
    used = time.process_time()
    built = timed(lambda: whole(memory))
    used = time.process_time() - used
    size = sum(file.stat().st_size for file in root.glob("search.db*")) / 2**20
    print(f"{count:,} notes: index built in {built:.1f} s, {used:.1f} s of it CPU, {size:.0f} MB")
    print(f"  bare FTS5, without reading files, {bare_build:.1f} s")
    print(f"  {'':<18} {'p50 ms':>8} {'p95 ms':>8}   {'floor p50':>9} {'p95':>8}")
    every: list[float] = []
    under: list[float] = []
    for kind, asked in questions(language).items():
        took = [timed(lambda one=one: memory.search("", one)) for one in asked]  # type: ignore[misc]
        least = [timed(lambda one=one: bare(bare_db, one)) for one in asked]  # type: ignore[misc]
        every += took
        under += least
        print(f"  {kind:<18} {spread(took)}    {spread(least)}")
    print(f"  {'all of these':<18} {spread(every)}    {spread(under)}")
    print(f"  {'edited by hand':<18} {spread(list(edited(root / 'memory', memory, count)))}")
    print(f"  {'stamps of all':<18} {spread([timed(lambda: stamps(root / 'memory')) for _ in range(5)])}", flush=True)
    print(f"  {'a conversation':<18} {spread([timed(lambda: begun(memory)) for _ in range(50)])}", end="")
    print(f"    {begun(memory):,} characters of memories in its first message")
    memory.close()
    anew = Memory(root / "memory", root / "search.db", SystemClock())
    anew.open()
    print(f"  built anew beside those who search in {timed(lambda: anew.rebuild(lambda done, of: None)):.1f} s")
    anew.close()
    again = Memory(root / "memory", root / "search.db", SystemClock(), watched=True)
    again.open()
    print(f"  first search of the next process {timed(lambda: again.search('', 'x')) * 1000:.0f} ms", flush=True)
    again.close()
    bare_db.close()


def main() -> None:
    global CPU, ASKED
    parser = argparse.ArgumentParser(description="what searching memories costs")
    parser.add_argument("--notes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--asked", type=int, default=ASKED, help="searches of each kind")
    options = parser.parse_args()
    CPU, ASKED = options.cpu, options.asked
    for count in options.notes:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), count)


if __name__ == "__main__":
    main()
