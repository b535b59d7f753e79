"""Records docs/hot-reload-session.md: somebody at the terminal talks to an assistant while its files are edited.

The real command runs under tmux, against a model's double whose words are the first line of the `system` that it was
told; what the page shows is what stood on the screen. Durations and the time are normalised, so that the same runtime
writes the same page. Needs tmux. With --check nothing is written; the exit code is 1 where the page is out of date.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "hot-reload-session.md"
WIDTH, HEIGHT = 140, 40  # what holds a duration must not be wrapped, for its digits differ
FILES = {
    "agents/main.yaml": """\
name: Main
description: Keeps sums
default: true
model: smart
tools: [add]
policy: careful
""",
    "agents/main.md": "You are a patient assistant.\n",
    "tools.yaml": """\
tools:
  add: {python: "sums:add"}
policies:
  careful:
    default: deny
    rules:
      - {allow: add}
""",
    "sums.py": '''\
import openclaw


@openclaw.tool
def add(a: int, b: int) -> str:
    """Adds two numbers."""
    return str(a + b)
''',
    "channels.yaml": "channels:\n  repl: {kind: repl}\n",
}
MODELS = "default: smart\nmodels:\n  smart: {{id: claude-sonnet-5-5, base_url: '{url}', api_key: none}}\n"
RULE = r"s|      - {allow: add}|&\n      - {id: small, deny: add, input: {a: {minimum: 100}}, reason: too large}|"
HEAD = """\
# A session of edits

What stood on the screen of somebody who talks to an assistant while its files are edited in another window. The model
is a double that answers with the first line of what it was told: the soul in force. `scripts/record_reload.py` recorded
this page from the running command; only durations are made the same. How all this works stands in
[hot-reload.md](hot-reload.md).
"""
Step = tuple[str, str, str, str]  # a heading, words, a command, what is typed at the prompt
STEPS: list[Step] = [
    ("It begins", "", "", "who are you?"),
    (
        "Edit the soul",
        "The next message is answered under it; the process and the conversation are the same.",
        "sed -i 's/patient/terse/' agents/main.md",
        "and now?",
    ),
    ("Before the policy is edited", "The model calls its tool, and may.", "", "add 200 and 1"),
    (
        "Edit the policy",
        "From this moment on the call is refused, also in a turn that began before.",
        f"sed -i {shlex.quote(RULE)} tools.yaml",
        "add 200 and 1",
    ),
    (
        "Break tools.yaml",
        "Nothing changes: neither the broken file nor the soul that is saved after it comes into force, and the call "
        "is refused as before.",
        "sed -i 's/default: deny/default: dney/' tools.yaml; sed -i 's/terse/merry/' agents/main.md",
        "add 200 and 1",
    ),
    (
        "Mend it",
        "Only tools.yaml is saved again; the soul that waited comes into force with it.",
        "sed -i 's/default: dney/default: deny/' tools.yaml",
        "who are you?",
    ),
]


def double() -> Any:
    """The tests' double of the model, which says its soul, or calls `add`."""
    sys.path.insert(0, str(TOP / "tests"))
    made = importlib.import_module("doubles.messages_server")

    def answer(body: Mapping[str, Any]) -> Any:
        last = body["messages"][-1]["content"][-1]
        if last["type"] == "tool_result":
            return made.Reply({"type": "text", "text": f"The tool told me: {last['content']}"})
        if sum_ := re.search(r"add (\d+) and (\d+)", str(last["text"])):
            return made.Reply(made.tool("add", a=int(sum_[1]), b=int(sum_[2])))
        system = body["system"] if isinstance(body["system"], str) else body["system"][0]["text"]
        soul = system.splitlines()[0]
        return made.Reply({"type": "text", "text": f"I was told: {soul}"})

    return made.MessagesServer(otherwise=answer)


