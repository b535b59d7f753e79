"""No save loosens a permission by accident: half a file is refused, one that shrank is given time to become whole, and
what is gone takes no prohibition with it. The way on is always there, and said."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from doubles.house import AGENT, CHANNELS, Hasty, Program, lived, project, until
from openclaw import shrinking
from openclaw.app import App
from openclaw.attempts import Attempt
from openclaw.cli._running import differs
from openclaw.clock import ManualClock
from openclaw.manifest.build import compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot
from openclaw.permissions.policy import Origin
from openclaw.plan.lost import lost
from openclaw.reading import read
from openclaw.reload import Reload

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ALLOWS = """\
tools:
  add: {python: "sums:add"}
policies:
  works:
    default: deny
    rules:
      - allow: [list_files, add]
      - {id: some, allow: write_file, paths: ["notes/**"]}
"""
RULES = """\
      - {id: never-key, deny: write_file, paths: ["**/*.key"], reason: keys stay}
      - {id: look-first, ask: write_file, paths: ["notes/plans/**"]}
"""
FILES = {"tools.yaml": ALLOWS + RULES, "agents/main.yaml": AGENT.replace("add]", "add, write_file]")}
NOBODY = "http://127.0.0.1:9"  # a model that is never asked


class Edited:
    """A running runtime, its project's files, and the attempts that saves lead to."""

    def __init__(self, root: Path, app: App, operator: Program) -> None:
        self.root, self.app, self.operator = root, app, operator

    def rules(self) -> set[str]:
        policy = self.app.supervisor.current.snapshot.policies["works"]
        return {rule.id for rule in policy.rules if rule.id is not None}

    async def save(self, file: str, text: str | None) -> Attempt:
        return await self.after(lambda: self.put(file, text))

    def put(self, file: str, text: str | None) -> None:
        if text is None:
            (self.root / file).unlink()
        else:
            (self.root / file).write_text(text)

    async def after(self, edit: Callable[[], object]) -> Attempt:
        known = {attempt.number for attempt in self.app.reload.attempts}

        def new() -> list[Attempt]:
            return [each for each in self.app.reload.attempts if each.number not in known]

        edit()
        await until(new, "an attempt")
        return new()[-1]


def in_a_runtime(tmp_path: Path, scene: Callable[[Edited], Awaitable[None]], files: Mapping[str, str] = FILES) -> None:
    async def whole() -> None:
        root = project(tmp_path / "project", NOBODY, files=files)
        async with lived(root, tmp_path / "state", clock=Hasty()) as (app, operator):
            await asyncio.wait_for(scene(Edited(root, app, operator)), 60)

    asyncio.run(whole())


def test_a_policy_that_is_cut_off_is_refused_and_the_place_and_the_way_on_are_told(tmp_path: Path) -> None:
    async def scene(live: Edited) -> None:
        attempt = await live.save("tools.yaml", ALLOWS)
        assert attempt.outcome == "refused" and live.rules() == {"some", "never-key", "look-first"}
        [said] = [each for each in attempt.diagnostics if each.severity == "error"]
        assert (said.code, said.file, said.line, said.column) == ("cut-off", "tools.yaml", 8, 59)
        assert "deny write_file, paths [**/*.key] (works/never-key, tools.yaml:9)" in said.message
        assert said.help is not None and "/api/reload" in said.help
        assert "reload 1 refused" in await told(live) and "tools.yaml:8:59" in await told(live)
        assert (await live.app.reload.attempt("SIGHUP")).outcome == "refused"  # it comes of a closed terminal, too
        asked = await live.operator.http.post("/api/reload")
        assert asked.json()["outcome"] == "applied" and live.rules() == {"some"}
        assert (await live.save("tools.yaml", ALLOWS + RULES)).outcome == "applied"
        assert (await live.save("tools.yaml", ALLOWS)).outcome == "refused"
        assert (await live.save("tools.yaml", ALLOWS + "# that is all\n")).outcome == "applied"
        assert live.rules() == {"some"}

    in_a_runtime(tmp_path, scene)


async def told(live: Edited) -> str:
    """What `validate` says beside the runtime."""
    while not (words := await asyncio.to_thread(differs, live.app.house.state, live.root, None)):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return words


# ── what has gone, in a whole runtime ────────────────────────────────────────────────────────────

