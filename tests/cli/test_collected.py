"""How a command that keeps what it reads looks for rubbish."""

from __future__ import annotations

import gc

import pytest

from openclaw.cli._collected import rarely


def test_rubbish_is_hardly_looked_for_meanwhile_and_not_at_the_end_in_what_was_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frozen: list[bool] = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))  # for the tests that come after this one
    usual = gc.get_threshold()
    with rarely():
        assert gc.get_threshold() > usual
        assert not frozen
    assert usual == gc.get_threshold() and frozen
