"""What the swept runtime is given to do: a little of everything that leaves something on disk.

Law: the list is the same in every run, and all of it may be asked for again after a kill: messages have keys, a
question is answered as often as it is asked, and a heartbeat is run by hand only where no run of it is on disk.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash.harness import AGENT, MODELS, SCRIPT, TOOLS, Gone, Lane, Life, Site, local, made
from crash.oracle import Findings, judge, rows, transcripts
from openclaw import audit

TOKEN = "swept-token-0123456789"
WEB = ("gathered", "steered")
POLL = 0.02  # seconds between two looks at the database, which cost the runtime nothing
WORK = (
    # channel, session, agent, text; what stands in one session is said in this order, one behind the other
    ("repl", "one", "main", "remind 1"),
    ("repl", "one", "main", "keep 2"),
    ("repl", "two", "main", "both 3"),
    ("repl", "two", "main", "/new"),
    ("repl", "two", "main", "say 4"),
    ("repl", "three", "main", "seal 5"),
    ("repl", "four", "main", "say 6 at great length"),
    ("repl", "four", "main", "/compact"),
    ("repl", "five", "teller", "note 7"),
    ("repl", "five", "teller", "say 13"),
    ("gathered", "six", "main", "note 8"),
    ("gathered", "six", "main", "say 9"),
    ("gathered", "six", "main", "say 10"),
    ("steered", "seven", "main", "note 11"),
    ("steered", "seven", "main", "say 12"),
)
FILES = {
    "agents/main.yaml": AGENT.replace("[note, bump, gate, linger]", "[note, bump, seal, save_memory, remind_me]")
    + "default: true\ncompaction: {at_tokens: 9000, keep_tokens: 10}\n",
    "agents/teller.yaml": AGENT.replace("Desk", "Teller") + "interrupted: notify\n",
    "models.yaml": MODELS,
    "channels.yaml": f"""\
channels:
  repl: {{kind: repl}}
  gathered: {{kind: http, port: 0, token: {TOKEN}, queue: collect}}
  steered: {{kind: http, port: 0, token: {TOKEN}, queue: steer}}
""",
    "heartbeats.yaml": 'heartbeats: {beat: {cron: "0 0 1 1 *", prompt: beat, deliver: repl:local}}\n',
    "tools.yaml": TOOLS.replace("policies:", '  seal: {python: "traces:note"}\npolicies:').replace(
        "allow: [note, bump, gate, linger]",
        "allow: [note, bump, gate, linger, save_memory, remind_me]\n      - ask: seal",
    ),
    "script.yaml": SCRIPT.replace("pace: 0.012", "pace: 0").replace(
        "rules:\n",
        f"""\
rules:
  - {{say: '^Summarise', reply: 'said: a long one'}}
  - {{say: '^beat$', reply: 'the heart beats'}}
  - {{say: '^keep (?P<n>\\S+)$', calls: [{{save_memory: {{text: 'the key is {{n}}'}}}}], reply: 'done {{n}}'}}
  - {{say: '^seal (?P<n>\\S+)$', calls: [{{seal: {{n: '{{n}}'}}}}], reply: 'done {{n}}', failed: 'failed {{n}}'}}
  - {{say: '^remind (?P<n>\\S+)$', calls: [{{remind_me: {{text: 'think of {{n}}', in: 1s}}}}], reply: 'done {{n}}'}}
  - {{say: 'at great length$', reply: 'done{" word" * 60}'}}
