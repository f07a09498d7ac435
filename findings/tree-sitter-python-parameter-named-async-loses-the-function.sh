#!/usr/bin/env bash
# tree-sitter-python 0.25.0: a parameter named async costs the whole function.
#
# Input: a function as it was written up to Python 3.6, where `async` was a name (many repositories of
#        SWE-bench are of that time); the grammar takes Python 2 otherwise: print, exec, backticks.
# Expected: a function_definition, as with any other name, or an ERROR over the name alone.
# Seen: no function_definition: the ERROR covers the function. `async = 1` as a statement is no ERROR.
source "$(dirname "$0")/common.bash"
packages tree-sitter==0.26.1 tree-sitter-python==0.25.0
seen <<'PY'
import tree_sitter_python
from tree_sitter import Language, Parser

parser = Parser(Language(tree_sitter_python.language()))


def kinds(text):
    return [node.type for node in parser.parse(text.encode()).root_node.children]


other = kinds("def call(wait=False):\n    return wait\n\n\ndef last():\n    pass\n")
named = kinds("def call(async=False):\n    return async\n\n\ndef last():\n    pass\n")
print("wait", other, "async", named)
assert other == ["function_definition", "function_definition"]
assert named.count("function_definition") == 1 and "ERROR" in named, "changed: the function is found"
assert not parser.parse(b"async = 1\n").root_node.has_error
assert not parser.parse(b"print 'x'\n").root_node.has_error
PY
