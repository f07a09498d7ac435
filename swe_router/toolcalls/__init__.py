"""Tool calls as text, for models without native ones: a block per call, bodies as heredocs.

::

    <call edit>
    action: "replace"
    old <<END
        return a - b
    END
    </call>

A value is JSON, or ``<<WORD`` and the lines up to a line that is WORD (so a body can hold
anything: the writer picks a WORD that is no line of it). Reading is lenient where models are
sloppy and never guesses where a guess could do harm: a call that cannot be read becomes a
``ToolCall`` whose ``error`` tells the model what to write instead.
"""

from swe_router.toolcalls.parser import ParsedText, parse_calls, plain_answer, unknown_tool
from swe_router.toolcalls.renderer import describe_tool, describe_tools, render_calls

__all__ = [
    "ParsedText",
    "describe_tool",
    "describe_tools",
    "parse_calls",
    "plain_answer",
    "render_calls",
    "unknown_tool",
]
