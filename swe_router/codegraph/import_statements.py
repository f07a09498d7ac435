"""Import statements of each language, as rows of one shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tree_sitter import Node

WHOLE = "*"
"""Name of an import that brings in everything."""


class ImportedName(NamedTuple):
    """One imported name: ``from {module} import {name} as {alias}`` or ``import {module}``."""

    module: str
    """As written: dotted in Python, Rust, Java and PHP; a path in the others."""
    name: str
    """Empty for the module itself; ``*`` for all."""
    alias: str
    """The name that it binds here."""
    level: int
    """Leading dots (Python)."""
    line: int


def read_imports(language: str, node: Node) -> list[ImportedName]:
    """The names that one import statement binds."""
    if language == "python":
        return _read_python(node)
    text = (node.text or b"").decode("utf-8", "replace")
    line = node.start_point[0] + 1
    return [ImportedName(*row, 0, line) for row in _READERS[language](text)]


Row = tuple[str, str, str]
"""Module, name, alias."""


def _read_python(node: Node) -> list[ImportedName]:
    line = node.start_point[0] + 1
    module, level = "", 0
    source = node.child_by_field_name("module_name")
    if source is not None:
        text = _node_text(source).replace(" ", "")
        module = text.lstrip(".")
        level = len(text) - len(module)
    out: list[ImportedName] = []
    for child in node.children_by_field_name("name"):
        whole, alias = _name_and_alias(child)
        if source is None:
            out.append(ImportedName(whole, "", alias or whole, 0, line))
        else:
            out.append(ImportedName(module, whole, alias or whole, level, line))
    if not out and source is not None and _node_text(node).rstrip().endswith("*"):
        out.append(ImportedName(module, WHOLE, WHOLE, level, line))
    return out


def _name_and_alias(node: Node) -> tuple[str, str]:
    if node.type != "aliased_import":
        return _node_text(node), ""
    name, alias = node.child_by_field_name("name"), node.child_by_field_name("alias")
    return (_node_text(name) if name else ""), (_node_text(alias) if alias else "")


def _node_text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", "replace")


_QUOTED = re.compile(r"""["'`]([^"'`\n]+)["'`]""")
_BRACES = re.compile(r"\{([^{}]*)\}")
_JS_DEFAULT = re.compile(r"^import\s+(?:type\s+)?([A-Za-z_$][\w$]*)\s*(?:,|from\b)")
_JS_BARE = re.compile(r"""import\s*["']""")
_JS_STAR = re.compile(r"\*\s+as\s+([\w$]+)")
_JS_REQUIRED = re.compile(r"^([\w$]+)\s*=")
_GO_SPEC = re.compile(r"""^(?:([\w.]+)\s+)?["`]([^"`]+)["`]""")
_INCLUDED = re.compile(r'include\s*"([^"\n]+)"')


def _read_ecmascript(text: str) -> Iterator[Row]:
    quoted = _QUOTED.findall(text)
    if not quoted:
        return
    module, head = quoted[-1], text[: text.rfind(quoted[-1])]
    if text.startswith("export"):
        if "{" not in head:
            yield module, WHOLE, WHOLE
    elif default := _JS_DEFAULT.match(text):
        yield module, "default", default.group(1)
    if star := _JS_STAR.search(head):
        yield module, "", star.group(1)
    if required := _JS_REQUIRED.match(text):
        yield module, "", required.group(1)
    braces = _BRACES.search(head)
    for part in (braces.group(1) if braces else "").split(","):
        words = part.replace(":", " as ").removeprefix("type ").split()
        if words:
            yield module, words[0], words[-1]
    if _JS_BARE.match(text):
        yield module, "", ""


def _read_go(text: str) -> Iterator[Row]:
    spec = _GO_SPEC.match(text.strip())
    if spec:
        alias, module = spec.groups()
        if alias == ".":
            yield module, WHOLE, WHOLE
        else:
            tail = [part for part in module.split("/") if not re.fullmatch(r"v\d+", part)]
            yield module, "", alias or (tail or [module])[-1].rpartition(".")[2]


def _read_rust(text: str) -> Iterator[Row]:
    declared = re.match(r"(?:pub(?:\([^)]*\))?\s+)?mod\s+(\w+)", text)
    if declared:
        yield f"self.{declared.group(1)}", "", declared.group(1)
        return
    tree = re.sub(r"^(?:pub(?:\([^)]*\))?\s+)?use\s+", "", text).rstrip("; \n")
    for path, alias in _use_tree_leaves(tree.replace("::", "."), 0):
        module, _, name = path.rpartition(".")
        if name == "self":
            module, _, name = module.rpartition(".")
        bound = alias or name
        yield module, WHOLE if name == "*" else name, WHOLE if name == "*" else bound


def _use_tree_leaves(tree: str, depth: int) -> Iterator[tuple[str, str]]:
    """(path, alias) of each leaf of ``a.{b, c.{d as e}}``."""
    head, brace, rest = tree.partition("{")
    if not brace or depth > 20:
        path, _, alias = head.partition(" as ")
        if path.strip():
            yield path.strip().lstrip("."), alias.strip()
        return
    level, start = 0, 0
    inner = rest[: rest.rfind("}")] if "}" in rest else rest
    for at, sign in enumerate([*inner, ","]):
        level += (sign == "{") - (sign == "}")
        if (sign == "," and level == 0) or at == len(inner):
            for path, alias in _use_tree_leaves(inner[start:at].strip(), depth + 1):
                yield f"{head.strip()}{path}".lstrip("."), alias
            start = at + 1


def _read_java(text: str) -> Iterator[Row]:
    words = text.rstrip("; \n").removeprefix("import").split()
    module, _, name = "".join(words[1:] if words[:1] == ["static"] else words).rpartition(".")
    yield module, name, name


def _read_c(text: str) -> Iterator[Row]:
    included = _INCLUDED.search(text)
    if included:
        yield included.group(1), WHOLE, WHOLE


def _read_ruby(text: str) -> Iterator[Row]:
    quoted = _QUOTED.search(text)
    if quoted:
        near = text.startswith("require_relative")
        module = quoted.group(1)
        yield (f"./{module}" if near and not module.startswith(".") else module), WHOLE, WHOLE


def _read_php(text: str) -> Iterator[Row]:
    if not text.startswith("use"):
        quoted = _QUOTED.search(text)
        if quoted:
            yield f"./{quoted.group(1).lstrip('/')}", WHOLE, WHOLE
        return
    tree = re.sub(r"^use\s+(?:function\s+|const\s+)?", "", text).rstrip("; \n")
    for path, alias in _use_tree_leaves(f"{{{tree}}}".replace("\\", "."), 0):
        module, _, name = path.rpartition(".")
        yield module, name, alias or name


_READERS: Mapping[str, Callable[[str], Iterator[Row]]] = {
    "javascript": _read_ecmascript, "typescript": _read_ecmascript, "tsx": _read_ecmascript,
    "go": _read_go, "rust": _read_rust, "java": _read_java, "c": _read_c, "cpp": _read_c,
    "ruby": _read_ruby, "php": _read_php,
}  # fmt: skip
