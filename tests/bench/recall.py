"""How often a search finds the turn of a conversation that answers a question, among its first ten.

The conversations are made up here, from a seed: two people talk for some hundreds of turns, facts among small talk. The
questions ask for the facts in other words: half of them hold another form of one of the turn's words, half share only
a name with it, which no search by words can tell from small talk about the same person. So the figures compare searches
and say little beyond. Compared on the same turns: any word of the question (those that hold most of them first), bare
FTS5, FTS5 with stop words and porter's stems, ours, and ours with the turns just before and after each that fits, which
take the places of others among the ten. Talks are of two kinds: in one each turn says all there is to say, as notes do;
in the other every fact is asked for and answered in half a sentence, as in a conversation that was kept word for word:
the answer is what must be found. From the tests folder:

    python -m bench.recall [--conversations 20] [--turns 600] [--seed 7]
"""

from __future__ import annotations

import argparse
import random
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from openclaw.clock import SystemClock
from openclaw.tools import _words
from openclaw.tools.memory import Memory

FIRST = 10
NAMES = (
    "Ada", "Ben", "Chloe", "David", "Elena", "Farid", "Greta", "Hugo", "Iris", "Jonas", "Kira", "Luis", "Mara",
    "Nils", "Olga", "Pavel",
)  # fmt: skip
PLACES = (
    "Lisbon", "Oslo", "Kyoto", "Porto", "Vienna", "Tallinn", "Seville", "Bergen", "Ghent", "Turin", "Galway",
    "Split",
)  # fmt: skip
THINGS = (
    "piano", "violin", "bicycle", "telescope", "kayak", "camera", "loom", "drone", "sewing-machine",
    "accordion", "easel", "canoe",
)  # fmt: skip
PETS = (
    "Biscuit", "Pepper", "Mochi", "Juno", "Clover", "Ziggy", "Olive", "Waffles", "Nimbus", "Poppy", "Toast",
    "Maple",
)  # fmt: skip
FOODS = (
    "peanuts", "shellfish", "gluten", "strawberries", "mushrooms", "dairy", "sesame", "celery", "coriander",
    "kiwis", "mustard", "lupins",
)  # fmt: skip
JOBS = (
    "nurse", "carpenter", "translator", "beekeeper", "geologist", "baker", "archivist", "welder", "florist",
    "surveyor", "tailor", "pilot",
)  # fmt: skip
# What is said, and how it is asked for weeks later.
FACTS = (
    ("{name} finally moved to {place} last spring.", "Where did {name} move to?"),
    ("We went hiking near {place} with {name} and it rained all day.", "Where did they hike with {name}?"),
    ("{name} bought a second-hand {thing} at the flea market.", "What did {name} purchase?"),
    ("{name} has started lessons, so the {thing} is out every evening.", "What does {name} take a lesson in?"),
    ("{name}'s puppy is called {pet} and chews everything.", "What is the name of {name}'s dog?"),
    ("They adopted {pet} from the shelter, {name} is over the moon.", "Which animal was {name} adopting?"),
    ("{name} can't eat {food}, the last time ended in hospital.", "What is {name} allergic to?"),
    ("No {food} in the cake, please, or {name} gets a rash.", "Which food must be avoided for {name}?"),
    ("{name} works as a {job} now and loves it.", "What kind of work does {name} do?"),
    ("After years in an office {name} retrained as a {job}.", "What career change did {name} make?"),
    ("{name} is getting married in {place} next June.", "Where will {name} marry?"),
    ("{name} broke a leg skiing and sits at home with {pet}.", "How was {name} injured?"),
)
# What is asked, what is answered, and how that is asked for weeks later.
ANSWERED = (
    ("Where did you move to, {name}?", "To {place}, last spring.", "Where did {name} move to?"),
    ("{name}, what did you get at the flea market?", "An old {thing}, it still works.", "What did {name} purchase?"),
    ("{name}, what is your puppy called?", "{pet}, and it chews everything.", "What is the name of {name}'s dog?"),
    ("Is there anything you can't eat, {name}?", "Only {food}, since the hospital.", "What is {name} allergic to?"),
    ("What do you do for a living, {name}?", "I'm a {job} now, and love it.", "What kind of work does {name} do?"),
    ("Where will the wedding be, {name}?", "In {place}, next June.", "Where will {name} marry?"),
)
SMALL = (
    "How was your week, {name}?",
    "I talked to {name} on the phone, all well.",
    "The weather in {place} is awful.",
    "Did you see the film about {place}? {name} liked it.",
    "I could eat {food} every day.",
    "My {thing} needs a repair.",
    "{name} says hello.",
    "Haha, that is so like {name}.",
    "Remind me to call {name}.",
    "What do you think of {place}?",
    "A {job} came by about the roof.",
    "Where did the summer go?",
    "The trip took the others a while.",
    "{pet} barked all night.",
    "What is the name of that song?",
    "I must get a new job, this one is dull.",
    "Which food shall I bring?",
    "Take care, {name}!",
)