STRICT = "  strict:\n    default: deny\n    rules: [{allow: list_files}]\n"
SIDE = AGENT.replace("default: true\n", "").replace("name: Main", "name: Side").replace("soul: main.md\n", "")
WHOLE = {
    **FILES,
    "tools.yaml": 'tools:\n  add: {python: "sums:add"}\n',
    "policies.yaml": ALLOWS.partition("policies:\n")[1] + STRICT + ALLOWS.partition("policies:\n")[2] + RULES,
    "channels.yaml": f'{CHANNELS}people:\n  ada: {{ids: ["http:{"t" * 4}/ada"], owner: true}}\n',
    "heartbeats.yaml": 'heartbeats:\n  morning: {cron: "0 8 * * *", prompt: Good morning, deliver: ada}\n',
    "agents/_defaults.yaml": "policy: works\n",
    "agents/team/_defaults.yaml": "policy: strict\n",
    "agents/team/side.yaml": SIDE.replace("policy: works\n", "")
    .replace(", add, write_file]", "]")
    .replace(", add]", "]"),
}


def test_a_file_that_is_gone_takes_no_prohibition_with_it(tmp_path: Path) -> None:
    async def scene(live: Edited) -> None:
        before = live.app.supervisor.current.snapshot
        gone = {
            "policies.yaml": "unknown-policy",
            "tools.yaml": "unknown-tool",
            "channels.yaml": "cut-off",
            "agents/team/_defaults.yaml": "cut-off",
            "agents/main.yaml": "cut-off",
        }
        for file, code in gone.items():
            kept = (live.root / file).read_text()
            if file == "channels.yaml":  # to which heartbeats refer
                await live.save("heartbeats.yaml", "heartbeats: {}\n")
                before = live.app.supervisor.current.snapshot
            attempt = await live.save(file, None)
            errors = {each.code for each in attempt.diagnostics if each.severity == "error"}
            assert (file, attempt.outcome, code in errors) == (file, "refused", True), errors
            assert live.app.supervisor.current.snapshot is before
            assert (await live.save(file, kept)).outcome == "unchanged"
        assert (await live.save("heartbeats.yaml", None)).outcome == "applied"
        assert (await live.save("agents/team/side.yaml", None)).outcome == "applied"

    in_a_runtime(tmp_path, scene, WHOLE)


# ── time to become whole ─────────────────────────────────────────────────────────────────────────


class Still(ManualClock):
    """Stands still, and counts who waited for it."""

    waited = 0

    async def sleep(self, seconds: float) -> None:
        self.waited += 1
        await super().sleep(seconds)


