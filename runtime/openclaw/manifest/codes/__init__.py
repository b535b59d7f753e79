"""Every code of a diagnostic, with what it stands for. Nothing that only runs manifests needs to load this."""

from __future__ import annotations

from typing import Final

from openclaw.manifest.codes import agents, files, outside, policies, references, scenarios, secrets, shape, tools, yaml
from openclaw.manifest.codes.code import Code as Code

PARTS: Final = (files, yaml, shape, secrets, references, agents, tools, policies, outside, scenarios)
CODES: Final[dict[str, Code]] = {code: told for part in PARTS for code, told in part.CODES.items()}
