#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["anthropic>=2.12,<3", "croniter>=6,<8"]
# ///
"""An assistant in one file, to be read from top to bottom: each part is one idea, and uses only the parts above it.

    uv run mini-openclaw.py                  talk to it; without a key a tiny demo model answers
    uv run mini-openclaw.py "what is here?"  ask once

All that it keeps is text in ~/.openclaw-mini (or MINI_OPENCLAW_HOME). The ideas, in order: what is written is on disk;
a soul is a file; a tool is a function; what is not understood is asked; memory is notes; a session is lines that are
only added to; a long talk is summed up; a message waits on disk until it is answered; a clock writes messages too.
"""

from __future__ import annotations

import asyncio
import fcntl
import inspect
import json
import os
import re
import signal
import sys
import threading
import uuid
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from croniter import croniter

HOME = Path(os.environ.get("MINI_OPENCLAW_HOME", "~/.openclaw-mini")).expanduser()
WORKSPACE, NOTES = HOME / "workspace", HOME / "memory"
BEATS, AGREED = HOME / "heartbeats.jsonl", HOME / "agreed.jsonl"
MODEL = os.environ.get("MINI_OPENCLAW_MODEL", "claude-sonnet-5-5")
STEPS = 20  # model calls in one turn
LONGEST = 20_000  # characters of one tool's result
COMPACT_AT = int(os.environ.get("MINI_OPENCLAW_COMPACT_AT", "200000"))  # characters of a session; it is then summed up

Block = dict[str, Any]
Show = Callable[[str], None]
Ask = Callable[[str], Awaitable[str]]


def now() -> datetime:
    return datetime.now().astimezone()


# ── disk: what was written is there after a power cut ────────────────────────────────────────────
def append(path: Path, line: Any) -> None:
    """One line of JSON at the end of a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def lines(path: Path) -> list[Any]:
    """What was appended. A last line that a crash cut short was never there; a damaged one is told, and passed over."""
    whole = path.read_bytes() if path.exists() else b""
    if whole and not whole.endswith(b"\n"):
        whole = whole[: whole.rfind(b"\n") + 1]
        os.truncate(path, len(whole))
    found = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            found.append(json.loads(line))
        except ValueError:
            warnings.warn(f"{path}:{number} is damaged", stacklevel=2)
    return found


def replace(path: Path, text: str) -> None:
    """The whole new file, or the whole old one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    with fresh.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


# ── agents: a name, a prefix that calls it, a soul, and the tools it may ask for ─────────────────
@dataclass(frozen=True)
class Agent:
    name: str
    prefix: str  # a message that begins with this word goes here; whoever has none answers the rest
    tools: tuple[str, ...]
    first_soul: str

    def soul(self) -> str:
        """Read anew each time, so that an edit of souls/NAME.md counts at once."""
        file = HOME / "souls" / f"{self.name}.md"
        if not file.exists():
            replace(file, self.first_soul)
        return file.read_text("utf-8")


MAIN = Agent(
    "main", "", ("run_command", "read_file", "write_file", "remember", "recall", "every"),
    "You are a personal assistant on your user's own machine. Be brief. Look things up rather than guess, remember "
    "what you are told about people and plans, and say so when a call was refused.",
)  # fmt: skip
SCOUT = Agent(
    "scout", "/scout", ("read_file", "recall"),
    "You find things out in files and notes, and say where they stand. You change nothing.",
)  # fmt: skip
AGENTS = (MAIN, SCOUT)


def route(text: str) -> tuple[Agent, str]:
    """Who answers, and what is left of the message."""
    first, _, rest = text.strip().partition(" ")
    named = [agent for agent in AGENTS if agent.prefix == first]
    return (named[0], rest.strip() or "What are you for?") if named else (MAIN, text.strip())


# ── tools: a function with text for arguments, its name and its docstring ────────────────────────
TOOLS: dict[str, Callable[..., Awaitable[str]]] = {}


def tool(function: Callable[..., Awaitable[str]]) -> Callable[..., Awaitable[str]]:
    TOOLS[function.__name__] = function
    return function


def described(name: str) -> Block:
    names = list(inspect.signature(TOOLS[name]).parameters)
    schema = {"type": "object", "properties": {each: {"type": "string"} for each in names}, "required": names}
    return {"name": name, "description": inspect.getdoc(TOOLS[name]), "input_schema": schema}


def within(path: str) -> Path:
    """A path in the workspace. What leads out of it, openly, by `..` or by a link, is refused."""
    if WORKSPACE.resolve() not in (full := (WORKSPACE / path).resolve()).parents:
        raise PermissionError(f"{path!r} is no file in the workspace")
    return full


