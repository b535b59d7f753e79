"""OpenClaw Runtime: agents described in YAML.

What a project's own Python tools may import from here: `tool`, the mark without which no callable
becomes a tool, and `Call`, the annotation by which a tool asks who is calling.
"""

from openclaw.marker import tool
from openclaw.messages import Call

__all__ = ["Call", "__version__", "tool"]
__version__ = "0.1.0"
