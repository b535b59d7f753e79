"""Records docs/hot-reload-session.md: somebody at the terminal talks to an assistant while its files are edited.

The real command runs under tmux, against a model's double whose words are the first line of the `system` that it was
told; what the page shows is what stood on the screen. Durations and the time are normalised, so that the same runtime
writes the same page. Needs tmux. With --check nothing is written; the exit code is 1 where the page is out of date.
"""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from _terminal import Screen, differs, prompts, same

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


def recorded() -> str:
    """The page."""
    with tempfile.TemporaryDirectory(prefix="session-") as made, double() as model:
        root = Path(made) / "assistant"
        for name, text in {**FILES, "models.yaml": MODELS.format(url=model.url)}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, "utf-8")
        command = [sys.executable, "-m", "openclaw", "-C", str(root), "--state", f"{made}/state", "run"]
        screen = Screen(Path(made), command, WIDTH, HEIGHT)
        try:
            parts = [_step(screen, root, step) for step in STEPS]
        finally:
            screen.close()
        return "\n".join([HEAD, *parts]).replace(str(root), "~/assistant").replace(made, "~")


def _step(screen: Screen, root: Path, step: Step) -> str:
    heading, words, command, said = step
    screen.until(prompts, "the prompt")
    if heading != STEPS[0][0]:
        screen.clear()
        screen.until(lambda text: len(text.splitlines()) <= 1, "a clear screen")
    if command:
        subprocess.run(command, shell=True, cwd=root, check=True)
        screen.until(lambda text: "reload" in text, "word of the reload")
    screen.type(said)
    shown = screen.until(lambda text: "told" in text and prompts(text), "the answer")
    lines = [f"$ {line}" for line in command.split("; ") if line]
    block = "\n".join([*lines, *([""] if lines else []), *same(shown)[:-1]])
    told = f"{textwrap.fill(words, 120)}\n\n" if words else ""
    return f"## {heading}\n\n{told}```text\n{block}\n```\n"


def main() -> int:
    parser = argparse.ArgumentParser(description="records docs/hot-reload-session.md")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--show", action="store_true", help="print it only")
    given = parser.parse_args()
    if given.check:
        return differs(PAGE.read_text("utf-8"), recorded)
    page = recorded()
    if given.show:
        print(page)
    else:
        PAGE.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