class Looked:
    """A reload on a clock that stands still, and what it applied."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root, self.clock = root, Still(NOW)
        reading = read(root, NOW)
        assert reading.compiled.snapshot is not None, reading.compiled.diagnostics
        self.applied = [reading.compiled.snapshot]
        self.reload = Reload(root, state, self.clock, lambda: self.applied[-1], self.apply)
        self.reload.begin(reading)

    async def apply(self, snapshot: Snapshot, folder: Folder) -> None:
        self.applied.append(snapshot)

    def outcomes(self) -> list[str]:
        return [attempt.outcome for attempt in self.reload.attempts]

    def waits(self, looking: asyncio.Task[None], number: int) -> bool:
        return looking.done() or self.clock.waited >= number

    async def looks(self, *later: Callable[[], object]) -> None:
        """One look; each time that it waits, the next thing happens and the time passes."""
        looking = asyncio.create_task(self.reload.look())
        for number, happens in enumerate(later, self.clock.waited + 1):
            await until(partial(self.waits, looking, number), "a look that waits")
            assert not looking.done()
            happens()
            await self.clock.advance(shrinking.SETTLE)
        await asyncio.wait_for(looking, 30)


def looked(tmp_path: Path, scene: Callable[[Looked], Coroutine[Any, Any, None]]) -> None:
    root = project(tmp_path / "project", NOBODY, files=FILES)
    asyncio.run(scene(Looked(root, tmp_path / "state")))


def nothing() -> None:
    pass


@pytest.mark.parametrize("file", ["tools.yaml", "agents/main.md", "sums.py", "models.yaml"])
@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_a_file_that_is_written_in_two_goes_is_never_seen_half(tmp_path: Path, file: str, kept: float) -> None:
    async def scene(live: Looked) -> None:
        path = live.root / file
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept)])
        await live.looks(lambda: path.write_bytes(whole))
        assert live.outcomes() == [] and len(live.applied) == 1

    looked(tmp_path, scene)


def test_one_that_comes_back_as_another_is_applied_as_that(tmp_path: Path) -> None:
    async def scene(live: Looked) -> None:
        soul = live.root / "agents/main.md"
        soul.unlink()
        await live.looks(lambda: soul.write_text("You are the second soul.\n"))
        assert [one.agents["main"].soul for one in live.applied[1:]] == ["You are the second soul."]

    looked(tmp_path, scene)


def test_one_that_stays_shorter_is_applied_after_a_while_where_nothing_is_forbidden_by_the_rest(tmp_path: Path) -> None:
    async def scene(live: Looked) -> None:
        (live.root / "agents/main.md").write_text("You are the first")
        await live.looks(nothing)
        assert live.outcomes() == ["applied"] and live.applied[-1].agents["main"].soul == "You are the first"

    looked(tmp_path, scene)


def test_a_writer_that_goes_on_and_on_is_waited_for_a_few_times_only(tmp_path: Path) -> None:
    async def scene(live: Looked) -> None:
        soul = live.root / "agents/main.md"
        lengths = iter(range(1, 20))

        def more() -> None:
            soul.write_text("You are the first soul."[: next(lengths)])

        more()
        await live.looks(*[more] * shrinking.MOST_SETTLED)
        assert live.outcomes() == ["applied"]

    looked(tmp_path, scene)


# ── which edits are held ─────────────────────────────────────────────────────────────────────────

POLICIES = """\
policies:
  careful:
    default: deny
    approvers: [ada]
    sandbox: required
    rules:
      - allow: [read_file, list_files]
      - allow: write_file
        paths: ["notes/**"]
      - {id: no-key, deny: write_file, paths: ["**/*.key"]}
      - ask: read_file
        paths: ["diary/**"]
  floor:
    rules:
      - {id: never, deny: web_fetch, hosts: [example.org]}
"""
PEOPLE = """\
channels:
  http: {kind: http, port: 0, agents: [main]}
people:
  ada: {ids: ["http:operator/ada"], owner: true}
  ben: {ids: ["http:operator/ben"], groups: [oncall]}
rooms:
  ops: {id: "http:9", agents: [main]}
  hall: {id: "http:8"}
"""
TOOLS = """\
tools:
  pods:
    description: Deletes a pod
    shell: >-
      kubectl delete pod web
      --dry-run=client
"""
BEATS = """\
heartbeats:
  morning:
    cron: "30 7 * * 1-5"
    prompt: Say hi
    deliver: http:operator/1234567
