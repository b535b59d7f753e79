"""How often a command that reads much looks for rubbish."""

from __future__ import annotations

import gc

from openclaw.cli._collected import rarely


def test_rubbish_is_hardly_looked_for_meanwhile_and_not_at_the_end_in_what_was_kept() -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        with rarely():
            assert gc.get_threshold() > usual
        assert usual == gc.get_threshold()
        assert gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