Find = Callable[[str], Sequence[int]]


def conversation(chance: random.Random, turns: int, *, answered: bool) -> tuple[list[str], list[tuple[str, int]]]:
    """What is said, and the questions, each with the turn that answers it."""

    def filled(text: str, name: str) -> str:
        words = {"name": name, "place": PLACES, "thing": THINGS, "pet": PETS, "food": FOODS, "job": JOBS}
        chosen = {key: value if isinstance(value, str) else chance.choice(value) for key, value in words.items()}
        return text.format(**chosen)

    said = [filled(chance.choice(SMALL), chance.choice(NAMES)) for _ in range(turns)]
    kinds = ANSWERED if answered else tuple(("", *fact) for fact in FACTS)
    facts = [(fact, name) for fact in kinds for name in NAMES]
    places = chance.sample(range(1, turns, 2), 60)
    asked = []
    for ((before, fact, question), name), place in zip(chance.sample(facts, 60), places, strict=True):
        if before:
            said[place - 1] = filled(before, name)
        said[place] = filled(fact, name)
        asked.append((question.format(name=name), place))
    return said, asked


def any_word(said: Sequence[str]) -> Find:
    turns = [set(re.findall(r"\w+", text.lower())) for text in said]

    def find(question: str) -> Sequence[int]:
        wanted = set(re.findall(r"\w+", question.lower()))
        hits = [(len(wanted & words), number) for number, words in enumerate(turns)]
        return [number for count, number in sorted(hits, key=lambda hit: -hit[0]) if count][:FIRST]

    return find


def bare(said: Sequence[str], tokenize: str, terms: Callable[[str], Sequence[str]]) -> Find:
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE VIRTUAL TABLE t USING fts5 (body, tokenize = '{tokenize}')")
    db.executemany("INSERT INTO t (rowid, body) VALUES (?, ?)", enumerate(said))

    def find(question: str) -> Sequence[int]:
        asked = " OR ".join(f'"{term}"' for term in terms(question))
        return [row[0] for row in db.execute("SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10", (asked,))]

    return find


def ours(memory: Memory, around: int) -> Find:
    return lambda question: [int(one.name) for one in memory.search("", question, FIRST, around)][:FIRST]


def kept(root: Path, said: Sequence[str]) -> Memory:
    """One note a turn, as an agent would keep them: an hour apart, up to now."""
    (root / "memory").mkdir()
    began = datetime.now(UTC) - timedelta(hours=len(said))
    for number, text in enumerate(said):
        at = (began + timedelta(hours=number)).isoformat(timespec="seconds")
        (root / "memory" / f"{number}.md").write_text(f"---\ncreated: {at}\n---\n{text}\n")
    memory = Memory(root / "memory", root / "search.db", SystemClock(), watched=True)
    memory.open()
    return memory


def hits(chance: random.Random, turns: int, *, answered: bool) -> Iterator[tuple[str, bool]]:
    said, asked = conversation(chance, turns, answered=answered)
    with tempfile.TemporaryDirectory() as folder:
        memory = kept(Path(folder), said)
        ways = {
            "any word": any_word(said),
            "FTS5": bare(said, "unicode61", _words.words),
            "FTS5, stop words, porter": bare(said, "porter unicode61", _words.terms),
            "ours": ours(memory, 0),
            "ours and their neighbours": ours(memory, 1),
        }
        for question, answer in asked:
            for name, find in ways.items():
                yield name, answer in find(question)
        memory.close()


def measure(conversations: int, turns: int, seed: int, *, answered: bool) -> None:
    chance = random.Random(seed)
    found: dict[str, list[bool]] = {}
    for _ in range(conversations):
        for name, hit in hits(chance, turns, answered=answered):
            found.setdefault(name, []).append(hit)
    print(
        "facts asked for and answered in half a sentence" if answered else "facts that are said in a turn of their own"
    )
    for name, each in found.items():
        print(f"  {name:<26} {sum(each) / len(each):6.1%} of {len(each):,} questions", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="how often a search finds what answers a question")
    parser.add_argument("--conversations", type=int, default=20)
    parser.add_argument("--turns", type=int, default=600)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    print(f"evidence recall@{FIRST}: {options.conversations} talks of {options.turns} turns, seed {options.seed}")
    for answered in (False, True):
        measure(options.conversations, options.turns, options.seed, answered=answered)


if __name__ == "__main__":
    main()