# that is all
"""
LAID = {
    "tools.yaml": TOOLS,
    "heartbeats.yaml": BEATS,
    "agents/main.yaml": "name: M\ndescription: D\ntools: [read_file, write_file]\npolicy: careful\nmemory: off\n",
    "policies.yaml": POLICIES,
    "channels.yaml": PEOPLE,
}


def compiled(files: Mapping[str, str]) -> tuple[Folder, Snapshot | None]:
    folder = Folder.of({name: text.encode() for name, text in files.items()})
    return folder, compile(folder, environment={}, importer=None, today=NOW).snapshot


def after(files: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in {**LAID, **files}.items() if text is not None}


def judged(files: Mapping[str, str | None]) -> shrinking.Held | None:
    before, old = compiled(LAID)
    assert old is not None
    return shrinking.held(
        before, old, *compiled({n: text for n, text in {**LAID, **files}.items() if text is not None})
    )


@pytest.mark.parametrize("before", ["", "# of today\n"])
def test_policies_that_are_cut_at_any_byte_are_invalid_or_held_or_forbid_as_much(before: str) -> None:
    """Also where what is left was edited as well."""
    _, old = compiled(LAID)
    assert old is not None
    known, outcomes = forbidden(old), dict.fromkeys(("invalid", "held", "as strict"), 0)
    for length in range(len("policies:\n"), len(POLICIES), 4 if before else 1):
        files = {**LAID, "policies.yaml": before + POLICIES[:length]}
        folder, new = compiled(files)
        if new is None:
            outcomes["invalid"] += 1
        elif shrinking.held(compiled_once(), old, folder, new) is not None:
            outcomes["held"] += 1
        else:
            outcomes["as strict"] += 1
            assert forbidden(new) == known, POLICIES[:length][-60:]
    assert min(outcomes["invalid"], outcomes["held"]) > 0


def compiled_once() -> Folder:
    return Folder.of({name: text.encode() for name, text in LAID.items()})


def forbidden(snapshot: Snapshot) -> object:
    """All that a cut can take away."""
    return {
        name: (
            {repr(replace(rule, origin=Origin("", 0, 0))) for rule in policy.rules},
            policy.default,
            policy.approvers,
            policy.sandbox,
        )
        for name, policy in snapshot.policies.items()
    }


CUT = [
    ("policies.yaml", POLICIES.partition("  floor:")[0], "deny web_fetch, hosts [example.org]"),
    ("policies.yaml", POLICIES.partition("      - {id: no-key")[0], "deny write_file, paths [**/*.key]"),
    ("policies.yaml", "# mine\n" + POLICIES.partition("      - {id: no-key")[0], "deny write_file, paths [**/*.key]"),
    ("policies.yaml", "# mine\n" + POLICIES.partition("  floor:")[0].rstrip(), "deny web_fetch"),
    ("policies.yaml", None, None),
    ("tools.yaml", TOOLS.partition("client")[0], "part of what tool pods runs"),
    ("tools.yaml", "# mine\n" + TOOLS.partition("client")[0], "part of what tool pods runs"),
    ("tools.yaml", TOOLS.partition("      --dry")[0], "part of what tool pods runs"),
    ("tools.yaml", "# mine\n" + TOOLS.partition("      --dry")[0], "part of what tool pods runs"),
    ("heartbeats.yaml", BEATS.partition("567")[0], "part of what heartbeat morning does"),
    ("heartbeats.yaml", BEATS.partition(" all")[0], "the rest of this line"),
    ("heartbeats.yaml", "# mine\n" + BEATS.partition(" all")[0], "the rest of this line"),
    ("heartbeats.yaml", BEATS.partition("    deliver")[0], "part of what heartbeat morning does"),
    ("channels.yaml", PEOPLE.partition("rooms:")[0], "room ops"),
    ("channels.yaml", PEOPLE.partition("  ben:")[0], "person ben"),
    ("agents/main.yaml", LAID["agents/main.yaml"].partition("memory")[0], "what bounds agent main"),
]


@pytest.mark.parametrize(("file", "text", "lost"), CUT)
def test_what_is_cut_off_is_held_and_what_is_missing_is_named(file: str, text: str | None, lost: str | None) -> None:
    found = judged({file: text})
    assert (found is None) == (lost is None)
    if found is not None:
        [said] = found.diagnostics
        assert said.file == file and lost is not None and lost in said.message
        assert said.line == len((text or "").splitlines())


MEANT = [
    {"policies.yaml": POLICIES.replace('      - {id: no-key, deny: write_file, paths: ["**/*.key"]}\n', "")},
    {"policies.yaml": POLICIES.partition("  floor:")[0] + "# that is all\n"},
    {"policies.yaml": POLICIES + "# a word\n"},
    {"policies.yaml": POLICIES.rstrip("\n")},
    {"channels.yaml": PEOPLE.replace("[oncall]", "[nobody]")},
    {"channels.yaml": PEOPLE.partition("rooms:")[0] + "rooms: {}\n# none\n"},
    {"agents/main.yaml": LAID["agents/main.yaml"].replace("memory: off", "memory: shared")},
    {"tools.yaml": "tools: {}\n"},
    {"channels.yaml": PEOPLE.partition("  hall:")[0]},
    {
        "agents/main.yaml": None,
        "agents/boss.yaml": LAID["agents/main.yaml"],
        "channels.yaml": PEOPLE.replace("[main]", "[boss]"),
    },
]


@pytest.mark.parametrize("files", MEANT)
def test_what_a_person_says_is_not_held(files: Mapping[str, str | None]) -> None:
    assert compiled(after(files))[1] is not None
    assert judged(files) is None


WAYS_IN = """\
people: {ada: {ids: ["http:operator/ada"], owner: true}}
channels:
  bot:
    kind: telegram
    token: 1:a
  http:
    kind: http
    port: 0
    tokens:
      shop: {secret: "${A_TOKEN:-1123456789abcdef}", scopes: [chat]}
      guest: {secret: "${B_TOKEN:-2123456789abcdef}", scopes: [chat]}
