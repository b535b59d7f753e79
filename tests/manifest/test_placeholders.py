"""Placeholders: what is filled in, in which type, and that no secret ever shows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from openclaw.adapters import formats, report
from openclaw.manifest import reports
from openclaw.manifest.build import Compiled, compile
from openclaw.manifest.folder import Folder
from openclaw.manifest.snapshot import Snapshot

AGENT = b"name: Jarvis\ndescription: Helps\ntools: []\npolicy: careful\n"
SECRET = "s3cr3t-value-of-thirty-two-letters"


def built(channels: str, environment: Mapping[str, str] | None, **files: bytes) -> Compiled:
    folder = Folder.of(
        {
            "agents/main.yaml": AGENT,
            "tools.yaml": b"policies: {careful: {}}\n",
            "channels.yaml": channels.encode(),
            **files,
        }
    )
    return compile(folder, environment=environment, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))


def options(channels: str, environment: Mapping[str, str] | None, **files: bytes) -> Mapping[str, Any]:
    result = built(channels, environment, **files)
    assert result.snapshot is not None, reports.brief(result.diagnostics)
    return result.snapshot.channels["http"].options.options


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${NAME}", "there"), ('"a ${NAME} b"', "a there b"), ('"${NAME}-${NAME}"', "there-there"), ("$NAME", "$NAME"),
        ("${MISSING:-other}", "other"), ("${EMPTY:-other}", "other"), ("${MISSING:-}", None), ("$${NAME}", "${NAME}"),
    ],
)  # fmt: skip
def test_values_are_filled_in(written: str, value: str | None) -> None:
    found = options(http(token=written), {"NAME": "there", "EMPTY": ""})
    assert found["token"] == value


def http(**keys: str) -> str:
    return "channels:\n  http:\n    kind: http\n" + "".join(f"    {key}: {value}\n" for key, value in keys.items())


def test_a_whole_placeholder_takes_the_type_the_schema_wants() -> None:
    found = built(http(port="${PORT}", enabled="${ON:-true}"), {"PORT": "8080"}).snapshot
    assert found is not None
    assert found.channels["http"].options.options["port"] == 8080
    assert found.channels["http"].skipped is None


def test_a_placeholder_of_the_wrong_type_is_a_mistake_and_shows_its_value_only_if_it_is_no_secret() -> None:
    (shown,) = built(http(port="${PORT}"), {"PORT": "eighty"}).diagnostics
    (hidden,) = built(http(port="${PORT_KEY}"), {"PORT_KEY": SECRET}).diagnostics
    assert "eighty" in shown.message
    assert SECRET not in f"{hidden.message}{hidden.help}"


def test_a_value_is_never_read_as_yaml() -> None:
    assert options(http(token="${NAME}"), {"NAME": "a: [b, {c"})["token"] == "a: [b, {c"


def test_files_lose_one_line_break_and_missing_ones_are_told() -> None:
    assert (
        options(http(token="${file:token.txt}"), {}, **{"token.txt": SECRET.encode() + b"\n\n"})["token"]
        == SECRET + "\n"
    )
    (said,) = built(http(token="${file:other.txt}"), {}).diagnostics
    assert (said.code, said.line, said.column) == ("secret-file", 4, 12)


def test_every_unset_variable_is_told_at_once_and_no_env_silences_all() -> None:
    text = http(token="${A_TOKEN}", host="${B_HOST}", port="${C_PORT}")
    assert [each.code for each in built(text, {}).diagnostics] == ["variable-unset"] * 3
    assert built(text, None).diagnostics == ()


@pytest.mark.parametrize("written", ["${", "${}", "${1A}", "${A B}", "${env.A}", "${A:+x}", "${A", '"x ${A"'])
def test_malformed_placeholders_are_told(written: str) -> None:
    assert [each.code for each in built(http(token=written), {"A": "x"}).diagnostics] == ["placeholder"]


SECRETS = {
    "token": http(token=SECRET, prot="1"),
    "token in quotes": http(token=f'"{SECRET}"', host="[x]"),
    "variable": http(host="${MY_PASSWORD}", port="${MY_PASSWORD}"),
    "broken file": f"channels:\n  http: {{kind: http, token: {SECRET}, port: [}}\n",
    "broken line": f"channels:\n  http:\n    token: {SECRET}: x\n",
    "named twice": http(token=SECRET) + f"    token: {SECRET}\n",
    "telegram": http(host="123456789:AAHfakefakefakefakefakefakefakefake"),
    "block": f"channels:\n  http:\n    kind: http\n    token: |\n      {SECRET}\n    port: x\n",
    "wrong scope": f"channels:\n  http:\n    kind: http\n    tokens: {{shop: {{secret: {SECRET}, scopes: [x]}}}}\n",
    "env": http(port="${P}"),
}


@pytest.mark.parametrize("name", SECRETS)
def test_no_output_ever_shows_a_secret(name: str) -> None:
    files = {".env": f"BROKEN {SECRET} \"\nOTHER_TOKEN='{SECRET}\nP=x\n".encode()} if name == "env" else {}
    folder = Folder.of(
        {
            "agents/main.yaml": AGENT,
            "tools.yaml": b"policies: {careful: {}}\n",
            "channels.yaml": SECRETS[name].encode(),
            **files,
        }
    )
    result = compile(folder, environment={"MY_PASSWORD": SECRET}, importer=None, today=datetime(2026, 1, 1, tzinfo=UTC))
    assert result.diagnostics
    told = [report(each).render(result.diagnostics, folder, reports.Look(color=True)) for each in formats()]
    for shown in (*told, reports.brief(result.diagnostics), repr(result)):
        assert SECRET not in shown
        assert "AAHfake" not in shown


def test_secrets_are_not_in_the_representation_of_a_snapshot() -> None:
    result = built(http(token="${MY_TOKEN}"), {"MY_TOKEN": SECRET})
    assert isinstance(result.snapshot, Snapshot)
    assert result.snapshot.channels["http"].options.options["token"] == SECRET
    assert SECRET not in repr(result)


def test_dotenv_fills_in_beneath_the_environment_and_configures_nothing(tmp_path: Path) -> None:
    env = b"\nA=from-file\nexport B='two words'\nOPENCLAW_HTTP_PORT=1\nHTTPS_PROXY=x\nANTHROPIC_BASE_URL=y\nC=${A}\n"
    folder = Folder.of({".env": env})
    assert folder.environment({"A": "real"}) == {"A": "real", "B": "two words", "C": "${A}"}
    said = built(http(), {}, **{".env": env}).diagnostics
    assert [(each.line, each.code, each.severity) for each in said] == [
        (n, "env-ignored", "warning") for n in (4, 5, 6)
    ]


def test_broken_lines_of_dotenv_are_told() -> None:
    said = built(http(), {}, **{".env": b"A=1\nthis is no line\nB=2\n"}).diagnostics
    assert [(each.file, each.line, each.code) for each in said] == [(".env", 2, "env-file")]


def test_where_nobody_looks_at_the_environment_dotenv_is_no_mistake() -> None:
    env = {".env": b"this is no line\nOPENCLAW_HTTP_PORT=1\n"}
    assert [each.code for each in built(http(), {}, **env).diagnostics] == ["env-file", "env-ignored"]
    assert built(http(token="${MISSING}"), None, **env).diagnostics == ()


def test_a_channel_that_is_switched_off_is_skipped_whatever_it_lacks() -> None:
    keys = {"host": "${HOST}", "port": "${PORT}", "token": "${TOKEN}", "tokens": '{s: {secret: "${file:none}"}}'}
    for switch, environment in (("false", {}), ("${ON:-false}", {}), ("${ON}", {"ON": "false"})):
        result = built(http(enabled=switch, **keys), environment)
        assert result.snapshot is not None, reports.brief(result.diagnostics)
        assert result.snapshot.channels["http"].skipped and result.diagnostics == ()
    assert {each.code for each in built(http(enabled="${ON}", **keys), {"ON": "true"}).diagnostics} == {
        "variable-unset", "secret-file",
    }  # fmt: skip
