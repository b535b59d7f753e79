"""What is taken out of a text before it is shown."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from openclaw.masking import masked

SECRET = 'a b"c/ü%'


@pytest.mark.parametrize(
    "form",
    [SECRET, SECRET.upper(), quote(SECRET), quote(SECRET, safe=""), repr(SECRET)[1:-1], json.dumps(SECRET)[1:-1]],
)
def test_a_secret_is_gone_in_each_of_its_forms(form: str) -> None:
    assert masked(f"x{form}y", [SECRET]) == "x***y"


def test_a_secret_is_gone_in_base64_and_a_longer_one_before_a_shorter_one_in_it() -> None:
    assert masked(base64.b64encode(b"hunter2").decode().rstrip("="), ["hunter2"]) == "***"
    assert masked("hunter22 hunter2", ["hunter2", "hunter22"]) == "*** ***"
    assert masked("nothing is hidden", ["", "x"]) == "nothing is hidden"