"""
SENDERS = """\
people: {ada: {ids: ["http:operator/ada"], owner: true}}
channels:
  http: {kind: http, port: 0}
  bot:
    kind: telegram
    token: 1:a
    allow:
    - 5
    - 6
"""


@pytest.mark.parametrize(("text", "last"), [(WAYS_IN, "      guest"), (SENDERS, "    - 6")], ids=["token", "sender"])
def test_what_is_withdrawn_at_the_end_of_a_file_is_withdrawn_at_once(text: str, last: str) -> None:
    before, old = compiled(after({"channels.yaml": text}))
    now, new = compiled(after({"channels.yaml": text.partition(last)[0]}))
    assert old is not None and new is not None
    assert shrinking.held(before, old, now, new) is None


def test_a_list_of_senders_that_goes_missing_is_held() -> None:
    before, old = compiled(after({"channels.yaml": SENDERS}))
    now, new = compiled(after({"channels.yaml": SENDERS.partition("    allow")[0]}))
    assert old is not None and new is not None
    found = shrinking.held(before, old, now, new)
    assert found is not None and "whom and what channel bot admits" in found.diagnostics[0].message


NARROW = """\
# a comment
policies:
  careful:
    rules:
      - {allow: read_file}
      - {deny: write_file, paths: ["**/*.key", "**/*.pem"]}
    approvers: [ada]
    default: deny
    sandbox: required
    trusted_repositories: [/srv/src/site]