@tool
async def read_file(path: str) -> str:
    """Reads a text file of the workspace."""
    if not (file := within(path)).is_file():  # a pipe would be waited for, by everybody
        raise FileNotFoundError(f"{path!r} is not there, or no text file")
    return file.read_text("utf-8", errors="replace")


@tool
async def write_file(path: str, content: str) -> str:
    """Writes a text file of the workspace, whole."""
    replace(within(path), content)
    return f"wrote {path}"


@tool
async def run_command(command: str) -> str:
    """Runs a shell command in the workspace, for a minute at most, and gives its output."""
    harmless = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}  # no keys
    pipe, joined, none = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_shell(
        command, cwd=WORKSPACE, env=harmless, stdin=none, stdout=pipe, stderr=joined, start_new_session=True
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    except TimeoutError:
        raise TimeoutError("it was stopped after a minute") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return f"{output.decode(errors='replace')}(exit code {process.returncode})"


# ── memory: notes that outlive every session ─────────────────────────────────────────────────────
@tool
async def remember(title: str, text: str) -> str:
    """Keeps a lasting fact under a short title; the same title again replaces it."""
    name = re.sub(r"\W+", "-", title.lower()).strip("-")[:60] or "note"
    replace(NOTES / f"{name}.md", text)
    return f"noted as {name}"


@tool
async def recall(words: str) -> str:
    """Finds notes with any of these words, those with most of them first."""
    wanted = set(re.findall(r"[^\W_]+", words.lower()))
    notes = [f"{file.stem}: {file.read_text('utf-8', errors='replace')}" for file in sorted(NOTES.glob("*.md"))]
    hits = {note: len(wanted & set(re.findall(r"[^\W_]+", note.lower()))) for note in notes}
    best = sorted((note for note in notes if hits[note]), key=lambda note: -hits[note])
    return "\n".join(best[:5]) or "nothing is noted about that"


# ── permissions: allow what is known to be harmless, deny what never is, ask about the rest ───────
FREE = {"read_file", "remember", "recall"}  # tools that are never asked about
READERS = {"cat", "du", "echo", "head", "ls", "pwd", "tail", "wc", "whoami"}
NEVER = {"sudo", "su", "doas", "dd", "mkfs", "shutdown", "reboot"}


def decide(name: str, arguments: Block) -> str:
    """`allow`, `ask` or `deny`. Whatever is not understood is asked, never allowed."""
    command = str(arguments.get("command", ""))
    if name != "run_command":
        return "allow" if name in FREE else "ask"
    if NEVER & set(re.split(r"[^\w-]+", command)):
        return "deny"
    if not re.fullmatch(r"[\w ./,:+%-]+", command):  # a quote, a variable, a pipe: a shell makes more of it than we
        return "ask"
    first, *rest = command.split() or [""]
    inside = all((WORKSPACE / word).resolve().is_relative_to(WORKSPACE.resolve()) for word in rest)
    options = [word for word in rest if word.startswith("-")]
    plain = all(re.fullmatch(r"-[achlnrstw\d]+", each) for each in options)  # others may name a file, or wait for ever
    return "allow" if first in READERS and inside and plain else "ask"


async def refused(agent: Agent, name: str, arguments: Block, ask: Ask | None) -> str:
    """Why a call may not run; nothing where it may. `ask` puts a question to a person; None where nobody is there."""
    decision, call = decide(name, arguments), f"{name} {json.dumps(arguments, sort_keys=True)}"
    if name not in agent.tools or decision == "deny":
        return f"{agent.name} may never do this"
    if decision == "allow" or call in lines(AGREED):
        return ""
    if ask is None:
        return "a person has to agree to this, and nobody is here"
    answer = (await ask(f"{agent.name} wants to {call}\n[y]es, [a]lways, [n]o? ")).strip().lower()
    if answer in ("a", "always"):
        append(AGREED, call)
    return "" if answer in ("a", "always", "y", "yes") else "the person said no"


# ── models: a real one, and one that plays at it. Both give blocks, and why they stopped ─────────
class Claude:
    name = MODEL

    def __init__(self) -> None:
        from anthropic import AsyncAnthropic  # takes a second, which the demo does not need

        self._client = AsyncAnthropic()

    async def answer(self, soul: str, messages: list[Any], tools: list[Any], show: Show) -> tuple[list[Block], str]:
        cache: Any = {"type": "ephemeral"}
        async with self._client.messages.stream(
            model=MODEL, max_tokens=16_000, system=soul, messages=messages, tools=tools, cache_control=cache
        ) as stream:
            async for words in stream.text_stream:
                show(words)
            message = await stream.get_final_message()
        blocks = [block.model_dump(mode="json", exclude_unset=True) for block in message.content]
        if message.stop_reason is None:
            raise ConnectionError("the answer broke off")
        if message.stop_reason != "tool_use":  # a call that was cut short looks like a whole one
            blocks = [block for block in blocks if block["type"] != "tool_use"]
        return blocks, message.stop_reason


class Demo:
    """Knows five sentences, and really calls the tools."""

    name = 'a demo. Try "remember that my cat is Minka", "recall cat", "run ls", "run touch a" or "write a.txt words"'
    patterns = (
        (r"remember (?:that )?((.+))", "remember"), (r"(?:recall|what do you know about) (.+)", "recall"),
        (r"run (.+)", "run_command"), (r"read (\S+)", "read_file"), (r"write (\S+) (.+)", "write_file"),
    )  # fmt: skip

    async def answer(self, soul: str, messages: list[Any], tools: list[Any], show: Show) -> tuple[list[Block], str]:
        last = messages[-1]["content"]
        parameters = {each["name"]: each["input_schema"]["required"] for each in tools}
        for pattern, name in self.patterns:
            match = re.fullmatch(pattern, last[0].get("text", "").strip(" ?."), re.IGNORECASE | re.DOTALL)
            if match and name in parameters:
                arguments = dict(zip(parameters[name], match.groups(), strict=True))
                call = {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex}", "name": name, "input": arguments}
                return [call], "tool_use"
        results = [block["content"] for block in last if block["type"] == "tool_result"]
        said = "\n".join(results) if results else f"You said: {last[0]['text']}. I am {self.name}."
        show(said)
        return [text(said)], "end_turn"


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def words_of(blocks: list[Block]) -> str:
    return "".join(block["text"] for block in blocks if block["type"] == "text")


# ── sessions: lines that are only added to, until a long talk is summed up ───────────────────────
class Session:
    """A line is a message to or from the model; the first of a turn has the `id` of what it answers."""

    def __init__(self, name: str) -> None:
        self.file = HOME / "sessions" / f"{name}.jsonl"
        self.entries: list[Block] = lines(self.file)

    def add(self, role: str, content: list[Block], **more: str) -> None:
        append(self.file, entry := {"role": role, "content": content, **more})
        self.entries.append(entry)

    def heal(self) -> None:
        """Calls that a crash left open are answered, and not run again: perhaps they did run."""
        calls = [block for entry in self.entries[-1:] for block in entry["content"] if block["type"] == "tool_use"]
        if calls:
            self.add("user", [result(call, "interrupted; whether it ran is not known", failed=True) for call in calls])

    def give_up(self) -> None:
        """What failed or was stopped has been told: the next message does not answer it as well."""
        if self.entries and self.entries[-1]["role"] == "user":
            self.add("assistant", [text("(this was not answered)")])

    def put_aside(self, fresh: str = "") -> None:
        """In one step, so that there is always an old session or a fresh one."""
        if self.file.exists():
            os.link(self.file, self.file.with_suffix(f".{now():%Y%m%d-%H%M%S-%f}.old"))
            replace(self.file, fresh)

    async def compact(self, model: Claude | Demo) -> None:
        """What was said becomes a summary of it; or nothing changes."""
        talk = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in self.entries)
        if len(talk) < COMPACT_AT:
            return
        wish = f"Sum up this talk for whoever carries it on; keep names, numbers, paths and open tasks exactly.\n{talk}"
        asked = [{"role": "user", "content": [text(wish)]}]
        summary, _ = await model.answer("You sum up.", asked, [], lambda words: None)
        if not words_of(summary):
            raise ConnectionError("the summary came out empty")
        self.entries = [
            {"role": "user", "content": [text(f"Before this you talked about:\n{words_of(summary)}")]},
            {"role": "assistant", "content": [text("I know.")]},
        ]
        self.put_aside("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in self.entries))


def result(call: Block, said: str, *, failed: bool) -> Block:
    cut = said if len(said) <= LONGEST else f"{said[:LONGEST]}\n(cut off; it has {len(said)} characters)"
    return {"type": "tool_result", "tool_use_id": call["id"], "content": cut or "(nothing)", "is_error": failed}


# ── a turn: ask the model, run what it asks for, until it asks for nothing more ──────────────────
async def turn(agent: Agent, id: str, said: str, model: Claude | Demo, ask: Ask | None, show: Show) -> str:
    """Answers one message, or carries on where a crash came in between. Each thing is on disk before what follows
    from it: the message before the model is asked, a call before its effect."""
    session = Session(agent.name)
    session.heal()
    if not any(entry.get("id") == id for entry in session.entries):
        await session.compact(model)
        moment = f"(It is {now():%A %Y-%m-%d %H:%M %Z}.)"  # not in the soul, which stays cached
        session.add("user", [text(said), text(moment)], id=id)
    for _ in range(STEPS):
        if session.entries[-1]["role"] == "assistant":
            break
        messages = [{"role": entry["role"], "content": entry["content"]} for entry in session.entries]
        blocks, why = await model.answer(agent.soul(), messages, [described(name) for name in agent.tools], show)
        session.add("assistant", blocks or [text("(no words)")])
        if why == "tool_use":
            calls = [block for block in blocks if block["type"] == "tool_use"]
            session.add("user", [await run(agent, call, ask, show) for call in calls])
    last = session.entries[-1]
    return words_of(last["content"]) if last["role"] == "assistant" else f"I stopped after {STEPS} steps."


async def run(agent: Agent, call: Block, ask: Ask | None, show: Show) -> Block:
    """Every call gets one result. What went wrong is one too: the model can make something of it."""
    try:
        if why := await refused(agent, call["name"], call["input"], ask):
            return result(call, f"refused: {why}", failed=True)
        show(f"\n· {call['name']} {json.dumps(call['input'], ensure_ascii=False)[:100]}\n")
        return result(call, await TOOLS[call["name"]](**call["input"]), failed=False)
    except Exception as error:
        return result(call, f"{type(error).__name__}: {error}", failed=True)


# ── the queue: a message is on disk before it is answered, and stays until it was ────────────────
class Queue:
    """An agent answers its messages in the order in which they came; the agents work side by side."""

    def __init__(self) -> None:
        self._file = HOME / "queue.jsonl"
        self._known: set[str] = set()
        self.waiting: dict[str, asyncio.Queue[Block]] = {agent.name: asyncio.Queue() for agent in AGENTS}
        self.running: dict[str, asyncio.Task[None]] = {}

    def open(self) -> None:
        """Takes up what an earlier run left unanswered."""
        rows = lines(self._file)
        done = {row["done"] for row in rows if "done" in row}
        self._known = {row["id"] for row in rows if "id" in row}
        for row in rows:
            if "id" in row and row["id"] not in done:
                self.waiting[row["agent"]].put_nowait(row)

    def post(self, agent: Agent, said: str, id: str = "") -> None:
        """When it returns the message will be answered, or be told why not. The same `id` again is the same message."""
        row = {"id": id or uuid.uuid4().hex, "agent": agent.name, "text": said}
        if row["id"] not in self._known:
            append(self._file, row)
            self._known.add(row["id"])
            self.waiting[agent.name].put_nowait(row)

    async def work(self, agent: Agent, answer: Callable[[Agent, Block], Awaitable[None]]) -> None:
        while True:
            row = await self.waiting[agent.name].get()
            task = self.running[agent.name] = asyncio.ensure_future(answer(agent, row))
            await asyncio.wait({task})  # if this is cancelled the program ends, and the message stays
            Session(agent.name).give_up()
            append(self._file, {"done": row["id"]})
            del self.running[agent.name]
            self.waiting[agent.name].task_done()

    async def empty(self) -> None:
        await asyncio.gather(*(waiting.join() for waiting in self.waiting.values()))


# ── heartbeats: a clock that writes messages ─────────────────────────────────────────────────────
def wall_clock() -> datetime:
    """As people read it, without its offset, which a change to summer time would move every instant by."""
    return now().replace(tzinfo=None)


@tool
async def every(when: str, message: str) -> str:
    """Sends you this message at each instant of `when`: five cron fields, 0 9 * * 1 is Mondays at nine."""
    if len(when.split()) != 5 or not croniter.is_valid(when):
        raise ValueError(f"{when!r} is not five cron fields")
    first = croniter(when, wall_clock()).get_next(datetime)  # where there never is one, nothing is kept
    append(BEATS, {"when": when, "message": message, "since": wall_clock().isoformat()})
    return f"next: {first:%A %Y-%m-%d %H:%M}; all that is sent so stands in {BEATS}"


def latest(when: str, clock: datetime) -> str:
    return str(croniter(when, clock).get_prev(datetime).isoformat())


async def beat(queue: Queue) -> None:
    """The latest instant is posted once, also where nobody was here at the time: it is part of the message's id."""
    while True:
        for row in lines(BEATS):
            if (last := latest(row["when"], wall_clock())) > row["since"]:
                queue.post(MAIN, row["message"], f"{row['when']} {row['message']} {last}")
        await asyncio.sleep(5)


# ── the terminal: one reader, one screen, and commands that act at once ──────────────────────────
HELP = "/scout ... asks the scout, /new begins anew, /notes shows what is noted, /quit leaves. Ctrl-C stops an answer."


class Terminal:
    def __init__(self, attended: bool) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        self.attended = attended
        self._question: asyncio.Future[str] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._speaker = "nobody"

    def show(self, speaker: str, words: str) -> None:
        """Piece by piece; whoever else begins to speak does so on a line of their own."""
        begin = "" if speaker == self._speaker else f"\n{speaker}: " if speaker else "\n"
        print(begin + words, end="", flush=True)
        self._speaker = speaker

    def prompt(self) -> None:
        self.show("you" if self.attended else "", "")

    async def ask(self, question: str) -> str:
        async with self._one_at_a_time:
            self._question = asyncio.get_running_loop().create_future()
            self.show("approval", question)
            return await self._question

    def read(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread of its own, which waits for the keyboard and must hold nobody else up."""
        while line := sys.stdin.readline():
            loop.call_soon_threadsafe(self.lines.put_nowait, line)
        loop.call_soon_threadsafe(self.lines.put_nowait, "/quit")

    def command(self, line: str, resting: list[Agent]) -> str:
        if line == "/notes":
            return "\n".join(sorted(file.stem for file in NOTES.glob("*.md"))) or "nothing is noted"
        if line != "/new":
            return HELP if line in ("", "/help") else f"There is no {line}. {HELP}"
        for agent in resting:
            Session(agent.name).put_aside()
        return f"begun anew: {', '.join(agent.name for agent in resting) or 'nobody, all are at work'}"

    async def run(self, queue: Queue) -> None:
        while (line := (await self.lines.get()).strip()) != "/quit":
            self._speaker = "" if self.attended else self._speaker  # Enter has begun a new line
            if self._question is not None and not self._question.done():
                self._question.set_result(line)
            elif line and (line[0] != "/" or route(line)[0].prefix):
                queue.post(*route(line))
            else:
                self.show("", self.command(line, [agent for agent in AGENTS if agent.name not in queue.running]))
                self.prompt()
        if not self.attended:
            await queue.empty()  # what was piped in is answered first


# ── all of it together ───────────────────────────────────────────────────────────────────────────
async def talk(terminal: Terminal, queue: Queue, question: str, name: str) -> None:
    """Until the question is answered, or the person leaves."""
    if question:
        queue.post(*route(question))
        await queue.empty()
        return
    print(f"This is {name}.\n{HELP}")
    terminal.prompt()
    threading.Thread(target=terminal.read, args=(asyncio.get_running_loop(),), daemon=True).start()
    beating = asyncio.ensure_future(beat(queue))
    await terminal.run(queue)
    beating.cancel()


async def main(question: str) -> None:
    terminal, queue = Terminal(sys.stdin.isatty() and not question), Queue()
    keys = [os.environ.get(name) for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN")]
    model = Claude() if any(keys) else Demo()
    ask = terminal.ask if terminal.attended else None
    failed: list[Exception] = []

    async def answer(agent: Agent, row: Block) -> None:
        shown: list[str] = []

        def show(words: str) -> None:
            shown.append(words)
            terminal.show(agent.name, words)

        try:
            said = await turn(agent, row["id"], row["text"], model, ask, show)
            if said not in "".join(shown):  # a crash came between the answer and the screen
                show(said)
        except Exception as error:
            failed.append(error)
            terminal.show(agent.name, f"that did not work: {type(error).__name__}: {error}")
        finally:
            terminal.prompt()

    def interrupted() -> None:
        for task in [*queue.running.values()] or [talking]:
            task.cancel()

    queue.open()
    workers = [asyncio.ensure_future(queue.work(agent, answer)) for agent in AGENTS]
    talking = asyncio.ensure_future(talk(terminal, queue, question, model.name))
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupted)
    await asyncio.wait({talking})
    left = [*workers, *queue.running.values()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    print()
    if not talking.cancelled():
        talking.result()  # a failure is not the end that was wished for
    if question and failed:
        sys.exit(1)


if __name__ == "__main__":
    if {"-h", "--help"} & {*sys.argv}:
        sys.exit(__doc__)
    os.umask(0o077)  # what was said is nobody else's
    sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    lock = (HOME / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"somebody else is at work in {HOME}; set MINI_OPENCLAW_HOME to another folder")
    asyncio.run(main(" ".join(sys.argv[1:])))
