# /// script
# requires-python = ">=3.11"
# dependencies = ["anthropic>=2.12,<3", "croniter>=6,<8"]
# ///
"""An assistant in one file, to be read from top to bottom: each part is one idea, and uses only the parts above it.

    uv run mini-openclaw.py                           talk to it; without a key a tiny demo model answers
    echo "what is here?" | uv run mini-openclaw.py    ask once

All that it keeps is text in ~/.openclaw-mini (or MINI_OPENCLAW_HOME); delete a session there to begin anew. Left to
the runtime beside it are settings, channels, agents that work at the same time, files that were damaged or grew for
years, commands that are taken apart before they are judged, a sandbox, and limits to what is spent.
"""

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
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

from croniter import croniter

HOME = Path(os.environ.get("MINI_OPENCLAW_HOME", "~/.openclaw-mini")).expanduser()
WORKSPACE, NOTES = HOME / "workspace", HOME / "memory"
QUEUE, BEATS, AGREED = HOME / "queue.jsonl", HOME / "heartbeats.jsonl", HOME / "agreed.jsonl"
MODEL = os.environ.get("MINI_OPENCLAW_MODEL", "claude-sonnet-5-5")
COMPACT_AT = int(os.environ.get("MINI_OPENCLAW_COMPACT_AT", "200000"))  # characters of a session; it is then summed up
now = datetime.now  # on the wall clock: nine is nine o'clock, in summer and in winter
Block = dict[str, Any]
Ask = Callable[[str], Awaitable[str]]  # puts a question to a person
Show = Callable[[str], None]
Model = Callable[[str, list[Any], list[Any], Show], Awaitable[list[Block]]]
show: Show = partial(print, end="", flush=True)


# ── disk: what was written is there after a power cut ────────────────────────────────────────────
# A line or no line, the whole new file or the whole old one; and all of it is text that a person can read.
def write(path: Path, mode: str, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{uuid.uuid4().hex}")
    write(fresh, "x", text)
    fresh.replace(path)


def append(path: Path, line: Any) -> None:
    write(path, "a", json.dumps(line, ensure_ascii=False) + "\n")


def lines(path: Path) -> list[Any]:
    """What was appended; a last line that a crash cut short was never there."""
    written = path.read_bytes() if path.exists() else b""
    whole, _, cut = written.rpartition(b"\n")
    if cut:
        os.truncate(path, len(written) - len(cut))
    return [json.loads(line) for line in whole.splitlines()]


# ── tools: what a model can do is a function from texts to a text ────────────────────────────────
# It is told the name, the parameters and the docstring, and can do no more than ask for such a call.
def within(path: str) -> Path:
    """A file of the workspace. What leads out of it is refused, and a pipe, for which everybody would wait."""
    full = (WORKSPACE / path).resolve()
    if WORKSPACE.resolve() not in full.parents or (os.path.lexists(full) and not full.is_file()):
        raise PermissionError(f"{path!r} is no file in the workspace")
    return full


async def read_file(path: str) -> str:
    """Reads a text file of the workspace."""
    return within(path).read_text("utf-8", errors="replace")


async def write_file(path: str, content: str) -> str:
    """Writes a text file of the workspace, whole."""
    replace(within(path), content)
    return f"wrote {path}"


async def run_command(command: str) -> str:
    """Runs a shell command in the workspace, for a minute at most, and gives its output."""
    harmless = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}  # no keys
    process = await asyncio.create_subprocess_shell(
        command, cwd=WORKSPACE, env=harmless, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 60)
    finally:
        if process.returncode is None:  # the minute is over, or somebody pressed Ctrl-C
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return f"{output.decode(errors='replace')}(exit code {process.returncode})"


# ── memory: a talk is forgotten in time, a note is not ───────────────────────────────────────────
# Notes are files that are found again by the words in them, by whichever agent looks.
async def remember(title: str, text: str) -> str:
    """Keeps a lasting fact under a short title; the same title again replaces it."""
    name = re.sub(r"\W+", "-", title.lower()).strip("-")[:60] or "note"
    replace(NOTES / f"{name}.md", text)
    return f"noted as {name}"


async def recall(words: str) -> str:
    """Finds the notes with any of these words."""
    notes = [f"{file.stem}: {file.read_text('utf-8', errors='replace')}" for file in sorted(NOTES.glob("*.md"))]
    found = [note for note in notes if any(word in note.lower() for word in words.lower().split())]
    return "\n".join(found) or "nothing is noted about that"


