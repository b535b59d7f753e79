"""What manifests mean, beyond what their keys take: every finding stands in a fixture, and its neighbours are silent.

A fixture in `manifests/meaning` is written as those of `test_fixtures` are; `bad-` says what stands beside it, `good-`
nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from manifest.test_fixtures import FIXTURES, compiled, encoded, files_of, heads, told
from openclaw.manifest.codes import CODES
from openclaw.manifest.reports import PLAIN, json, text

MEANING = sorted(FIXTURES.glob("meaning/*.txt"))
OURS = {
    "rule-shadowed", "rule-contradiction", "rule-interpreter", "tool-undecided", "tool-denied", "soul-huge",
    "channel-off", "token-name", "input-type", "secret-literal", "cron-often", "address",
}  # fmt: skip


@pytest.mark.parametrize("fixture", MEANING, ids=lambda path: path.stem)
def test_a_manifest_is_told_what_it_does_not_mean(fixture: Path, tmp_path: Path) -> None:
    files, expected = files_of(fixture)
    assert bool(expected) == fixture.stem.startswith("bad-")
    folder, result = compiled(tmp_path, encoded(files, "plain"))
    assert told(result.diagnostics) == heads(expected), [each.message for each in result.diagnostics]
    for line, diagnostic in zip(expected, result.diagnostics, strict=True):
        for word in line.split(" | ")[1:]:
            assert word in f"{diagnostic.message}\n{diagnostic.help}"
        assert diagnostic.help
    shown = text.render(result.diagnostics, folder, PLAIN) + json.render(result.diagnostics, folder, PLAIN)
    for secret in ("swordfish", "abcdefghijklmnopqrstuvwxyzab", "hunter2", "AAHfake"):
        assert secret not in shown


def test_every_finding_has_a_fixture_and_a_code() -> None:
    found = {head.split()[2] for fixture in MEANING for head in heads(files_of(fixture)[1])}
    assert OURS <= found & set(CODES)


def test_a_prefix_hides_no_other_because_only_whole_words_count(tmp_path: Path) -> None:
    files = {
        "agents/main.yaml": b"name: A\ndescription: d\ndefault: true\ntools: []\npolicy: careful\n",
        "agents/r.yaml": b"name: R\ndescription: d\nprefix: /re\ntools: []\npolicy: careful\n",
        "agents/s.yaml": b"name: S\ndescription: d\nprefix: /research\ntools: []\npolicy: careful\n",
        "tools.yaml": b"policies: {careful: {default: ask}}\n",
    }
    _, result = compiled(tmp_path, files)
    assert told(result.diagnostics) == []
