#!/usr/bin/env bash
# tree-sitter-cpp 0.23.4: a class with an export macro and a base class is no class.
#
# Input: `class API format_error : public base { ... };`, as most C++ libraries write what they export
#        (fmt, Qt, protobuf), next to the same class without the macro.
# Expected: a class_specifier named format_error in both.
# Seen: with the macro a class_specifier named API without a body, an ERROR, and the members in a
#       brace list: a graph made of classes holds a class API that is everywhere and none of the real.
source "$(dirname "$0")/common.bash"
packages tree-sitter==0.26.1 tree-sitter-cpp==0.23.4
seen <<'PY'
import tree_sitter_cpp
from tree_sitter import Language, Parser

parser = Parser(Language(tree_sitter_cpp.language()))


def classes(text):
    found, todo = [], [parser.parse(text.encode()).root_node]
    while todo:
        node = todo.pop()
        todo += node.children
        if node.type == "class_specifier":
            name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
            found.append((name.text.decode() if name else "", body is not None))
    return found


plain = classes("class format_error : public base { int code() const; };\n")
macro = classes("class API format_error : public base { int code() const; };\n")
print("plain", plain, "with a macro", macro)
assert plain == [("format_error", True)]
assert macro == [("API", False)], "changed: the class is found"
PY