# ── heartbeats: a clock that writes messages, so that an assistant speaks first ──────────────────
# Of the instants that passed while nobody was here only the latest counts: nobody wants last week's mornings.
async def every(when: str, message: str) -> str:
    """Sends you this message at each instant of `when`: five cron fields, 0 9 * * 1 is Mondays at nine."""
    if len(when.split()) != 5 or not croniter.is_valid(when):
        raise ValueError(f"{when!r} is not five cron fields")
    first = croniter(when, now()).get_next(datetime)  # where there never is one, nothing is kept
    append(BEATS, {"when": when, "message": message, "since": now().isoformat()})
    return f"next: {first:%A %Y-%m-%d %H:%M}; all that is sent so stands in {BEATS}"


# ── agents: a soul, which is a text that you may edit while it runs, and tools ───────────────────
# Several agents share one memory and may do different things: one acts, and one only looks.
TOOLS = {tool.__name__: tool for tool in (read_file, write_file, run_command, remember, recall, every)}
AGENTS = {"main": tuple(TOOLS), "scout": ("read_file", "recall")}
SOULS = {
    "main": "You are a personal assistant. Be brief, look things up, remember what you are told of people and plans.",
    "scout": "You find things out in files and notes, and say where they stand. You change nothing.",
}


def soul(agent: str) -> str:
    file = HOME / "souls" / f"{agent}.md"
    if not file.exists():
        replace(file, SOULS[agent])
    return file.read_text("utf-8")


def route(said: str) -> tuple[str, str]:
    """`/scout where?` asks the scout; what begins with nobody's name is for the main one."""
    first, _, rest = said.partition(" ")
    named = first[:1] == "/" and first[1:] in AGENTS
    return (first[1:], rest or "What are you for?") if named else ("main", said)


# ── permissions: allow what is known to be harmless, deny what never is, ask about the rest ──────
# So what is not understood is not allowed, and neither is what a person did not plainly agree to.
FREE = {"read_file", "remember", "recall"}
NEVER = r"\b(sudo|su|doas|dd|mkfs|shutdown|reboot)\b"
READS = r"(cat|du|echo|head|ls|pwd|tail|wc|whoami)( -[achlnrstw\d]+| [\w./,:+%][\w./,:+%-]*)*"  # nothing for a shell


def decide(name: str, arguments: Block) -> str:
    if name != "run_command":
        return "allow" if name in FREE else "ask"
    command = str(arguments.get("command", ""))
    if re.search(NEVER, command):
        return "deny"
    inside = all((WORKSPACE / word).resolve().is_relative_to(WORKSPACE.resolve()) for word in command.split())
    return "allow" if inside and re.fullmatch(READS, command) else "ask"


async def refused(agent: str, name: str, arguments: Block, ask: Ask | None) -> str:
    """Why a call may not run; nothing where it may."""
    decision, call = decide(name, arguments), f"{name} {json.dumps(arguments, sort_keys=True)}"
    if name not in AGENTS[agent] or decision == "deny":
        return f"{agent} may never do this"
    if decision == "allow" or call in lines(AGREED):
        return ""
    if ask is None:
        return "a person has to agree to this, and nobody is here"
    answer = (await ask(f"{agent} wants to {call}\n[y]es, [a]lways, [n]o? ")).strip().lower()
    if answer in ("a", "always"):
        append(AGREED, call)
    return "" if answer in ("a", "always", "y", "yes") else "the person said no"


# ── models: a function from all that was said to blocks, which are texts or calls of tools ───────
# One is real. One takes a message for a call of a tool, so that everything else can be tried without a key.
async def claude(soul: str, messages: list[Any], tools: list[Any], show: Show) -> list[Block]:
    from anthropic import AsyncAnthropic  # takes a second, which the demo does not need

    asked: Any = {"model": MODEL, "max_tokens": 16_000, "system": soul, "messages": messages, "tools": tools}
    cached: Any = {"cache_control": {"type": "ephemeral"}}
    async with AsyncAnthropic() as client, client.messages.stream(**asked, **cached) as stream:
        async for words in stream.text_stream:
            show(words)
        message = await stream.get_final_message()
    if message.stop_reason is None:
        raise ConnectionError("the answer broke off")
    whole = message.stop_reason == "tool_use"  # a call that was cut short looks like a whole one
    blocks = [block.model_dump(mode="json", exclude_unset=True) for block in message.content]
    return [block for block in blocks if whole or block["type"] != "tool_use"]


TRY = "Try: remember cat Minka / recall cat / run_command ls / run_command touch a"


