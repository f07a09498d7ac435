"""What is held against a patch is a fact: it parsed before, it was imported before."""

from __future__ import annotations

from pathlib import Path

import pytest

from swe_router.records import Verdict
from swe_router.settings import VerifySettings
from swe_router.verifiers.evidence_records import SyntaxEvidence
from swe_router.verifiers.in_sandbox import import_probe
from swe_router.verifiers.syntax import SyntaxVerifier, syntax_outcome
from tests.doubles.project import INSTANCE, Project, outcome

FILES = {
    "pkg/__init__.py": "",
    "pkg/good.py": "ONE = 1\n",
    "pkg/old.py": "print 'of another Python'\n",
    "pkg/asks.py": "import nowhere_to_be_found\n",
    "pkg/model.py": "from django.conf import settings\nDEBUG = settings.DEBUG\n",
    "django/__init__.py": "def setup():\n    pass\n",
    "django/conf.py": (
        "class ImproperlyConfigured(Exception):\n    pass\n\n\n"
        "class Settings:\n    def configure(self, **kw):\n        self.DEBUG = True\n\n"
        "    def __getattr__(self, name):\n        raise ImproperlyConfigured(name)\n\n\n"
        "settings = Settings()\n"
    ),
    "docs/script.py": "raise SystemExit('run')\n",
    "web/app.js": "function one() { return 1; }\n",
    "lib.go": "package lib\n\nfunc One() int { return 1 }\n",
    "fast.c": "int one(void) { return 1; }\n",
    "tests/test_good.py": "def test():\n    pass\n",
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("syntax"), FILES)


def judge(project: Project, changes: dict[str, str | None]) -> Verdict:
    verifier = SyntaxVerifier(VerifySettings())
    verdict = verifier.verify(outcome(project.patch(changes)), (), INSTANCE, project.context())
    assert verifier.check(Verdict.model_validate_json(verdict.model_dump_json())) == verdict.outcome
    assert not any(sandbox.root.exists() for sandbox in project.opened)
    return verdict


def test_a_changed_and_a_new_file_that_parse_pass(project: Project) -> None:
    verdict = judge(project, {"pkg/good.py": "ONE = 2\n", "pkg/new.py": "TWO = 2\n"})
    assert verdict.outcome == "pass"
    files = verdict.evidence["files"]
    assert (files["pkg/good.py"]["base"], files["pkg/good.py"]["after"]) == ("ok", "ok")
    assert files["pkg/new.py"]["base"] == "absent"
    assert verdict.evidence["imports"] == {"pkg/good.py": {"base": "ok", "after": "ok"}}


def test_a_scratch_file_that_an_agent_left_at_the_top_is_noted_only(project: Project) -> None:
    verdict = judge(project, {"pkg/good.py": "ONE = 2\n", "replacement.py": "    half a file\n"})
    assert verdict.outcome == "pass"
    assert verdict.evidence["files"]["replacement.py"]["after"] == "error"


@pytest.mark.parametrize("path", ["pkg/good.py", "pkg/new.py"])
def test_a_source_file_that_does_not_parse_fails_with_its_line(path: str, project: Project) -> None:
    verdict = judge(project, {path: "def one(:\n    pass\n"})
    assert verdict.outcome == "fail"
    assert "line 1" in verdict.evidence["files"][path]["said"]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("ONE = 1\nimport nowhere_to_be_found\n", "raises"),
        ("ONE = 1\nraise SystemExit\n", "raises"),
        ("ONE = 1\nimport os\nos._exit(0)\n", "died"),
    ],
)
def test_a_module_that_was_imported_and_is_not_any_more_fails(
    text: str, after: str, project: Project
) -> None:
    verdict = judge(project, {"pkg/good.py": text})
    assert verdict.outcome == "fail"
    assert verdict.evidence["imports"]["pkg/good.py"]["after"] == after


def test_what_did_not_parse_or_import_before_is_no_evidence(project: Project) -> None:
    verdict = judge(project, {"pkg/old.py": "print 'still'\n"})
    assert verdict.outcome == "unknown"
    verdict = judge(project, {"pkg/asks.py": "import nowhere_to_be_found\nTWO = 2\n"})
    assert verdict.outcome == "pass"
    assert verdict.evidence["imports"]["pkg/asks.py"]["base"] == "raises"


def test_a_module_that_asks_for_djangos_settings_gets_some(project: Project) -> None:
    text = FILES["pkg/model.py"]
    assert judge(project, {"pkg/model.py": text + "TWO = 2\n"}).evidence["imports"] == {
        "pkg/model.py": {"base": "ok", "after": "ok"}
    }
    assert judge(project, {"pkg/model.py": text + "TWO = settings.TWO\n"}).outcome == "fail"


def test_no_script_is_run_and_no_test_file_is_held_against_a_patch(project: Project) -> None:
    verdict = judge(project, {"docs/script.py": "raise SystemExit('ran')\n"})
    assert (verdict.outcome, verdict.evidence["imports"]) == ("pass", {})
    verdict = judge(project, {"tests/test_good.py": "def broken(:\n"})
    assert verdict.outcome == "unknown"


def test_other_languages_are_read_by_their_grammar(project: Project) -> None:
    assert judge(project, {"lib.go": FILES["lib.go"] + "\nfunc Two() int {\n"}).outcome == "fail"
    assert judge(project, {"web/app.js": FILES["web/app.js"] + "let a = 2;\n"}).outcome == "pass"
    broken = judge(project, {"web/app.js": "function ( { return\n"})
    assert broken.outcome == "fail"
    macro = judge(project, {"fast.c": "int one(void) { return MACRO(; }\n"})
    assert macro.outcome == "unknown", "a macro may be right where the grammar is lost"
    assert macro.evidence["files"]["fast.c"]["after"] == "unsure"


def test_base_results_are_shared_by_the_candidates_of_an_instance(tmp_path: Path) -> None:
    project = Project(tmp_path, {"a.py": "ONE = 1\n"})
    judge(project, {"a.py": "ONE = 2\n"})
    first = len(project.opened[0].commands)
    judge(project, {"a.py": "ONE = 3\n"})
    assert len(project.opened) == 2
    assert len(project.opened[1].commands) < first


def test_what_a_module_prints_in_its_import_is_no_report(project: Project) -> None:
    text = "print('[\\\"ok\\\", \\\"\\\"]')\nraise ValueError('told')\n"
    verdict = judge(project, {"pkg/good.py": text})
    assert verdict.outcome == "fail"
    assert verdict.evidence["imports"]["pkg/good.py"]["said"] == "ValueError: told"


def test_the_outcome_follows_from_the_words_alone() -> None:
    def outcome(files: dict[str, str], imports: dict[str, dict[str, str]] | None = None) -> str:
        facts = {"files": {"a": files}, "imports": imports or {}}
        return syntax_outcome(SyntaxEvidence.model_validate(facts))

    assert syntax_outcome(SyntaxEvidence()) == "unknown"
    assert outcome({"base": "error", "after": "error"}) == "unknown"
    assert outcome({"base": "ok", "after": "error"}) == "fail"
    slow = {"a": {"base": "ok", "after": "slow"}}
    assert outcome({"base": "ok", "after": "ok"}, slow) == "pass"


def test_the_probe_needs_nothing_but_an_old_python() -> None:
    text = Path(import_probe.__file__).read_text()
    assert "from __future__" not in text
    assert "swe_router" not in text
