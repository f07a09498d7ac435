"""The house rules that a machine can hold; each failure names the file and the rule."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import swe_router
from tests.doubles.sources import nodes, tree

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "swe_router").rglob("*.py"))
LAZY = ("swe_router/cli/", "swe_router/plugins.py")
HEAVY = ("anthropic", "openai", "ray", "docker", "swebench", "networkx", "scipy", "numpy",
         "pydantic", "pyarrow", "tree_sitter", "git", "jinja2", "genai_prices")  # fmt: skip


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(found):
    return [n for n in found if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_every_public_name_can_be_had_and_there_are_few():
    assert len(swe_router.__all__) <= 20
    for name in swe_router.__all__:
        assert getattr(swe_router, name) is not None


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nonsense"):
        swe_router.nonsense  # noqa: B018


def test_no_file_is_longer_than_400_lines():
    long = {name_of(p): n for p in SOURCES if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def test_no_function_is_longer_than_60_lines():
    # These are the lists of their options: typer wants them in the signature.
    spared = {
        "swe_router/cli/run_commands.py:run",
        "swe_router/cli/serve_command.py:serve",
        "swe_router/cli/verify_command.py:verify",
    }
    long = {
        where: length
        for path in SOURCES
        for node in functions(nodes(path))
        if (length := node.end_lineno - node.lineno + 1) > 60
        and (where := f"{name_of(path)}:{node.name}") not in spared
    }
    assert long == {}


CONTEXTS = ("AttemptContext", "VerificationContext", "SolveContext")


def is_dataclass(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        "dataclass" in ast.unparse(one) for one in node.decorator_list
    )


def fields_of(node: ast.ClassDef) -> set[tuple[str, str]]:
    return {
        (ast.unparse(part.target), ast.unparse(part.annotation))
        for part in node.body
        if isinstance(part, ast.AnnAssign)
    }


def test_no_class_copies_a_context_field_by_field():
    """A context is held whole: a copy of its fields must be kept up by hand in two places."""
    classes = {
        node.name: fields_of(node) for path in SOURCES for node in nodes(path) if is_dataclass(node)
    }
    assert set(CONTEXTS) <= set(classes)
    copies = {
        (name, context): sorted(shared)
        for name, fields in classes.items()
        for context in CONTEXTS
        if name != context and len(shared := fields & classes[context]) > 3
    }
    assert copies == {}


# Files that ask objects of other libraries and of the system, which have no Protocol of ours.
ASKS_OTHERS = frozenset({
    "candidates/prediction_files.py", "cli/output.py", "jsonl.py", "models/http_calls.py",
    "outcomes/tables/labels.py", "plain_values.py", "sandboxes/docker_engine.py", "templates.py",
    "terminal.py",
    "commands/run/forecast.py",  # knobs of the policies of the house, by the name of the policy
})  # fmt: skip


def test_an_optional_ability_is_a_protocol_and_no_name_looked_up():
    """``getattr(x, "name", default)`` takes a misspelled or private attribute without a word."""
    asked = {
        name_of(path).removeprefix("swe_router/")
        for path in SOURCES
        for node in nodes(path)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"getattr", "hasattr"}
        and isinstance(node.args[1], ast.Constant)
        and "in_sandbox" not in name_of(path)
    }
    assert asked == ASKS_OTHERS


def test_every_live_test_has_a_tier_that_runs_it():
    # By its syntax tree: a mark that stands in a string of test data marks nothing.
    unmarked = [
        name_of(path)
        for path in sorted((ROOT / "tests" / "live").glob("test_*.py"))
        if not any(
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
            for node in tree(path).body
        )
    ]
    assert unmarked == []


def test_every_module_opens_with_its_idea():
    bare = [name_of(p) for p in SOURCES if p.read_text() and not ast.get_docstring(tree(p))]
    assert bare == []


def test_imports_stand_at_the_top_but_in_cli_and_plugins():
    inside = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if not name_of(path).startswith(LAZY)
        for function in functions(nodes(path))
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


@pytest.mark.parametrize("code", ["import swe_router", "from swe_router.__main__ import main"])
def test_the_package_and_its_help_load_nothing_heavy(code):
    script = f"{code}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint(HEAVY)


def test_importing_needs_no_home_no_key_and_writes_nothing(tmp_path):
    script = "import swe_router, swe_router.records, swe_router.settings, swe_router.assets"
    env = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)
    assert list(tmp_path.iterdir()) == []


def test_commands_hold_facts_and_leave_drawing_to_reports():
    drawn = [
        name_of(path)
        for path in SOURCES
        if name_of(path).startswith("swe_router/commands/")
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "rich"
    ]
    assert drawn == []


def test_tests_patch_nothing():
    words = ("monkeypatch." + "setattr", "mock." + "patch", "Magic" + "Mock")
    guilty = [
        name_of(path)
        for path in (ROOT / "tests").rglob("*.py")
        if any(word in path.read_text() for word in words)
    ]
    assert guilty == []


def test_every_protected_column_is_read_by_grading_alone():
    """The answer key's columns are named nowhere on the solving side."""
    columns = ("test_patch", "FAIL_TO_PASS", "PASS_TO_PASS", "eval_script", "hints_text")
    # The adapter looks at the presence of eval_script, to tell its rows from those of others.
    spared = {"swe_router/instances/swebench.py"}
    guilty = {
        f"{name_of(path)}: {column}"
        for path in SOURCES
        if "grading" not in path.parts and name_of(path) not in spared
        for node in nodes(path)
        if isinstance(node, ast.Constant) and node.value in columns
        for column in [node.value]
    }
    assert guilty == set()


def test_no_work_folder_is_written_down_but_by_data_sets():
    """``Instance.workdir`` says where a project lies; its default is what older runs mean."""
    prompts = sorted((ROOT / "prompts").glob("*.j2"))
    guilty = {name_of(path) for path in [*SOURCES, *prompts] if "/testbed" in path.read_text()}
    adapters = {name for name in guilty if name.startswith("swe_router/instances/")}
    assert guilty - adapters == {"swe_router/records/instance.py"}