class Screen:
    """A terminal of tmux's own server, in which one command runs."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self._base = ["tmux", "-S", str(folder / "tmux"), "-f", os.devnull]
        left_out = ("ANTHROPIC_", "OPENCLAW_", "TMUX", "COLUMNS", "LINES")
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        self._environment |= {"NO_COLOR": "1", "LC_ALL": "C.UTF-8", "TERM": "xterm", "HOME": str(folder)}
        self._tmux("new-session", "-d", "-s", "s", "-x", str(WIDTH), "-y", str(HEIGHT), shlex.join(command))

    def _tmux(self, *words: str) -> str:
        done = subprocess.run([*self._base, *words], check=True, capture_output=True, text=True, env=self._environment)
        return done.stdout

    def type(self, words: str) -> None:
        self._tmux("send-keys", "-t", "s", "-l", words)
        self._tmux("send-keys", "-t", "s", "Enter")

    def clear(self) -> None:
        self._tmux("send-keys", "-t", "s", "C-l")

    def shows(self) -> str:
        return "\n".join(line.rstrip() for line in self._tmux("capture-pane", "-p", "-t", "s").splitlines()).strip("\n")

    def until(self, there: Callable[[str], bool], what: str, seconds: float = 60) -> str:
        """What is shown once it is there and stands still."""
        end, before = time.monotonic() + seconds, ""
        while True:
            now = self.shows()
            if there(now) and now == before:
                return now
            if time.monotonic() > end:
                raise SystemExit(f"{what} did not come; the screen shows:\n{now}")
            before = now
            time.sleep(0.3)

    def close(self) -> None:
        self._tmux("kill-server")


def recorded() -> str:
    """The page."""
    with tempfile.TemporaryDirectory(prefix="session-") as made, double() as model:
        root = Path(made) / "assistant"
        for name, text in {**FILES, "models.yaml": MODELS.format(url=model.url)}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
        command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", f"{made}/state", "run"]
        screen = Screen(Path(made), command)
        try:
            parts = [_step(screen, root, step) for step in STEPS]
        finally:
            screen.close()
        return "\n".join([HEAD, *parts]).replace(str(root), "~/assistant").replace(made, "~")


def _step(screen: Screen, root: Path, step: Step) -> str:
    heading, words, command, said = step
    screen.until(_prompts, "the prompt")
    if heading != STEPS[0][0]:
        screen.clear()
        screen.until(lambda text: len(text.splitlines()) <= 1, "a clear screen")
    if command:
        subprocess.run(command, shell=True, cwd=root, check=True)
        screen.until(lambda text: "reload" in text, "word of the reload")
    screen.type(said)
    shown = screen.until(lambda text: "told" in text and _prompts(text), "the answer")
    lines = [f"$ {line}" for line in command.split("; ") if line]
    block = "\n".join([*lines, *([""] if lines else []), *_normal(shown)])
    told = f"{textwrap.fill(words, 120)}\n\n" if words else ""
    return f"## {heading}\n\n{told}```text\n{block}\n```\n"


def _prompts(text: str) -> bool:
    return text.splitlines()[-1:] == ["\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}"]


def _normal(text: str) -> list[str]:
    """What differs from one run to the next, made the same."""
    text = re.sub(r"\b\d+(?:\.\d+)? ms\b", "40 ms", text)
    text = re.sub(r"\b\d+\.\d+ ?s\b", "0.1 s", text)
    lines = text.splitlines()
    return [line for line in lines[:-1] if not line.startswith("note: running as root")]


def main() -> int:
    parser = argparse.ArgumentParser(description="records docs/hot-reload-session.md")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--show", action="store_true", help="print it only")
    given = parser.parse_args()
    if given.check:
        return _check()
    page = recorded()
    if given.show:
        print(page)
    else:
        PAGE.write_text(page, "utf-8")
    return 0


def _check(times: int = 3) -> int:
    """A busy machine may draw the screen once more, or have something to say of how long it takes: one that is the
    same is enough."""
    kept = PAGE.read_text("utf-8")
    for _ in range(times):
        page = recorded()
        if page == kept:
            return 0
    print("\n".join(difflib.unified_diff(kept.splitlines(), page.splitlines(), "kept", "recorded", lineterm="")))
    return 1


if __name__ == "__main__":
    sys.exit(main())
