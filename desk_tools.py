"""Python tools of this project. A function becomes a tool by its mark, and is named in tools.yaml.

Its docstring and annotations are what the model is told. A failing tool is an error the model reads,
never the end of a conversation.
"""

import openclaw


@openclaw.tool
def word_count(text: str) -> str:
    """Counts the words, lines and characters of a text.

    Args:
        text: The text to count.
    """
    words, lines = len(text.split()), len(text.splitlines())
    return f"{words} words, {lines} lines, {len(text)} characters"