async def demo(soul: str, messages: list[Any], tools: list[Any], show: Show) -> list[Block]:
    last = messages[-1]["content"][0]
    name, _, rest = last.get("text", "").partition(" ")
    for names in [each["input_schema"]["required"] for each in tools if each["name"] == name]:
        arguments = dict(zip(names, rest.split(" ", len(names) - 1), strict=False))
        return [{"type": "tool_use", "id": uuid.uuid4().hex, "name": name, "input": arguments}]
    said = last["content"] if last["type"] == "tool_result" else f"You said: {last['text']}. {TRY}"
    show(said)
    return [text(said)]


def text(words: str) -> Block:
    return {"type": "text", "text": words}


# ── sessions: a model remembers nothing, so it is told all that was said, each time ──────────────
# A session is a file of messages to which lines are only added; the next run goes on where this one stops.
class Session:
    def __init__(self, agent: str) -> None:
        self.file = HOME / "sessions" / f"{agent}.jsonl"
        self.entries: list[Block] = lines(self.file)

    def add(self, role: str, content: list[Block], **more: str) -> None:
        append(self.file, entry := {"role": role, "content": content, **more})
        self.entries.append(entry)

    def last(self, role: str) -> list[Block]:
        return self.entries[-1]["content"] if self.entries and self.entries[-1]["role"] == role else []


# ── compaction: a talk that grew too long becomes a summary of it ────────────────────────────────
# A model reads only so much. It writes the summary itself, and what was said in full is put aside.
async def compact(session: Session, model: Model) -> None:
    talk = "\n".join(json.dumps(entry, ensure_ascii=False) for entry in session.entries)
    if len(talk) < COMPACT_AT:
        return
    wish = f"Sum up this talk for whoever carries it on; keep names, numbers, paths and open tasks exactly.\n{talk}"
    blocks = await model("You sum up.", [{"role": "user", "content": [text(wish)]}], [], lambda words: None)
    if not (summary := "".join(block.get("text", "") for block in blocks)):
        raise ConnectionError("the summary came out empty")
    session.entries = [{"role": "user", "content": [text(f"Before this you talked about:\n{summary}")]}]
    os.link(session.file, session.file.with_suffix(f".{now():%Y%m%d-%H%M%S-%f}.old"))
    replace(session.file, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in session.entries))


# ── a turn: ask the model, run what it asks for, tell it the results, until it asks no more ──────
# Each thing is on disk before what follows from it: a message before its answer, a call before its effect.
async def turn(agent: str, said: str, id: str, model: Model, ask: Ask | None) -> None:
    session = Session(agent)
    cut = [block for block in session.last("assistant") if block["type"] == "tool_use"]
    if cut:  # by a crash or by Ctrl-C: perhaps they did run, so they are not run again
        session.add("user", [result(call, "interrupted; whether it ran is not known", failed=True) for call in cut])
    if not any(entry.get("id") == id for entry in session.entries):
        if session.last("user"):  # what failed or was stopped has been told, and is not answered as well
            session.add("assistant", [text("(this was not answered)")])
        await compact(session, model)
        session.add("user", [text(said), text(f"(It is {now():%A %Y-%m-%d %H:%M}.)")], id=id)
    if answered := session.last("assistant"):  # and a crash came before it was on the screen
        return show("".join(block.get("text", "") for block in answered))
    for _ in range(20):  # then it goes in circles
        messages = [{"role": entry["role"], "content": entry["content"]} for entry in session.entries]
        blocks = await model(soul(agent), messages, [described(name) for name in AGENTS[agent]], show)
        session.add("assistant", blocks or [text("(no words)")])
        calls = [block for block in blocks if block["type"] == "tool_use"]
        if not calls:
            return None
        session.add("user", [await run(agent, call, ask) for call in calls])
    return show("I stopped after 20 steps.")


def described(name: str) -> Block:
    names = list(inspect.signature(TOOLS[name]).parameters)
    schema = {"type": "object", "properties": {each: {"type": "string"} for each in names}, "required": names}
    return {"name": name, "description": inspect.getdoc(TOOLS[name]), "input_schema": schema}


async def run(agent: str, call: Block, ask: Ask | None) -> Block:
    """Every call gets one result. What went wrong is one too: the model can make something of it."""
    try:
        if why := await refused(agent, call["name"], call["input"], ask):
            return result(call, f"refused: {why}", failed=True)
        show(f"\n· {call['name']} {json.dumps(call['input'], ensure_ascii=False)[:100]}\n")
        return result(call, await TOOLS[call["name"]](**call["input"]), failed=False)
    except Exception as error:
        return result(call, f"{type(error).__name__}: {error}", failed=True)


