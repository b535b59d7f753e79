"""Decisions: what is asked, what is denied, what runs, for every kind of tool and every shape of rule."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from openclaw.messages import ToolSpec
from openclaw.permissions.decide import (
    Attempt,
    Condition,
    Decision,
    Effect,
    Origin,
    Policy,
    Rule,
    decide,
    decision_json,
    hidden,
)
from openclaw.permissions.facts import Assumed, Disk, Facts, Program
from openclaw.permissions.template import Template, compile_template

ALLOW, ASK, DENY = Effect.ALLOW, Effect.ASK, Effect.DENY

RUN = ToolSpec("run_command", "", {"properties": {}}, "shell", judged={"command": "command", "cwd": "path"})
READ = ToolSpec("read_file", "", {"properties": {}}, "files", judged={"path": "path"})
WRITE = ToolSpec("write_file", "", {"properties": {}}, "files", judged={"path": "path"}, writes=True)
LIST = ToolSpec("list_files", "", {"properties": {}}, "files", judged={"path": "path"})
FETCH = ToolSpec("web_fetch", "", {"properties": {}}, "web", judged={"url": "url"})
REFUND = ToolSpec("refund", "", {"properties": {"amount": {"type": "number", "default": 10}}}, "python")


def policy(*rules: Rule, default: Effect = ASK) -> Policy:
    return Policy("test", rules, default)


def rule(effect: Effect, tools: str, **condition: Any) -> Rule:
    unless = condition.pop("unless", None)
    extra = {key: condition.pop(key) for key in ("id", "until", "unsafe", "reason") if key in condition}
    when = Condition(**{key: tuple(v) if isinstance(v, list) else v for key, v in condition.items()})
    return Rule(effect, tuple(tools.split()), when, unless, **extra)


def judged(
    tool: ToolSpec, input: Mapping[str, Any], rules: Policy, facts: Facts | None = None, **attempt: Any
) -> Decision:
    attempt.setdefault("workspace", Path("/ws"))
    attempt.setdefault("sender", "repl:local")
    return decide(Attempt(tool, input, "main", **attempt), rules, facts or Assumed())


def run(command: str, *rules: Rule, default: Effect = ASK, facts: Facts | None = None, **attempt: Any) -> Decision:
    return judged(RUN, {"command": command}, policy(*rules, default=default), facts, **attempt)


def allowing(*names: str, unsafe: bool = False) -> Rule:
    return rule(ALLOW, "run_command", commands=list(names), unsafe=unsafe)


# ── commands ─────────────────────────────────────────────────────────────────────────────────────


def test_a_vetted_command_runs_as_judged() -> None:
    decision = run("ls -la src | head -n 5 2>/dev/null", allowing("ls", "head"))
    assert decision.effect is ALLOW
    assert decision.command is not None
    assert [step.argv for step in decision.command.steps] == [("ls", "-la", "src"), ("head", "-n", "5")]
    assert [step.program for step in decision.command.steps] == ["/usr/bin/ls", "/usr/bin/head"]
    assert [segment.decision for segment in decision.segments] == [ALLOW, ALLOW]


def test_every_segment_must_be_allowed() -> None:
    decision = run("ls; id", allowing("ls"))
    assert decision.effect is ASK
    assert [segment.decision for segment in decision.segments] == [ALLOW, ASK]


@pytest.mark.parametrize(
    "command",
    [
        "ls --unknown", "ls -L", "cat /etc/passwd", "cat ../x", "cat a/../../x", "cat .env", "cat .git/config",
        "cat .GIT/config",
        "cat sub/.Env.local", "grep x -f /etc/passwd", "cat a /etc/shadow", "sort -o b a", "./ls", "/bin/ls",
        "bin/ls", "LS",
        "lsof", "find . -delete", "tail -f a", "ls $(id)", "ls > f", "ls *", "X=1 ls", "cat //etc/passwd",
        "cat /ws-evil/x",
        "sh -c ls", "env ls", "timeout 5 ls", "xargs ls", "sudo ls", "ls\nid", "git status",
    ],
)  # fmt: skip
def test_what_is_not_wholly_understood_is_asked(command: str) -> None:
    decision = run(command, allowing("ls", "cat", "grep", "sort", "find", "tail", "git"))
    assert decision.effect is ASK
    assert decision.reason


def test_the_default_of_the_policy_stands_where_nothing_matches() -> None:
    assert run("make", allowing("ls")).effect is ASK
    assert run("make", allowing("ls"), default=DENY).effect is DENY
    assert run("ls --unknown", allowing("ls"), default=DENY).effect is DENY
    assert run("ls > f", allowing("ls"), default=DENY).effect is DENY
    assert run("ls", default=DENY).effect is DENY
    assert run("ls", default=ALLOW).effect is ASK, "there is no default to allow"


def test_size_limits_deny() -> None:
    assert run(" ; ".join(["ls"] * 17), allowing("ls")).effect is DENY
    assert run("echo " + "a" * 5000, allowing("echo")).effect is DENY


@pytest.mark.parametrize("command", ["", "   ", "\n", "ls\0"])
def test_no_command_is_denied(command: str) -> None:
    assert run(command, allowing("ls")).effect is DENY


def test_exact_tokens_of_a_program_without_profile() -> None:
    rules = (allowing("make test", "npm run *", "cargo build **"),)
    assert run("make test", *rules).effect is ALLOW
    assert run("make test x", *rules).effect is ASK
    assert run("npm run build", *rules).effect is ALLOW
    assert run("npm run build -- x", *rules).effect is ASK
    assert run("cargo build --release", *rules).effect is ALLOW


def test_a_bare_or_boundless_entry_of_a_program_that_runs_others_is_asked() -> None:
    assert run("python", allowing("python")).effect is ASK
    assert run("bash x.sh", allowing("bash **")).effect is ASK
    assert run("python -c 1", allowing("python **")).effect is ASK
    assert run("python report.py", allowing("python report.py")).effect is ALLOW
    assert run("bash x.sh", allowing("bash **", unsafe=True)).effect is ALLOW


def test_exact_tokens_beyond_a_profile_need_unsafe() -> None:
    assert run("sort -o b a", allowing("sort -o b a")).effect is ASK
    assert run("sort -o b a", allowing("sort -o b a", unsafe=True)).effect is ALLOW


def test_git_is_never_allowed_without_a_sandbox() -> None:
    for entry in ("git", "git status", "git **"):
        decision = run("git status", allowing(entry, unsafe=True), default=DENY)
        assert decision.effect is ASK
        assert "configuration" in decision.reason
    assert run("timeout 5 git status", allowing("timeout 5 git status", unsafe=True)).effect is ASK


def test_allowing_run_command_without_commands_allows_nothing() -> None:
    assert run("ls", rule(ALLOW, "run_command")).effect is ASK
    assert run("ls", rule(ALLOW, "*")).effect is ASK
    assert run("ls", rule(ALLOW, "run_command", paths=["**"])).effect is ASK


class Untrusted(Assumed):
    def find_program(self, name: str) -> Program | None:
        return Program(name, f"/usr/local/bin/{name}", trusted=False)


class Bare(Assumed):
    def find_program(self, name: str) -> Program | None:
        return None


class Broken(Assumed):
    def resolve(self, path: str, cwd: Path) -> Path | None:
        raise OSError("the disk is gone")


def test_a_program_somebody_could_exchange_is_asked() -> None:
    assert run("ls", allowing("ls"), facts=Untrusted()).effect is ASK


def test_a_program_that_is_not_installed_is_judged_and_noted() -> None:
    decision = run("ls", allowing("ls"), facts=Bare())
    assert decision.effect is ALLOW
    assert "not-installed" in decision.segments[0].reason
    assert decision.segments[0].program is None


def test_whatever_fails_never_allows() -> None:
    assert run("ls", allowing("ls"), facts=Broken()).effect is ASK
    assert run("ls", allowing("ls"), rule(DENY, "x"), facts=Broken()).effect is DENY
    assert run("ls", allowing("ls"), facts=Broken(), default=DENY).effect is DENY


def test_an_absolute_program_runs_only_by_its_own_rule_and_from_outside_the_workspace() -> None:
    assert run("/opt/tool x", allowing("/opt/tool **")).effect is ALLOW
    assert run("/ws/tool x", allowing("/ws/tool **")).effect is ASK
    assert run("./tool x", allowing("./tool **")).effect is ASK


def test_links_are_followed_before_a_path_is_judged(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / "settings").symlink_to(tmp_path / ".env")
    (tmp_path / "loop").symlink_to("loop")
    for command in ("cat out/passwd", "ls out", "cat settings", "cat loop"):
        assert run(command, allowing("cat", "ls"), facts=Disk(), workspace=tmp_path).effect is ASK
    assert run("cat new/file", allowing("cat"), facts=Disk(), workspace=tmp_path).effect is ALLOW


def test_the_working_folder_grants_nothing() -> None:
    def at(cwd: object) -> Effect:
        return judged(RUN, {"command": "cat x", "cwd": cwd}, policy(allowing("cat"))).effect

    assert at("sub") is ALLOW
    assert at("/etc") is DENY
    assert at("..") is DENY
    assert at("a\nb") is DENY
    assert at(5) is DENY
    inside = judged(RUN, {"command": "cat ../x", "cwd": "sub"}, policy(allowing("cat")))
    assert inside.effect is ALLOW and inside.details["cwd"] == "/ws/sub"
    assert judged(RUN, {"command": "cat ../../x", "cwd": "sub"}, policy(allowing("cat"))).effect is ASK


# ── deny sees more than allow ────────────────────────────────────────────────────────────────────

NO_RM = rule(DENY, "run_command", commands=["rm", "git push"], id="no-rm", reason="by hand only")


@pytest.mark.parametrize(
    "command",
    [
        "rm x", "/bin/rm x", "ls; rm x", "ls && rm -rf x | cat", "echo $(rm x)", "echo `rm x`", "env rm x",
        "timeout 5 rm x",
        "sh -c 'rm x'", "find . -exec rm x ;", "find . -exec rm {} \\;", "xargs rm", "X=1 rm x", "rm x > f",
        "if a; then rm x; fi",
        "ls\nrm x", "r\\m x", "git push -f", "git -C a push", "ls; " * 60 + "rm x",
        "rm " + "x" * 12_000, "eval \"rm x\"",
        "echo \"$(rm x)\" | sh", "rm x &",
    ],
)  # fmt: skip
def test_a_denied_program_is_denied_wherever_it_stands(command: str) -> None:
    decision = run(command, allowing("ls", "echo", "env", "find"), NO_RM)
    assert decision.effect is DENY


def test_a_denied_name_as_a_mere_argument_is_not_denied() -> None:
    assert run("echo rm", allowing("echo"), NO_RM).effect is ALLOW
    assert run("ls rm > f", allowing("ls"), NO_RM).effect is ASK


def test_computed_names_are_never_allowed() -> None:
    for command in ("$X x", "$(echo rm) x", "$'\\x72m' x", "echo cm0= | base64 -d | sh"):
        assert run(command, allowing("echo", "base64"), NO_RM).effect is not ALLOW


def test_a_program_is_denied_under_the_name_of_its_file_too() -> None:
    class Linked(Assumed):
        def find_program(self, name: str) -> Program | None:
            return Program(name, "/usr/bin/vim.basic", True)

    assert run("vi x", rule(DENY, "run_command", commands=["vim.basic"]), facts=Linked()).effect is DENY


def test_what_needs_a_shell_is_denied_where_shells_are() -> None:
    assert run("ls > f", rule(DENY, "run_command", commands=["bash", "sh"])).effect is DENY


def test_a_command_outside_the_grammar_may_be_agreed_to_as_a_shell_call() -> None:
    decision = run("ls > f", allowing("ls"))
    assert decision.refusal is not None and decision.refusal.code == "redirect"
    assert decision.command is not None
    assert [step.argv for step in decision.command.steps] == [("bash", "-c", "ls > f")]


def test_exceptions_are_the_rules_own() -> None:
    deny = rule(DENY, "run_command", commands=["git"], unless=Condition(commands=("git status",)))
    assert run("git push", deny).effect is DENY
    assert run("git status", deny).effect is ASK
    assert run("git status; git push", deny).effect is DENY
    assert run("git status > f", deny).effect is DENY, "nothing outside the grammar is an exception"
    person = rule(DENY, "run_command", commands=["rm"], unless=Condition(sender=("nader",)))
    assert run("rm x", person).effect is DENY
    assert judged(RUN, {"command": "rm x"}, policy(person), person="nader").effect is ASK


# ── paths ────────────────────────────────────────────────────────────────────────────────────────


def test_path_rules_cover_the_path_where_it_leads_and_as_written(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "notes" / "link").symlink_to(tmp_path / "other")
    rules = policy(rule(ALLOW, "write_file", paths=["notes/**"]))

    def write(path: object) -> Effect:
        return judged(WRITE, {"path": path}, rules, Disk(), workspace=tmp_path).effect

    assert write("notes/a.md") is ALLOW
    assert write("notes/new/a.md") is ALLOW
    assert write(str(tmp_path / "notes/a.md")) is ALLOW
    assert write("notes/../other/a") is ASK
    assert write("notes/link/a") is ASK
    assert write("other/a") is ASK
    assert write("/etc/passwd") is DENY
    assert write("../x") is DENY
    assert write("notes/a\nb") is DENY
    assert write("") is DENY
    assert write(5) is DENY


@pytest.mark.parametrize(
    "path", [".env", ".ENV", "sub/.env.prod", ".git/config", ".git/hooks/x", "id_rsa", "x.pem", ".bashrc"]
)
def test_protected_files_are_never_written_and_read_only_after_asking(path: str) -> None:
    everything = policy(rule(ALLOW, "read_file write_file", paths=["**"]), rule(ALLOW, "read_file write_file"))
    assert judged(WRITE, {"path": path}, everything).effect is DENY
    assert judged(READ, {"path": path}, everything).effect is ASK


def test_project_and_state_are_out_of_reach() -> None:
    rules = policy(rule(ALLOW, "read_file write_file"))
    attempt = {"workspace": Path("/s/workspace"), "protected": (Path("/s"), Path("/project"))}
    assert judged(READ, {"path": "a"}, rules, **attempt).effect is ALLOW
    assert judged(READ, {"path": "/s/http-token"}, rules, **attempt).effect is DENY
    assert judged(WRITE, {"path": "/project/tools.yaml"}, rules, **attempt).effect is DENY
    nested = {"workspace": Path("/home"), "protected": (Path("/home/project"),)}
    assert judged(WRITE, {"path": "project/tools.yaml"}, rules, **nested).effect is DENY
    assert judged(READ, {"path": "Project/tools.yaml"}, rules, **nested).effect is ASK
    assert run("cat project/tools.yaml", allowing("cat"), **nested).effect is ASK


def test_a_deny_of_paths_reaches_links_case_and_commands(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "link").symlink_to("secret")
    deny = rule(DENY, "*", paths=["secret/**", "secret"])
    rules = policy(rule(ALLOW, "read_file"), allowing("cat"), deny)
    for path in ("secret/a", "link/a", "SECRET/a", "x/../secret/a"):
        assert judged(READ, {"path": path}, rules, Disk(), workspace=tmp_path).effect is DENY
        assert judged(RUN, {"command": f"cat {path}"}, rules, Disk(), workspace=tmp_path).effect is DENY
    assert judged(READ, {"path": "public"}, rules, Disk(), workspace=tmp_path).effect is ALLOW


def test_a_path_left_out_means_the_workspace() -> None:
    assert judged(LIST, {}, policy(rule(ALLOW, "list_files"))).effect is ALLOW
    assert judged(LIST, {}, policy(rule(ALLOW, "list_files", paths=["**"]))).effect is ALLOW
    assert judged(LIST, {}, policy(rule(ALLOW, "list_files", paths=["notes/**"]))).effect is ASK


def test_every_path_of_a_list_counts() -> None:
    many = ToolSpec("pack", "", {}, "python", judged={"files": "path"})
    rules = policy(rule(ALLOW, "pack", paths=["a/**"]))
    assert judged(many, {"files": ["a/1", "a/2"]}, rules).effect is ALLOW
    assert judged(many, {"files": ["a/1", "b/2"]}, rules).effect is ASK
    assert judged(many, {"files": ["a/1", "/etc/x"]}, rules).effect is DENY


# ── hosts ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "effect"),
    [
        ("https://docs.python.org/3/", ALLOW),
        ("https://DOCS.python.org./3/", ALLOW),
        ("http://docs.python.org:8080/", ALLOW),
        ("https://a.b.kubernetes.io/", ALLOW),
        ("https://kubernetes.io/", ASK),
        ("https://docs.python.org.evil/", ASK),
        ("https://evildocs.python.org/", ASK),
        ("https://xdocs.python.org/", ASK),
        ("https://docs.python.org@evil/", DENY),
        ("https://user:pw@docs.python.org/", DENY),
        ("ftp://docs.python.org/", DENY),
        ("file:///etc/passwd", DENY),
        ("docs.python.org", DENY),
        ("https://", DENY),
        ("https://docs.python.org\\@evil/", DENY),
        ("https://docs.python.org\n/", DENY),
        ("https://docs.python.org\0/", DENY),
        ("https://docs..python.org/", DENY),
        ("https://[::1", DENY),
        (5, DENY),
    ],
)
def test_hosts_are_compared_by_label(url: object, effect: Effect) -> None:
    rules = policy(rule(ALLOW, "web_fetch", hosts=["docs.python.org", "*.kubernetes.io"]))
    assert judged(FETCH, {"url": url}, rules).effect is effect


def test_a_denied_host_is_denied_in_every_spelling() -> None:
    rules = policy(rule(ALLOW, "web_fetch"), rule(DENY, "web_fetch", hosts=["bücher.example"]))
    for host in ("bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "bücher.example."):
        assert judged(FETCH, {"url": f"https://{host}/"}, rules).effect is DENY


# ── input, and who asks when ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("input", "effect"),
    [
        ({"amount": 50}, ALLOW),
        ({"amount": 50.5}, ASK),
        ({"amount": "5"}, ASK),
        ({"amount": True}, ASK),
        ({"amount": None}, ASK),
        ({"amount": float("nan")}, ASK),
        ({"amount": float("-inf")}, ASK),
        ({"amount": [1]}, ASK),
        ({}, ALLOW),
    ],
)
def test_input_is_held_to_its_schema(input: dict[str, object], effect: Effect) -> None:
    assert judged(REFUND, input, policy(rule(ALLOW, "refund", input={"amount": {"maximum": 50}}))).effect is effect


def test_a_schema_that_cannot_be_applied_forbids_and_does_not_permit() -> None:
    broken = {"amount": {"type": 5}}
    assert judged(REFUND, {"amount": 1}, policy(rule(ALLOW, "refund", input=broken))).effect is ASK
    assert judged(REFUND, {"amount": 1}, policy(rule(DENY, "refund", input=broken))).effect is DENY


def test_ask_and_deny_by_input() -> None:
    rules = policy(
        rule(ALLOW, "refund"),
        rule(ASK, "refund", input={"amount": {"exclusiveMinimum": 50}}),
        rule(DENY, "refund", input={"amount": {"minimum": 1000}}),
    )
    assert [judged(REFUND, {"amount": n}, rules).effect for n in (50, 51, 1000)] == [ALLOW, ASK, DENY]


@pytest.mark.parametrize(
    ("condition", "attempt", "holds"),
    [
        ({"sender": ["nader"]}, {"person": "nader"}, True),
        ({"sender": ["nader"]}, {"person": "ana"}, False),
        ({"sender": ["nader"]}, {"sender": "nader"}, True),
        ({"sender": ["telegram:1"]}, {"sender": "telegram:1"}, True),
        ({"sender": ["telegram:1"]}, {"sender": "telegram:12"}, False),
        ({"sender": ["group:oncall"]}, {"groups": frozenset({"oncall"})}, True),
        ({"sender": ["group:oncall"]}, {"groups": frozenset({"x"})}, False),
        ({"sender": ["ana", "group:oncall"]}, {"person": "ana"}, True),
        ({"channel": ["telegram"]}, {"channel": "telegram"}, True),
        ({"channel": ["telegram"]}, {"channel": "repl"}, False),
        ({"room": ["ops"]}, {"room": "ops"}, True),
        ({"room": ["ops"]}, {}, False),
        ({"heartbeat": ["morning"]}, {"heartbeat": "morning"}, True),
        ({"heartbeat": ["*"]}, {"heartbeat": "any"}, True),
        ({"heartbeat": ["*"]}, {}, False),
        ({"room": ["ops"], "sender": ["ana"]}, {"room": "ops", "person": "ana"}, True),
        ({"room": ["ops"], "sender": ["ana"]}, {"room": "ops", "person": "bob"}, False),
    ],
)
def test_when(condition: dict[str, Any], attempt: dict[str, Any], holds: bool) -> None:
    assert judged(REFUND, {}, policy(rule(ALLOW, "refund", **condition)), **attempt).effect is (ALLOW if holds else ASK)
    assert judged(REFUND, {}, policy(rule(DENY, "refund", **condition)), **attempt).effect is (DENY if holds else ASK)


@pytest.mark.parametrize(
    ("until", "now", "effect"),
    [
        ("2026-11-23", "2026-11-23T23:00:00+00:00", ALLOW),
        ("2026-11-23", "2026-11-24T00:00:00+00:00", ASK),
        ("2026-11-23T12:00:00Z", "2026-11-23T11:59:59+00:00", ALLOW),
        ("2026-11-23T12:00:00+02:00", "2026-11-23T11:00:00+00:00", ASK),
        ("soon", "2026-11-23T11:00:00+00:00", ASK),
        ("2026-11-23", "", ASK),
    ],
)
def test_a_permission_ends(until: str, now: str, effect: Effect) -> None:
    assert judged(REFUND, {}, policy(rule(ALLOW, "refund", until=until)), now=now).effect is effect


def test_tools_are_named_exactly_or_by_glob() -> None:
    assert judged(REFUND, {}, policy(rule(ALLOW, "refund_all"))).effect is ASK
    assert judged(REFUND, {}, policy(rule(ALLOW, "ref*"))).effect is ALLOW
    assert judged(REFUND, {}, policy(rule(DENY, "*"))).effect is DENY


def test_a_tool_denied_whatever_the_call_is_hidden() -> None:
    assert hidden(policy(rule(DENY, "refund")), "refund")
    assert hidden(policy(rule(DENY, "ref*")), "refund")
    assert not hidden(policy(rule(DENY, "refund", sender=["ana"])), "refund")
    assert not hidden(policy(rule(DENY, "refund", unless=Condition(sender=("ana",)))), "refund")
    assert not hidden(policy(rule(ASK, "refund"), default=DENY), "refund")


# ── templates ────────────────────────────────────────────────────────────────────────────────────


def templated(text: str, **inputs: Mapping[str, Any]) -> ToolSpec:
    template = compile_template(text, inputs)
    assert isinstance(template, Template)
    paths = {name: "path" for name, declared in inputs.items() if declared.get("type") == "path"}
    return ToolSpec("disk_usage", "", {"properties": {}}, "shell", {"template": template}, paths)  # type: ignore[arg-type]


DISK_USAGE = templated(
    "du -sh -- {path} | head -n {lines}", path={"type": "path"}, lines={"type": "integer", "default": 20}
)


def test_an_allowed_template_runs_as_written() -> None:
    decision = judged(DISK_USAGE, {"path": "a b"}, policy(rule(ALLOW, "disk_usage")))
    assert decision.effect is ALLOW
    assert decision.command is not None
    assert [step.argv for step in decision.command.steps] == [("du", "-sh", "--", "a b"), ("head", "-n", "20")]


def test_a_template_is_confined_and_denied_like_everything_else() -> None:
    allow = rule(ALLOW, "disk_usage")
    assert judged(DISK_USAGE, {"path": "/etc"}, policy(allow)).effect is DENY
    assert judged(DISK_USAGE, {"path": ".env"}, policy(allow)).effect is ASK
    assert judged(DISK_USAGE, {"path": "a"}, policy(allow, rule(DENY, "run_command", commands=["du"]))).effect is DENY
    assert judged(DISK_USAGE, {"path": "a"}, policy(allow, rule(ASK, "run_command", commands=["du"]))).effect is ALLOW
    assert judged(DISK_USAGE, {"path": "a"}, policy(allow, rule(DENY, "disk_usage", paths=["a"]))).effect is DENY
    assert judged(DISK_USAGE, {"path": "a"}, policy()).effect is ASK
    assert judged(DISK_USAGE, {"path": "a"}, policy(allow), Untrusted()).effect is ASK
    assert judged(DISK_USAGE, {}, policy(allow)).effect is DENY
    assert judged(templated("./script {x}", x={"type": "string"}), {"x": "a"}, policy(allow)).effect is ASK


def test_a_value_a_template_cannot_take_is_denied_with_the_reason() -> None:
    tool = templated("cat {name}", name={"type": "string"})
    decision = judged(tool, {"name": "-n"}, policy(rule(ALLOW, "disk_usage")))
    assert decision.effect is DENY
    assert "must not begin with `-`" in decision.reason


# ── what is told ─────────────────────────────────────────────────────────────────────────────────


def test_the_decision_tells_rules_segments_and_refusal() -> None:
    allow = Rule(
        ALLOW, ("run_command",), Condition(commands=("ls",)), policy="careful", origin=Origin("tools.yaml", 3, 9)
    )
    deny = Rule(
        DENY,
        ("run_command",),
        Condition(commands=("rm",)),
        id="no-rm",
        policy="floor",
        origin=Origin("tools.yaml", 9, 9),
    )
    told = decision_json(run("ls; rm x", allow, deny))
    assert told["decision"] == "deny"
    assert told["rules"] == [
        {"file": "tools.yaml", "line": 9, "column": 9, "effect": "deny", "policy": "floor", "id": "no-rm"},
        {"file": "tools.yaml", "line": 3, "column": 9, "effect": "allow", "policy": "careful", "id": None},
    ]
    assert [(s["argv"], s["decision"]) for s in told["segments"]] == [(["ls"], "allow"), (["rm", "x"], "deny")]
    assert told["refusal"] is None
    assert decision_json(run("ls > f", allow))["refusal"]["code"] == "redirect"


def test_every_decision_has_a_reason() -> None:
    for command in ("ls", "make", "ls > f", "", "rm x", "cat /etc/passwd"):
        decision = run(command, allowing("ls", "cat"), NO_RM)
        assert decision.reason
        assert decision.effect is ALLOW or decision.rules or decision.segments or decision.refusal
