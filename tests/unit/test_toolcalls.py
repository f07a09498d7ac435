"""The text form of tool calls: what is written is read back, and sloppy models are understood."""

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swe_router import toolcalls
from swe_router.records import ToolCall, ToolSpec

TOOLS = tuple(
    ToolSpec(
        name=name,
        description=f"Does {name}.",
        parameters={
            "type": "object",
            "properties": {"command": {"type": "string", "description": "What to run."}},
            "required": ["command"],
        },
    )
    for name in ("bash", "edit", "submit")
)

MARKS = ["END", "END1", " END ", "<<END", "</call>", "<call bash>", "```", "```py", "command: 1"]
TAGS = ["<tool_call>", "</tool_call>", "<think>", "</think>", '{"name": "bash", "arguments": {}}']
CHARS = ["\n", "\r\n", "\u2028", "\x85", "\x0c", "\x00", '"', "\\", "\t", " ", "é", "\udc80"]
PIECES = st.sampled_from([*MARKS, *TAGS, *CHARS])
NASTY = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | NASTY | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=5,
)
CALLS = st.lists(
    st.tuples(
        st.sampled_from([tool.name for tool in TOOLS]),
        st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True) | NASTY, VALUES, max_size=4),
    ),
    min_size=1,
    max_size=3,
)


def as_calls(pairs):
    return tuple(
        ToolCall(id=f"call_{number}", name=name, arguments=arguments)
        for number, (name, arguments) in enumerate(pairs, 1)
    )


@settings(max_examples=30, deadline=None)
@given(CALLS)
@example([("bash", {"command": "\n"}), ("bash", {"command": ""})])
@example([("edit", {"new": "END\nEND1\n</call>\n<call bash>\n```"}), ("submit", {})])
def test_whatever_is_rendered_is_parsed_back(pairs):
    calls = as_calls(pairs)
    parsed = toolcalls.parse_calls(toolcalls.render_calls(calls), TOOLS)
    assert parsed.calls == calls
    assert parsed.say == ""
    assert not parsed.unclosed


@settings(max_examples=30, deadline=None)
@given(st.lists(PIECES | st.just("<call bash>\n") | st.text(max_size=8), max_size=20).map("".join))
def test_parsing_never_raises_and_an_error_is_last(text):
    calls = toolcalls.parse_calls(text, TOOLS).calls
    assert all(not call.error for call in calls[:-1])


def test_deeply_nested_json_is_an_answer_not_a_crash():
    text = '<call bash>\ncommand: {"a":' + "[" * 100_000 + "\n</call>"
    assert toolcalls.parse_calls(text, TOOLS).calls
    assert toolcalls.parse_calls("<tool_call>" + "[" * 100_000, TOOLS).calls[0].error
    assert toolcalls.parse_calls('{"a":' * 100_000, TOOLS).calls == ()


def one(text):
    parsed = toolcalls.parse_calls(text, TOOLS)
    assert [call.error for call in parsed.calls] == [""], parsed
    return parsed, parsed.calls[0].name, dict(parsed.calls[0].arguments)


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ('<call bash>\ncommand: "ls"\n</call>', {"command": "ls"}),
        ("<call bash>\ncommand: ls -l | head\n</call>", {"command": "ls -l | head"}),
        ("<call bash>\ncommand: 'ls'\n</call>", {"command": "ls"}),
        (
            "<call bash>\ncommand: \"$PY\" -m pytest 'x'\n</call>",
            {"command": "\"$PY\" -m pytest 'x'"},
        ),
        ('<call name="bash">\ncommand = "ls"\n</call>', {"command": "ls"}),
        ("  <call bash>  \n\n  command: ls\n  </call>  ", {"command": "ls"}),
        ("<call bash>\ncommand: ls\n", {"command": "ls"}),
        ("<call bash>\ncommand <<END\nls\nEND", {"command": "ls\n"}),
        ("<call bash>\ncommand: <<'EOF'\nls\nEOF  \n</call>", {"command": "ls\n"}),
        ("<call bash>\ncommand <<END\nls\n</call>", {"command": "ls\n"}),
        ('<call bash>\ncommand: "a\nb"\n</call>', {"command": "a\nb"}),
        ('<call bash>\ncommand: {\n  "a": 1\n}\n</call>', {"command": {"a": 1}}),
        ("<call submit></call>", {}),
        ("<call submit/>", {}),
        ('{"name": "bash", "arguments": {"command": "ls"}}', {"command": "ls"}),
        ('```json\n{"name": "bash", "arguments": {"command": "ls"}}\n```', {"command": "ls"}),
        ('[{"name": "bash", "parameters": {"command": "ls"}}]', {"command": "ls"}),
        (
            '<tool_call>\n{"name": "bash", "arguments": {"command": "ls"}}\n</tool_call>',
            {"command": "ls"},
        ),
        ('<tool_call>{"name": "bash", "arguments": "{\\"command\\": 1}"}', {"command": 1}),
        ('{"type": "function", "function": {"name": "bash", "arguments": {}}}', {}),
    ],
)
def test_sloppy_forms_are_understood(text, arguments):
    assert one(text)[2] == arguments


def test_a_fence_around_a_block_is_not_talk():
    parsed, name, arguments = one(
        "First I look.\n\n```xml\n<call bash>\ncommand: ls\n</call>\n```\nThen I wait.\n"
    )
    assert (name, arguments) == ("bash", {"command": "ls"})
    assert parsed.say == "First I look.\nThen I wait."