""",
    ),
}


def place(root: Path, runner: Sequence[str] = ("-m", "openclaw")) -> Site:
    return made(root, runner=runner, files=FILES)


@dataclass(slots=True)
class Door:
    """A way in: a connection that is kept open."""

    connection: http.client.HTTPConnection

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Raises Gone."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named |= {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), named)
            response = self.connection.getresponse()
            return response.status, json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.connection.close()
            raise Gone(str(error)) from error


@dataclass(slots=True)
class Work:
    """The list, and what was acknowledged of it so far, by all runtimes that were given it."""

    site: Site
    taken: dict[str, str] = field(default_factory=dict)  # text -> id
    agreed: bool = False  # that the approval is remembered was acknowledged
    again: int = 0  # acknowledged messages that were posted once more
    ready: float = 0.0  # when the last runtime began to serve, in seconds that never jump

    def done(self, life: Life, seconds: float = 180.0) -> bool:
        """Has all of it done; False where the runtime ended first. A heartbeat that found the disk full waits for half
        a minute of that, and a busy machine may take as long for the rest."""
        end = time.monotonic() + seconds
        try:
            with ExitStack() as closed:
                control = Door(closed.enter_context(closing(local(self.site.state / "control.sock"))))
                _until(lambda: len(life.web()) == len(WEB), life, end, "the addresses")
                _until(lambda: control.ask("GET", "/readyz")[0] == 200, life, end, "a runtime that serves")
                self.ready = time.monotonic()
                web = [closed.enter_context(closing(http.client.HTTPConnection(at, timeout=30))) for at in life.web()]
                doors = {"repl": control, **dict(zip(WEB, map(Door, web), strict=True))}
                for channel, session, agent, text in WORK:
                    _until(lambda: self._took(doors[channel], session, agent, text), life, end, text)  # noqa: B023
                _until(lambda: self._beat(control), life, end, "the heartbeat")
                _until(lambda: self._ended(control), life, end, "the end of all")
            return True
        except Gone:
            life.process.wait(60)
            return False

    def _took(self, door: Door, session: str, agent: str, text: str) -> bool:
        """False where it was refused for now."""
        body, key = {"text": text, "session": session, "agent": agent}, f"{session}-{text}"
        status, answer = door.ask("POST", "/api/messages", body, Prefer="respond-async", Idempotency_Key=key)
        if status not in (200, 202, 502):  # 502: it was answered before, and failed
            assert status in (503, 507), (text, status, answer)
            return False
        if status != 502:
            assert answer["id"] == self.taken.get(text, answer["id"]), f"{text} was taken in under two ids"
            self.again += text in self.taken
            self.taken[text] = answer["id"]
        return True

    def _beat(self, control: Door) -> bool:
        if rows(self.site.state, "SELECT 1 FROM fires WHERE schedule = 'beat'"):
            return True
        status, answer = control.ask("POST", "/api/heartbeats/beat/run", {})
        assert status in (202, 503), answer
        return status == 202

    def _ended(self, control: Door) -> bool:
        if not rows(self.site.state, UNENDED)[0][0]:
            return True
        if rows(self.site.state, "SELECT 1 FROM inbox WHERE settled IS NULL AND session LIKE '%:three'"):
            for question in control.ask("GET", "/api/approvals")[1]["pending"]:
                status, _ = control.ask("POST", f"/api/approvals/{question['id']}", {"decision": "allow-always"})
                self.agreed |= status == 200
        return False

    def judged(self) -> Findings:
        """What the oracle finds, and what it cannot know: how often each of this was asked for."""
        by_session: dict[str, list[str]] = {}
        for _, session, _, text in WORK:
            if text in self.taken:
                by_session.setdefault(session, []).append(self.taken[text])
        found = judge(self.site, [Lane(session, [], taken) for session, taken in by_session.items()])
        found.lost += [f"{text} was never taken in" for *_, text in WORK if text not in self.taken]
        self._remembered(found)
        for name in ("beat", "reminder"):
            query = f"SELECT COUNT(*) FROM fires WHERE message IS NOT NULL AND schedule GLOB '{name}*'"
            times, surely = rows(self.site.state, query)[0][0], name == "beat" or self._results("is set for")
            if not surely <= times <= 1:
                found.beats.append(f"{name}: {times} runs")
        verdict = audit.verify(self.site.state / "logs", head=self.site.state / audit.HEAD)
        found.unreadable += map(str, verdict.broken)
        return found

    def _remembered(self, found: Findings) -> None:
        """Memories and approvals."""
        notes = sum("the key is 2" in path.read_text() for path in (self.site.state / "memory").glob("*.md"))
        if notes > 1:
            found.twice.append(f"keep 2: {notes} memories")
        if self._results("Remembered as") > notes:
            found.silent.append("keep 2: said to be saved, and no memory")
        path = self.site.state / "exec-approvals.json"
        given = json.loads(path.read_text())["approvals"] if path.exists() else []
        if self.agreed and [one["tool"] for one in given] != ["seal"]:
            found.lost.append(f"the approval that was acknowledged; there are {given}")

    def _results(self, begins: str) -> int:
        files = (path.read_text() for path in transcripts(self.site.state))
        lines = (json.loads(line) for text in files for line in text.splitlines())
        return sum(line["type"] == "result" and begins in line["content"] for line in lines)


UNENDED = """\
SELECT (SELECT COUNT(*) FROM inbox WHERE settled IS NULL) + (SELECT COUNT(*) FROM outbox WHERE state = 'due')
    + (SELECT COUNT(*) FROM marks WHERE name = 'reminders' AND document -> '$.reminders' <> '{}')
"""


def _until(found: Callable[[], bool], life: Life, end: float, what: str) -> None:
    """Raises Gone where the runtime has ended."""
    while True:
        with suppress(Gone):  # a connection that was silent for some seconds is hung up
            if found():
                return
        if life.process.poll() is not None:
            raise Gone(f"it ended before {what}")
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(POLL)
