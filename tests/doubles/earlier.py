"""An earlier attempt that went wrong: its steps and its patch."""

from __future__ import annotations

from swe_router.records import Action, Completion, Message, Step
from tests.doubles.agent import call

BASE = "def add(a, b):\n    return a - b\n"
WRONG = """diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a * b + SOMETHING_WRONG
"""


def step(index: int, *actions: Action, say: str = "") -> Step:
    message = Message(
        role="assistant", content=say, tool_calls=tuple(action.call for action in actions)
    )
    return Step(index=index, request="r", completion=Completion(message=message), actions=actions)


def did(name: str, shown: str = "", code: int | None = None, **arguments: str) -> Action:
    return Action(call=call(name, **arguments), observation=shown, exit_code=code)


WORK = (
    step(0, did("search", "calc.py:1: def add", query="add")),
    step(1, did("bash", BASE, 0, command="cat calc.py util/other.py"), say="I look at calc.py."),
    step(2, did("bash", "", 1, command="python calc.py")),
    step(
        3,
        did("edit", "Edited", action="replace", path="calc.py", old="a - b", new="a * b"),
        say="Multiplying should do.\n    return a * b + SOMETHING_WRONG\n- then I submit",
    ),
)
