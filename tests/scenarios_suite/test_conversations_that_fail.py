"""A conversation that does not go as its steps say fails at the step, with what was expected and what there was."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from openclaw.scenarios import results
from openclaw.scenarios.check import Checked
from openclaw.scenarios.document import Given, Scenario, read
from openclaw.scenarios.suite import Suite
from openclaw.scenarios.world import World
from scenarios_suite.talking import HEAD, played, project, told


def test_another_reply_is_told_where_its_words_are_expected() -> None:
    assert told(
        """
        steps:
          - user: hello
          - model: Good day.
          - expect: {reply: {contains: [day, Hello], excludes: Good, matches: ^H, equals: Hello.}}
        """
    ) == [
        (4, 83, '"Hello."', '"Good day."'),
        (4, 32, 'a text that contains "Hello"', '"Good day."'),
        (4, 56, 'a text without "Good"', '"Good day."'),
        (4, 71, "a text that matches ^H", '"Good day."'),
    ]


def test_a_reply_that_was_recorded_can_be_corrected() -> None:
    outcome = played(
        """
        steps:
          - user: hello
          - model: {calls: [{write_file: {path: notes/a, content: x}}]}
          - model: Good day.
          - expect: {reply: Hello., calls: [read_file]}
        """
    )
    path = ("conversations", "talk", "steps", 3, "expect")
    corrected = [(each.path, each.value) for each in outcome.corrections]
    assert corrected == [((*path, "reply"), "Good day."), ((*path, "calls"), ["write_file"])]


def test_the_first_step_that_cannot_be_ends_it() -> None:
    assert told(
        """
        steps:
          - model: Hello.
          - expect: {reply: Hello.}
        """
    ) == [(2, 5, "the model to be asked", "nothing is going on")]


def test_a_model_that_nobody_answers_for_is_told_where_its_reply_is_expected() -> None:
    [(line, column, expected, got)] = told(
        """
        steps:
          - user: hello
          - expect: {reply: Hello.}
        """
    )
    assert (line, column, expected) == (3, 21, "a reply")
    assert got == (
        'the model is asked in session agent:ops:repl:local, and no step answers for it; it was told "hello"'
    )


def test_what_is_left_at_the_end_is_told_at_the_last_step() -> None:
    [(line, _, expected, got)] = told(
        """
        steps:
          - user: hello
          - model: Hello.
          - expect: {calls: []}
        """
    )
    assert (line, expected) == (4, "nothing to be left at the end that no step expects")
    assert got == 'this was said: "Hello.", to repl:local'


def test_a_question_that_nobody_expects_is_left_over() -> None:
    [(line, _, _, got)] = told(
        """
        tools: {restart_service: restarted}
        steps:
          - user: restart web
          - model: {calls: [{restart_service: {unit: web}}]}
          - expect: {calls: []}
        """
    )
    assert line == 5
    assert got.startswith("a person is asked whether restart_service may run")


def test_an_answer_that_is_still_on_its_way_is_left_over() -> None:
    [(line, _, _, got)] = told(
        """
        steps:
          - user: hello
          - model: {fault: overloaded}
          - expect: {calls: []}
        """
    )
    assert (line, got) == (4, "an answer is on its way, and waits for time to pass")


def test_a_question_that_is_expected_may_stay_open() -> None:
    assert not told(
        """
        steps:
          - user: restart web
          - model: {calls: [{restart_service: {unit: web}}]}
          - expect: {ask: restart_service}
        """
    )


def test_a_tool_without_a_result_fails_where_it_runs() -> None:
    assert told(
        """
        steps:
          - user: count
          - model: {calls: [{word_count: {text: a b}}]}
          - model: Two.
          - expect: {reply: Two.}
        """
    ) == [
        (
            3,
            5,
            "a result for every call",
            "`word_count` would have touched the world: no result is given for it under `tools`",
        )
    ]


def test_more_calls_than_results_fail() -> None:
    [(line, _, _, got)] = told(
        """
        tools: {word_count: [{text: "1"}, "2"]}
        steps:
          - user: count
          - model: {calls: [{word_count: {text: a}}, {word_count: {text: b}}, {word_count: {text: c}}]}
          - expect: {told: {contains: "2"}}
        """
    )
    assert (line, got) == (4, "`word_count` was called 3 times, and 2 results are given")


def test_calls_that_did_not_run_are_told_with_the_reason() -> None:
    found = told(
        """
        steps:
          - user: keep the key
          - model: {calls: [{write_file: {path: notes/a.key, content: x}}, {write_file: {file: x}}]}
          - model: No.
          - expect: {reply: No., calls: [write_file], denied: []}
        """
    )
    assert [(line, column, expected) for line, column, expected, _ in found] == [(5, 33, "write_file"), (5, 55, "none")]
    for got, before in zip((got for *_, got in found), ("none ran", "write_file, write_file"), strict=True):
        assert got.startswith(f"{before}; write_file did not run: `notes/a.key` is protected (a.key); write_file")
        assert "'content' is a required property" in got


def test_calls_are_compared_by_the_arguments_that_are_written() -> None:
    assert told(
        """
        steps:
          - user: note it
          - model: {calls: [{write_file: {path: notes/a, content: x}}]}
          - model: Done.
          - expect: {reply: Done., calls: [{write_file: {path: notes/b}}]}
        """
    ) == [(5, 35, 'write_file {"path": "notes/b"}', 'write_file {"path": "notes/a", "content": "x"}')]


def test_names_that_there_are_not_are_told_with_those_there_are() -> None:
    assert told(
        """
        steps:
          - user: hello
          - model: {calls: [{writefile: {}}]}
          - expect: {calls: []}
        """
    ) == [(3, 20, "calls of tools that the model has", "there is no tool `writefile`; did you mean `write_file`?")]
    assert told("steps: [{heartbeat: evening}, {expect: {silent: true}}]") == [
        (1, 10, "a heartbeat that runs", "there is no heartbeat `evening`; there are: morning")
    ]
    assert told("steps: [{user: {text: hi, from: bob, channel: quiet}}, {expect: {silent: true}}]") == [
        (1, 10, "the step to be possible", "channel quiet is switched off")
    ]
    assert told("steps: [{user: {text: hi, from: eve}}, {expect: {silent: true}}]") == [
        (1, 10, "the step to be possible", "there is no person `eve`; there are: ana, bob")
    ]


def test_nobody_can_approve_what_nobody_asks() -> None:
    assert told("steps: [{approve: {by: ana, decision: deny}}, {expect: {silent: true}}]") == [
        (1, 10, "an open question", "nothing is going on")
    ]


def test_a_refusal_that_no_step_expects_fails_where_it_happened() -> None:
    for steps in (
        "[{user: {text: hi, from: 'discord:99'}}, {expect: {calls: []}}]",
        "[{user: {text: hi, from: 'discord:99'}}, {user: hi}, {model: hi}, {expect: {reply: hi}}]",
    ):
        [(line, column, expected, got)] = told(f"steps: {steps}")
        assert (line, column) == (1, 10)
        assert expected == "this to succeed, or `expect: {refused: sender}` behind it"
        assert got.startswith("sender: this assistant does not know you")


def test_an_edit_that_is_refused_fails_with_its_mistakes() -> None:
    [(line, column, expected, got)] = told(
        """
        steps:
          - reload: {agents/ops.yaml: "name: Ops"}
          - expect: {silent: true}
        """
    )
    assert (line, column, expected) == (2, 5, "this to succeed, or `expect: {reload: refused}` behind it")
    assert got.startswith("refused: agents/ops.yaml:1:1:")


def test_another_outcome_than_the_expected_one_is_told_with_its_reason() -> None:
    [(line, column, expected, got)] = told(
        """
        steps:
          - reload: {agents/ops.md: You are new here.}
          - expect: {reload: refused}
        """
    )
    assert (line, column, expected, got) == (3, 22, "refused", "applied")
    [(_, _, expected, got)] = told("steps: [{user: hello}, {expect: {refused: sender}}, {model: Hello.}]")[:1]
    assert (expected, got.partition(";")[0]) == ("sender", "nothing was refused")


def test_a_run_of_a_heartbeat_that_no_step_answers_is_told_where_time_passes() -> None:
    [(line, column, expected, got)] = told(
        """
        steps:
          - advance: 2d
          - model: Good morning.
          - expect: {reply: Good morning.}
        """
    )
    assert (line, column) == (2, 5)
    assert expected == "a `model` step behind this one each time the model is asked meanwhile"
    assert "in session cron:morning" in got


def test_other_approvers_another_reader_and_another_agent_are_told() -> None:
    found = told(
        """
        steps:
          - user: restart web
          - model: {calls: [{restart_service: {unit: web}}]}
          - expect: {ask: rotate, approvers: [bob]}
          - approve: {by: ana, decision: deny}
          - model: No.
          - expect: {reply: {contains: No, to: ana, failed: true}, agent: notifying}
        """
    )
    assert [(line, expected, got) for line, _, expected, got in found] == [
        (4, "rotate", "restart_service"),
        (4, "discord:8, quiet:8", "discord:7"),
        (7, "ana", '"No.", to repl:local'),
        (7, "a failure", '"No.", to repl:local'),
        (7, "notifying", "ops"),
    ]


def test_silence_that_is_broken_is_told() -> None:
    [(line, _, _, got)] = told("steps: [{user: /help}, {expect: {silent: true}}, {expect: {reply: {contains: help}}}]")
    assert line == 1
    assert got.startswith('this was said: "')


# ── before it begins ─────────────────────────────────────────────────────────────────────────────


def mistakes(steps: str) -> list[tuple[int, str, str]]:
    found = read("talk.yaml", f"{HEAD}    steps: {steps}\n".encode())
    assert isinstance(found, tuple)
    return [(each.column - len("    steps: "), each.code, each.message) for each in found]


def test_steps_that_mean_nothing_are_mistakes_of_the_file() -> None:
    expect = "{expect: {silent: true}}"
    assert mistakes(f"[{{user: x}}, {{expect: {{reply: {{matches: '('}}}}}}, {expect}]") == [
        (40, "wrong-value", "`matches` is no regular expression: missing ), unterminated subpattern at position 0")
    ]
    assert mistakes(f"[{{model: {{calls: [{{a: {{}}, b: {{}}}}]}}}}, {expect}]") == [
        (27, "wrong-value", "one item is one call, and this is a second one")
    ]
    assert mistakes(f"[{{model: {{fault: overloaded, text: x}}}}, {expect}]") == [
        (30, "exclusive-keys", "a model that fails gives no `text`")
    ]
    assert mistakes(f"[{{reload: {{desk.py: x}}}}, {expect}]") == [
        (12, "wrong-value", "`desk.py` cannot be edited by a step")
    ]
    assert mistakes(f"[{{reload: {{../agents/x.yaml: x}}}}, {expect}]") == [
        (12, "wrong-value", "`../agents/x.yaml` cannot be edited by a step")
    ]


def test_misspelt_keys_and_conversations_that_assert_nothing_are_mistakes_of_the_file() -> None:
    assert [(code, message) for _, code, message in mistakes("[{expect: {repply: x}}]")] == [
        ("unknown-key", "unknown key `repply` in expectation `expect`; did you mean `reply`?")
    ]
    assert [code for _, code, _ in mistakes("[{user: hello}, {model: hello}]")] == ["scenario-nothing"]
    assert [code for _, code, _ in mistakes("[{expect: {}}]")] == ["scenario-nothing"]


def test_a_mistake_of_ours_in_one_case_is_its_failure_and_the_others_are_judged() -> None:
    """Here a time that nobody can write: it ends while it passes."""
    steps = "    steps: [{advance: 2h}, {user: hello}, {model: hi}, {expect: {reply: hi}}]\n"
    found = read("talk.yaml", f"{HEAD}{steps}  more:\n{steps}".encode())
    assert isinstance(found, Scenario)
    last = datetime(9999, 12, 31, 23, tzinfo=UTC)
    broken, sound = found.conversations
    found = replace(found, conversations=(replace(broken, given=Given(now=last)), sound))
    snapshot = project().compiled.snapshot
    assert snapshot is not None
    world = World(project().folder, snapshot, Path("/project"), Path("/state"), last)
    suite = Suite(Checked({}, {}, ()), (found,))
    first, second = (each.outcome for each in results.judged(suite, world, results.matching(None)))
    assert second.passed and (first.section, first.name) == ("conversations", "talk")
    [failure] = first.failures
    assert "OverflowError" in failure.got[0]


def test_what_the_model_was_told_before_the_latest_message_is_told_no_more() -> None:
    assert told(
        """
        steps:
          - user: hello
          - model: Good day.
          - expect: {reply: Good day., told: {contains: hello}}
          - user: {text: hi, from: "discord:1"}
          - expect: {refused: sender, told: {excludes: secret}}
        """
    ) == [(6, 37, "the model to be asked", "nothing is going on")]


def test_a_message_that_waits_behind_an_open_question_is_left_over() -> None:
    assert told(
        """
        steps:
          - user: restart web
          - model: {calls: [{restart_service: {unit: web}}]}
          - expect: {ask: restart_service}
          - user: "yes"
          - expect: {calls: []}
        """
    ) == [(6, 5, "every message to be answered at the end", "a message waits behind what is still open")]