def result(call: Block, said: str, *, failed: bool) -> Block:
    content = said if len(said) <= 20_000 else f"{said[:20_000]}\n(cut off; it has {len(said)} characters)"
    return {"type": "tool_result", "tool_use_id": call["id"], "content": content or "-", "is_error": failed}


# ── the queue: a message is on disk before it is answered, and stays there until it was ──────────
# Whatever happens in between, the next run takes it up. The file is the queue: memory holds no copy of it.
def accept(said: str, id: str) -> None:
    if id not in {row.get("id") for row in lines(QUEUE)}:  # the same id again is the same message
        append(QUEUE, {"id": id, "text": said})


def accept_what_is_due(clock: datetime) -> None:
    for row in lines(BEATS):
        if (last := croniter(row["when"], clock).get_prev(datetime).isoformat()) > row["since"]:
            accept(row["message"], f"{row['when']} {row['message']} {last}")


def unanswered() -> list[Block]:
    rows = lines(QUEUE)
    done = {row.get("done") for row in rows}
    return [row for row in rows if "id" in row and row["id"] not in done]


# ── the terminal: a person types, also while an agent speaks ─────────────────────────────────────
# So a thread reads, and a line answers the question that is open, is a command, or goes to the queue.
HELP = "/scout ... asks the scout, /quit leaves. Ctrl-C stops an answer, or at rest the program."


class Terminal:
    def __init__(self, model: Model, attended: bool) -> None:
        self._model, self._ask = model, self.ask if attended else None
        self._question: asyncio.Future[str] | None = None
        self._answering: asyncio.Future[None] | None = None
        self._prompt = "\nyou: " if attended else "\n"
        self._bell, self.left = asyncio.Event(), asyncio.Event()

    def read(self, loop: asyncio.AbstractEventLoop) -> None:
        for line in os.fdopen(0, errors="replace"):
            loop.call_soon_threadsafe(self.typed, line.strip())
        loop.call_soon_threadsafe(self.typed, "/quit")

    def typed(self, line: str) -> None:
        if line == "/quit" or (line == "/stop" and not unanswered()):
            self.left.set()
        elif line == "/stop" and self._answering:
            self._answering.cancel()
        elif self._question and not self._question.done():
            self._question.set_result(line)
        elif line and (line[0] != "/" or line[1:].split(" ")[0] in AGENTS):
            accept(line, uuid.uuid4().hex)
        else:
            show(HELP + self._prompt)
        self._bell.set()

    async def ask(self, question: str) -> str:
        self._question = asyncio.get_running_loop().create_future()
        show(f"\n{question}")
        return await self._question

    async def work(self) -> None:
        """Answers what waits, one after the other; where the program ends meanwhile, the message stays."""
        show(HELP + self._prompt)
        while True:
            self._bell.clear()
            accept_what_is_due(now())
            for row in unanswered():
                agent, said = route(row["text"])
                show(f"\n{agent}: ")
                self._answering = asyncio.ensure_future(turn(agent, said, row["id"], self._model, self._ask))
                await asyncio.wait({self._answering})
                if not self._answering.cancelled() and (error := self._answering.exception()):
                    show(f"that did not work: {type(error).__name__}: {error}")
                append(QUEUE, {"done": row["id"]})
                show(self._prompt)
            if self.left.is_set() and not self._bell.is_set():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), 5)


async def main() -> None:
    key = os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN")
    attended, loop = sys.stdin.isatty(), asyncio.get_running_loop()
    terminal = Terminal(claude if key else demo, attended)
    print(f"This is {MODEL}." if key else f"This is a demo. {TRY}")
    loop.add_signal_handler(signal.SIGINT, terminal.typed, "/stop")
    threading.Thread(target=terminal.read, args=(loop,), daemon=True).start()
    working = asyncio.create_task(terminal.work())
    working.add_done_callback(lambda _: terminal.left.set())  # a failure of it is no reason to sit there
    await terminal.left.wait()
    if not attended or working.done():
        await working  # what was piped in is answered first


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    os.umask(0o077)  # what was said is nobody else's
    WORKSPACE.mkdir(parents=True, exist_ok=True)
    lock = (HOME / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"somebody else is at work in {HOME}; set MINI_OPENCLAW_HOME to another folder")
    asyncio.run(main())
    print()