"""


def narrowed(text: str, file: str = "policies.yaml") -> str:
    """What is said of an edit of a file, beside agents of two folders."""
    side = {"agents/team/_defaults.yaml": "limits: {turn: 5m}\n", "agents/team/side.yaml": TEAM}
    main = LAID["agents/main.yaml"] + "default: true\n"
    files = {**LAID, "policies.yaml": NARROW, "agents/main.yaml": main, **side}
    (before, old), edited = compiled(files), {**files, file: text}
    assert old is not None
    folder, new = compiled({name: text for name, text in edited.items() if text})
    assert new is not None
    found = shrinking.held(before, old, folder, new)
    return found.diagnostics[0].message if found else ""


TEAM = "name: S\ndescription: D\ntools: [read_file]\npolicy: careful\n"


@pytest.mark.parametrize("above", ["# a comment\n", "# another\n", "# of today\n# another\n"])
@pytest.mark.parametrize("behind", ["approvers: [ada]", "default: deny", "sandbox: required"])
def test_no_prohibition_goes_with_what_is_cut_off_behind_the_rules_whatever_was_edited_above_it(
    above: str, behind: str
) -> None:
    text = above + NARROW.partition("\n")[2].partition(f"    {behind}")[0]
    assert behind.partition(":")[0] in narrowed(text)
    assert "trusted_repositories" not in narrowed(text)  # with them nothing is forbidden
    assert not narrowed(f"{text}# that is all\n")
    assert shrinking.shrunk(compiled({"policies.yaml": NARROW})[0], compiled({"policies.yaml": text})[0])


@pytest.mark.parametrize("place", [3, 6, 8])
def test_cut_anywhere_behind_an_edited_line_it_is_held_also_where_lines_stand_there_twice(place: int) -> None:
    twice = NARROW + NARROW.partition("policies:\n")[2].replace("careful", "other")
    (before, old), lines = compiled({**LAID, "policies.yaml": twice}), twice.splitlines(True)
    assert old is not None
    for end in range(place + 1, len(lines) - 1):
        edited = [*lines[:place], lines[place].replace("\n", "  # edited\n"), *lines[place + 1 : end]]
        folder, new = compiled({**LAID, "policies.yaml": "".join(edited)})
        if new is not None and forbidden(new) != forbidden(old):
            assert shrinking.held(before, old, folder, new), "".join(edited)


def test_what_becomes_stricter_is_not_lost_however_the_file_ends() -> None:
    stricter = NARROW.replace("**/*.pem", '**/*.pem", "**/*.crt').rstrip()
    assert not narrowed(stricter)
    assert "sandbox: required" in narrowed(stricter.replace("sandbox: required", "answer_within: 2m"))
    assert "deny write_file" in narrowed(stricter.replace("**/*.pem", "**/*.csr"))


def test_trusted_repositories_that_are_cut_within_a_line_are_told_and_held() -> None:
    files = {**LAID, "policies.yaml": NARROW}
    old, new = compiled(files)[1], compiled({**files, "policies.yaml": NARROW.replace("/src/site]", "]")})[1]
    assert old is not None and new is not None
    assert "policy careful: git may follow the configuration of /srv unasked" in lost(old, new)
    block = NARROW.replace(" [/srv/src/site]", "\n      - /srv/src/site")
    before = compiled({**LAID, "policies.yaml": block})
    folder, cut = compiled({**LAID, "policies.yaml": block.partition("/src/")[0]})
    assert before[1] is not None and cut is not None
    held = shrinking.held(*before, folder, cut)
    assert held is not None and "part of trusted_repositories" in held.diagnostics[0].message


def test_a_file_of_an_agent_that_goes_takes_nothing_of_other_agents_with_it() -> None:
    files = {**LAID, "agents/main.yaml": f"{LAID['agents/main.yaml']}limits: {{turn: 10m}}\ndefault: true\n"}
    both = {**files, "agents/team/_defaults.yaml": "limits: {turn: 5m}\n", "agents/team/side.yaml": TEAM}
    (before, old), long = compiled(both), files["agents/main.yaml"]
    assert old is not None

    def said(edited: Mapping[str, str]) -> str:
        folder, new = compiled(edited)
        assert new is not None
        found = shrinking.held(before, old, folder, new)
        return found.diagnostics[0].message if found else ""

    gone = {name: text for name, text in both.items() if name != "agents/team/side.yaml"}
    for turn in ("5m", "11m"):
        assert not said({**gone, "agents/main.yaml": long.replace("10m", turn)})
    renamed = {name: text for name, text in both.items() if name != "agents/main.yaml"}
    renamed["channels.yaml"] = PEOPLE.replace("main", "chief")
    assert not said({**renamed, "agents/chief.yaml": long.replace("10m", "11m")})
    assert not said({**{n: text for n, text in both.items() if not n.endswith("_defaults.yaml")}, **_said(TEAM, "4m")})
    assert "what bounds agent side" in said({n: text for n, text in both.items() if not n.endswith("_defaults.yaml")})
    assert "whose place side would take" in said({**renamed, "channels.yaml": PEOPLE.replace("main", "side")})


def _said(text: str, turn: str) -> dict[str, str]:
    return {"agents/team/side.yaml": f"{text}limits: {{turn: {turn}}}\n"}


def test_half_a_secret_is_not_taken() -> None:
    channels = PEOPLE.replace("port: 0", 'port: 0, token: "${file:token}"')

    def read_from(token: str) -> tuple[Folder, Snapshot | None]:
        folder = replace(
            Folder.of({n: t.encode() for n, t in {**LAID, "channels.yaml": channels}.items()}),
            known={"token": token.encode()},
        )
        return folder, compile(folder, environment={}, importer=None, today=NOW).snapshot

    before, old = read_from("t" * 40 + "\n")
    assert old is not None
    for token, held in (("t" * 20, True), ("t" * 39 + "u\n", False), ("u" * 40, False)):
        folder, new = read_from(token)
        assert new is not None
        found = shrinking.held(before, old, folder, new)
        assert (found is not None) == held
        assert found is None or "comment" not in str(found.diagnostics[0].help)


@pytest.mark.parametrize("env", [None, "BE", "# of\n", ""])
def test_values_that_go_missing_take_no_prohibition_with_them(env: str | None) -> None:
    beats = BEATS.replace("    deliver", "    enabled: ${BEAT:-true}\n    deliver")
    files = {**LAID, "heartbeats.yaml": beats, ".env": "# of today\nBEAT=false\n"}
    before, after = (
        Folder.of({name: text.encode() for name, text in each.items() if text is not None})
        for each in (files, {**files, ".env": env})
    )
    old, new = (compile(each, environment={}, importer=None, today=NOW).snapshot for each in (before, after))
    assert old is not None
    if new is not None:
        held = shrinking.held(before, old, after, new)
        assert (held is not None) == (env != "# of\n")


def test_rules_that_moved_to_another_file_are_not_lost() -> None:
    tools = POLICIES.partition("  floor:")
    before, old = compiled({**{n: t for n, t in LAID.items() if n != "policies.yaml"}, "tools.yaml": POLICIES})
    assert old is not None
    moved = {**LAID, "policies.yaml": "policies:\n" + tools[2].join(["  floor:", ""]) + tools[0].partition("\n")[2]}
    assert shrinking.held(before, old, *compiled(moved)) is None