def test_several_calls_come_in_order_with_the_talk_between():
    text = "a\n<call bash>\ncommand: 1\n</call>\nb\n<tool_call>" + json.dumps(
        {"name": "bash", "arguments": {"command": "</tool_call>\n<call submit/>"}}
    )
    parsed = toolcalls.parse_calls(text + "</tool_call>\n<call submit/>\nc", TOOLS)
    assert [call.name for call in parsed.calls] == ["bash", "bash", "submit"]
    assert parsed.calls[1].arguments["command"] == "</tool_call>\n<call submit/>"
    assert parsed.say == "a\nb\nc"


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("<call>\ncommand: ls\n</call>", "<call NAME>"),
        ("<call bsh>\ncommand: ls\n</call>", "Did you mean bash?"),
        ("<call bash>\nls -l\n</call>", "name <<WORD"),
        ("<call bash>\ncommand: cat > x <<EOF\nhello\nEOF\n</call>", "name <<WORD"),
        ('<call bash>\ncommand: "ls\n</call>', "no closing quote"),
        ("<call bash>\ncommand: 1\ncommand: 2\n</call>", "twice"),
        ("<call bash>\ncommand <<END\nls\n</call>\nThat is all.", "holds only END"),
        ('<tool_call>{"name": "bash", "arguments": {</tool_call>', "not valid JSON"),
        ('<tool_call>{"name": "bash"}</tool_call>', '"arguments"'),
    ],
)
def test_what_cannot_be_read_is_corrected_and_nothing_after_it_is_carried_out(text, tells):
    calls = toolcalls.parse_calls(text + "\n<call submit/>", TOOLS).calls
    assert len(calls) == 1
    assert tells in calls[0].error


@pytest.mark.parametrize(
    "text",
    [
        "Use <call bash> to run things.",
        "<think>\n<call submit/>\n</think>\nHm.",
        '{"name": "Ann", "arguments": {}}',
        '```json\n{"a": 1}\n```',
        "",
    ],
)
def test_talk_is_not_a_call(text):
    assert toolcalls.parse_calls(text, TOOLS).calls == ()


def test_a_cut_off_call_is_marked_as_unclosed():
    assert toolcalls.parse_calls("<call bash>\ncommand: rm -rf bui", TOOLS).unclosed
    assert not toolcalls.parse_calls("<call bash>\ncommand: ls\n</call>", TOOLS).unclosed


def test_the_lesson_is_readable_by_the_reader():
    lesson = toolcalls.describe_tools(TOOLS)
    assert "bash: Does bash." in lesson
    assert "command (string): What to run." in lesson
    parsed = toolcalls.parse_calls(lesson, TOOLS)
    assert [call.name for call in parsed.calls] == ["bash", "edit"]
    assert parsed.calls[1].arguments["new"] == "    return a + b\n"


def test_an_unknown_tool_keeps_its_name_and_arguments_for_the_record():
    call = toolcalls.parse_calls("<call bsh>\ncommand: ls\n</call>", TOOLS).calls[0]
    assert (call.name, dict(call.arguments)) == ("bsh", {"command": "ls"})


@pytest.mark.parametrize("blank", [" ", "\n", "\t\n", "\u2003"])
@pytest.mark.parametrize("text", ["{}", "{}<call submit/>", "<call bash>{}x", "<call bash>\n{}x"])
def test_a_model_that_runs_into_blanks_is_read_in_no_time(text, blank):
    begun = time.process_time()
    toolcalls.parse_calls(text.format(blank * 50_000), TOOLS)
    toolcalls.parse_calls(text.format("\nk" + blank * 50_000), TOOLS)
    assert time.process_time() - begun < 1


STRAYS = [
    '{"name": "edit", "arguments": {"path": "a", "new": "x}\n{"name": "submit", "arguments": {}}',
    '{"name": "edti", "arguments": {"path": "a"}}\n{"name": "submit", "arguments": {}}',
    '{"name": "edit", "arguments": "{bad"}\n{"name": "submit", "arguments": {}}',
    'I will <call edit>\npath: "a"\n</call>\n<call submit>\n</call>',
    '{"name": "edit", "arguments": {"path": "a"}}\n<call submit>\n</call>',
    '<invoke name="edit">\n<parameter name="path">a</parameter>\n</invoke>\n<call submit>\n</call>',
    "<function=edit>\n<parameter=path>a</parameter>\n</function>\n<call submit></call>",
]
KNOWN = [ToolSpec(name=name, description="", parameters={}) for name in ("bash", "edit", "submit")]


@pytest.mark.parametrize("text", STRAYS)
def test_nothing_is_carried_out_behind_a_call_that_was_meant_and_not_read(text):
    (call,) = toolcalls.parse_calls(text, KNOWN, strays=True).calls
    assert call.name == ""
    assert "could not be read" in call.error
    assert [one.name for one in toolcalls.parse_calls(text, KNOWN).calls] == ["submit"], (
        "as older runs read it"
    )


@pytest.mark.parametrize("talk", [
    'The file says:\n{"name": "pkg", "version": "1"}\n', "Now I use `<call edit>`:\n",
    "Then <call edit> comes, and at last:\n", '<think>\n{"name": "edit"}\n</think>\n',
    "<invoke name=\"other\">\n", "",
])  # fmt: skip
def test_talk_before_a_call_does_not_stop_it(talk):
    calls = toolcalls.parse_calls(f"{talk}<call submit>\n</call>\n", KNOWN, strays=True).calls
    assert [(call.name, call.error) for call in calls] == [("submit", "")]


def test_calls_before_the_unread_one_are_carried_out():
    text = '<call bash>\ncommand: "ls"\n</call>\n<function=edit>\n</function>\n<call submit></call>'
    first, second = toolcalls.parse_calls(text, KNOWN, strays=True).calls
    assert (first.name, first.error, second.id) == ("bash", "", "call_2")
    assert second.error
