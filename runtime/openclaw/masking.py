"""Takes secrets out of a text before anybody is shown it.

Law: what is replaced is gone in each form that it usually takes: as it is, in a URL, in base64, inside a literal of
Python or JSON, and in letters of another case. Knows nothing of where secrets come from.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = "***"
SHORT = 4  # characters; the base64 of what is shorter stands in ordinary words as well
_OF_A_URL = "/:?#[]@!$&'()*+,;=%"  # what stays as it is in an address


def masked(text: str, secrets: Iterable[str]) -> str:
    forms = sorted({form for secret in secrets if secret for form in _forms(secret)}, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, forms)), MASK, text, flags=re.IGNORECASE) if forms else text


def _forms(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "replace")
    yield from (value, quote(raw, safe=""), quote(raw), quote(raw, safe=_OF_A_URL), quote_plus(raw))
    yield from (repr(value)[1:-1], json.dumps(value)[1:-1])
    if len(value) >= SHORT:
        yield base64.b64encode(raw).decode().rstrip("=")
