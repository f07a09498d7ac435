"""Each data set's own evaluation on rows of our own: its steps carried out, its rule applied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from swe_router.datasets import CountsByGold, Grader, SupportsCheck, SupportsGold, SupportsNote
from swe_router.errors import MissingExtra, UsageError
from tests.doubles.rooted_sandbox import CODE, NOOP, Image, grader_of, rows_at

DATA = Path(__file__).parents[1] / "data" / "datasets"
UNFIT = """\
diff --git a/calc.py b/calc.py
--- a/calc.py
+++ b/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a * b
+    return a + b
"""
RUN_SCRIPT = "cd /app\nHAS_TESTS=1 pytest -rA\n"
PARSER = """\
import json, sys
lines = (line.split() for line in open(sys.argv[1]))
tests = [{"name": name, "status": word} for word, name in lines]
json.dump({"tests": tests}, open(sys.argv[3], "w"))
"""
LOG_PARSERS = """\
from lib.agent.words import PASSED

def parse_odd(log):
    found = {}
    for line in log.splitlines():
        words = line.split()
        if len(words) == 2 and "::" in words[1]:
            found[words[1] + " (12 ms)"] = PASSED if words[0] == "PASSED" else "FAILED"
    return found

NAME_TO_PARSER = {"parse_log_odd": parse_odd}
"""
MULTI = """\
class _Tests:
    def __init__(self, passed, failed): self.passed_tests, self.failed = passed, failed
    @property
    def all_count(self): return len(self.passed_tests) + len(self.failed)
class _Image:
    def fix_patch_path(self): return "/home/fix.patch"
class Instance:
    @classmethod
    def create(cls, data, config): return cls()
    def fix_patch_run(self): return "bash /home/fix-run.sh"
    def dependency(self): return _Image()
    def parse_log(self, log):
        lines = [line.split() for line in log.splitlines() if "::" in line]
        name = lambda test: test.rsplit("_", 1)[-1]
        return _Tests({name(t) for w, t in lines if w == "PASSED"},
                      {name(t) for w, t in lines if w == "FAILED"})
class Dataset:
    @classmethod
    def from_json(cls, text):
        import json
        made = cls(); made.__dict__.update(json.loads(text)); return made
class Config:
    def __init__(self, **more): pass
class _Report: pass
def generate_report(instance, run, test, log):
    found, report = instance.parse_log(log), _Report()
    was = set(test["passed_tests"])
    report.fix_patch_result = found
    report.p2p_tests = {t: 1 for t in found.passed_tests & was}
    report.f2p_tests = {t: 1 for t in found.passed_tests - was}
    report.s2p_tests = report.n2p_tests = {}
    report.valid = not (found.failed & was) and bool(report.f2p_tests)
    report.error_msg = "nothing was fixed" if not report.valid else ""
    if not report.valid:  # as the package does: an invalid report lists no tests
        report.p2p_tests = report.f2p_tests = {}
    return report
"""
FIX_RUN = "cd /home/calc\ngit apply /home/test.patch /home/fix.patch || exit 1\npytest -rA\n"


def kept(folder: Path, files: dict[str, str]) -> str:
    """A copy of a data set's repository, of our own making."""
    for name, text in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return str(folder)


def multi_code(folder: Path) -> str:
    modules = ("dataset", "image", "instance", "report")
    files = {f"multi_swe_bench/harness/{name}.py": MULTI for name in modules}
    return kept(folder, files)


@pytest.fixture
def image(tmp_path):
    return Image(tmp_path / "images")


def made(name: str, image: Image, tmp_path: Path, **more: object):
    """Grader, instances and gold patches of a data set's rows of our own."""
    sample = DATA / name
    if not sample.is_dir():
        sample = rows_at(tmp_path / "rows", DATA / f"{name}.jsonl")
    if name == "swe-bench-pro":
        scripts = {"run_script.sh": RUN_SCRIPT, "parser.py": PARSER}
        rows = [json.loads(line) for line in sample.read_text().splitlines()]
        files = {
            f"run_scripts/{row['instance_id']}/{file}": text
            for row in rows
            for file, text in scripts.items()
        }
        more.setdefault("code", kept(tmp_path / "code", files))
    if name == "swe-smith":  # the image holds the sound project: the bug is the row's patch
        sound = CODE.replace(" + 1", "")
        image.extra = {"/testbed/calc.py": sound, "/testbed/tests/test_calc.py": ""}
    if name == "multi-swe-bench":
        more.setdefault("code", multi_code(tmp_path / "code"))
        row = json.loads(sample.read_text())
        image.extra = {"/home/fix-run.sh": FIX_RUN, "/home/test.patch": row["test_patch"]}
    return grader_of(sample, image, tmp_path / "graded", **more)


EVERY = (
    *("swe-bench-pro", "swe-bench-live", "swe-rebench", "multi-swe-bench", "swe-smith", "swe-gym"),
)


@pytest.mark.parametrize("name", EVERY)
def test_gold_is_resolved_and_a_no_op_is_not(name, image, tmp_path):
    grader, instances = made(name, image, tmp_path)
    assert isinstance(grader, Grader)
    assert isinstance(grader, SupportsGold)
    assert isinstance(grader, SupportsCheck)
    grader.check(list(instances))
    golds = grader.gold()
    assert golds.keys() == instances.keys()
    for one in instances.values():
        resolved = grader.grade(one, golds[one.id])
        assert (resolved.outcome, resolved.evidence.get("reason")) == (
            "resolved",
            "all tests that must pass did",
        ), Path(resolved.evidence.get("log", "/dev/null")).read_text()
        assert resolved.evidence["fail_to_pass"] == {"passed": 1, "failed": []}
        assert resolved.evidence["pass_to_pass"] == {"passed": 1, "failed": []}
        unresolved = grader.grade(one, NOOP)
        assert unresolved.outcome == "unresolved"
        assert unresolved.evidence["fail_to_pass"]["passed"] == 0
        assert unresolved.evidence["pass_to_pass"] == {"passed": 1, "failed": []}
        assert unresolved.evidence["network"] == "off"
    grader.close()


@pytest.mark.parametrize("name", [name for name in EVERY if name != "multi-swe-bench"])
def test_a_patch_that_does_not_apply_is_unresolved_and_says_so(name, image, tmp_path):
    grader, instances = made(name, image, tmp_path)
    one = next(iter(instances.values()))
    grade = grader.grade(one, UNFIT)
    assert (grade.outcome, grade.evidence["reason"]) == ("unresolved", "the patch does not apply")


def test_a_verdict_is_kept_for_the_same_image_and_key_alone(tmp_path):
    image = Image(tmp_path / "images")
    grader, instances = made("swe-rebench", image, tmp_path)
    one = next(iter(instances.values()))
    gold = grader.gold()[one.id]
    assert grader.grade(one, gold).outcome == "resolved"
    ran = len(image.last.ran)
    assert grader.grade(one, gold).outcome == "resolved"
    assert (ran, image.last.ran) == (1, []), "the second verdict was kept, not made anew"
    image.identity = "test:another"
    grader.grade(one, gold)
    assert image.last.ran, "another image is another evaluation"
    rows = tmp_path / "rows" / "swe-rebench.jsonl"
    row = json.loads(rows.read_text())
    rows.write_text(json.dumps({**row, "PASS_TO_PASS": ["tests/test_old.py::test_gone"]}) + "\n")
    changed, _ = grader_of(rows, image, tmp_path / "graded")
    assert changed.grade(one, gold).outcome == "unresolved", "another key is another verdict"


def test_an_evaluation_sees_the_image_as_it_is_and_not_as_it_is_set_up(image, tmp_path):
    grader, instances = made("multi-swe-bench", image, tmp_path)
    one = next(iter(instances.values()))
    assert "rm -f" in one.setup
    grader.grade(one, grader.gold()[one.id])
    assert image.opened[-1][0].setup == ""


def test_the_network_is_on_where_the_user_allows_it(image, tmp_path):
    grader, instances = made("swe-rebench", image, tmp_path, network=("*",))
    one = next(iter(instances.values()))
    grade = grader.grade(one, NOOP)
    assert image.opened[-1][1] is True
    assert "network" not in grade.evidence


def test_tests_that_do_not_fit_the_image_are_the_evaluation_s_fault(image, tmp_path):
    grader, instances = made("swe-bench-live", image, tmp_path)
    one = next(iter(instances.values()))
    image.extra = {f"{one.workdir}/tests/test_calc.py": "there already\n"}
    grade = grader.grade(one, NOOP)
    assert grade.outcome == "ungraded"
    assert "could not be prepared" in grade.evidence["reason"]


def test_a_log_parser_of_the_row_that_fails_gives_no_verdict(image, tmp_path):
    rows = tmp_path / "rows.jsonl"
    row = json.loads((DATA / "swe-bench-live.jsonl").read_text().splitlines()[1])
    rows.write_text(json.dumps({**row, "log_parser": "def parser(log): return 1 / 0"}) + "\n")
    grader, instances = grader_of(rows, image, tmp_path / "graded")
    grade = grader.grade(next(iter(instances.values())), NOOP)
    assert grade.outcome == "ungraded"
    assert "ZeroDivisionError" in grade.evidence["reason"]


def test_live_says_what_its_denominator_is(image, tmp_path):
    grader, _ = made("swe-bench-live", image, tmp_path)
    assert isinstance(grader, SupportsNote)
    assert "only instances whose gold patch passes" in grader.note


def test_live_knows_what_its_gold_patches_were_graded_as_on_this_machine(image, tmp_path):
    """The denominator: a gold patch may fail here, and then its instance does not count."""
    machine, run = tmp_path / "graded", tmp_path / "run"
    grader, instances = made("swe-bench-live", image, tmp_path)
    first, second = instances.values()
    assert isinstance(grader, CountsByGold)
    assert grader.gold_outcomes(list(instances)) == {}
    grader.grade(first, grader.gold()[first.id])
    grader.grade(second, NOOP)  # of another patch than gold: says nothing of the denominator
    elsewhere, _ = grader_of(tmp_path / "rows/swe-bench-live.jsonl", image, run,
                             gold_folder=machine)  # fmt: skip
    for one in (grader, elsewhere):
        assert one.gold_outcomes([*instances, "unknown"]) == {first.id: "resolved"}
    assert not isinstance(made("swe-gym", image, tmp_path / "gym")[0], CountsByGold)


def test_rebench_reads_other_parsers_from_a_copy_of_its_repository(image, tmp_path):
    path = rows_at(tmp_path / "rows", DATA / "swe-rebench.jsonl")
    row = json.loads(path.read_text())
    config = {**row["install_config"], "log_parser": "parse_log_odd"}
    path.write_text(json.dumps({**row, "install_config": config}) + "\n")
    without, instances = grader_of(path, image, tmp_path / "graded")
    one = next(iter(instances.values()))
    with pytest.raises(UsageError, match=r"parse_log_odd.*git clone .*SWE-rebench-V2.*grade.code"):
        without.check([one.id])
    files = {"lib/agent/log_parsers.py": LOG_PARSERS, "lib/agent/words.py": "PASSED = 'PASSED'\n"}
    code = kept(tmp_path / "code", files)
    grader, _ = grader_of(path, image, tmp_path / "graded", code=code)
    grader.check([one.id])
    assert grader.grade(one, grader.gold()[one.id]).outcome == "resolved", "durations are no names"


def test_pro_names_the_repository_that_holds_its_scripts(image, tmp_path):
    grader, instances = made("swe-bench-pro", image, tmp_path, code="")
    with pytest.raises(UsageError, match=r"run_script.sh.*git clone .*SWE-bench_Pro-os"):
        grader.check(list(instances))


def test_pro_leaves_binary_sections_of_a_patch_out(image, tmp_path):
    grader, _ = made("swe-bench-pro", image, tmp_path)
    binary = "diff --git a/x.png b/x.png\nBinary files a/x.png and b/x.png differ\n"
    assert grader.evaluated_patch(binary + NOOP) == NOOP


def test_multi_without_its_package_names_the_pip_command(image, tmp_path):
    grader, instances = made("multi-swe-bench", image, tmp_path, code=str(tmp_path))
    with pytest.raises(MissingExtra, match=r"pip install 'swe-router\[multi-swe-bench\]'"):
        grader.check(list(instances))


def test_smith_without_a_known_profile_is_not_run(image, tmp_path):
    rows = tmp_path / "rows.jsonl"
    row = json.loads((DATA / "swe-smith.jsonl").read_text().splitlines()[0])
    rows.write_text(json.dumps({**row, "FAIL_TO_PASS": ["TestAdd"]}) + "\n")
    grader, instances = grader_of(rows, image, tmp_path / "graded")
    with pytest.raises(UsageError, match="a profile of the swesmith package"):
        grader.check(list(instances))
    rows.write_text(json.dumps({**row, "FAIL_TO_PASS": ["TestAdd"], "test_cmd": "true"}) + "\n")
    grader, instances = grader_of(rows, image, tmp_path / "graded")
    grader.check(list(instances))


def smith_script(image, tmp_path, project: str, *tests: str) -> str:
    rows = tmp_path / "rows.jsonl"
    row = json.loads((DATA / "swe-smith.jsonl").read_text().splitlines()[0])
    name = f"{project}.11111111.func_basic__abcd1234"
    more = {"instance_id": name, "FAIL_TO_PASS": tests[:1], "PASS_TO_PASS": tests[1:]}
    rows.write_text(json.dumps({**row, **more, "repo": f"swesmith/{project}.11111111"}) + "\n")
    grader, instances = grader_of(rows, image, tmp_path / "graded")
    (instance,) = instances.values()
    return grader.plan(instance, grader.answer_row(instance.id)).script


def test_smith_runs_the_listed_files_alone_where_all_tests_take_too_long(image, tmp_path):
    tests = ("tests/test_a.py::test_x[1 2]", "tests/b c/test_b.py::test_y")
    listed = smith_script(image, tmp_path, "pandas-dev__pandas", *tests)
    assert "--verbose 'tests/b c/test_b.py' tests/test_a.py\n" in listed
    assert "--verbose\n" in smith_script(image, tmp_path, "mewwts__addict", *tests)


def test_smith_restores_test_files_whose_names_begin_at_a_moved_root(image, tmp_path):
    script = smith_script(image, tmp_path, "mido__mido", "../dev/tests/test_a.py::test_x")
    assert "git checkout -q HEAD -- tests/test_a.py 2>/dev/null" in script


def test_gym_knows_eleven_projects_and_no_other(image, tmp_path):
    rows = tmp_path / "rows.jsonl"
    row = json.loads((DATA / "swe-gym.jsonl").read_text())
    rows.write_text(json.dumps({**row, "repo": "ours/calc"}) + "\n")
    grader, instances = grader_of(rows, image, tmp_path / "graded", dataset="swe-gym")
    with pytest.raises(UsageError, match="ours/calc is no project of SWE-Gym"):
        grader.check(list(instances))


def test_lists_of_tests_that_are_no_lists_are_named(image, tmp_path):
    rows = tmp_path / "rows.jsonl"
    row = json.loads((DATA / "swe-gym.jsonl").read_text())
    rows.write_text(json.dumps({**row, "FAIL_TO_PASS": "test_add"}) + "\n")
    grader, instances = grader_of(rows, image, tmp_path / "graded")
    grade = grader.grade(next(iter(instances.values())), NOOP)
    assert grade.evidence["reason"] == "FAIL_TO_PASS is not a list of test names"


@pytest.mark.parametrize("task", ["fix-sum", "fix-sum-apart"])
def test_a_harbor_task_is_judged_by_its_own_verifier(task, image, tmp_path):
    grader, instances = grader_of(DATA / "harbor", image, tmp_path / "graded")
    one = instances[task]
    if task == "fix-sum-apart":
        tests = DATA / "harbor" / task / "tests"
        image.extra = {
            f"/tests/{name}": (tests / name).read_text() for name in ("test.sh", "check.py")
        }
    gold = grader.gold()[task]
    assert "+    return a + b" in gold
    resolved = grader.grade(one, gold)
    assert resolved.outcome == "resolved", resolved.evidence
    where = image.opened[-1][0]
    assert Path(where.build).name == ("environment" if task == "fix-sum" else "tests")
    unresolved = grader.grade(one, NOOP)
    assert (unresolved.outcome, unresolved.evidence["reward"]) == ("unresolved", 0)


@pytest.mark.parametrize(
    ("script", "outcome", "reason"),
    [
        ("echo -1 > /logs/verifier/reward.txt", "ungraded", "verifier broke down"),
        ("true", "ungraded", "wrote no reward"),
        ('echo \'{"speed": 2, "size": 1}\' > /logs/verifier/reward.json', "ungraded", "no reward"),
        ("echo 0.5 > /logs/verifier/reward.txt", "unresolved", "no full reward"),
    ],
)
def test_a_reward_is_read_for_what_it_is(script, outcome, reason, image, tmp_path):
    task = tmp_path / "task"
    shutil.copytree(DATA / "harbor" / "fix-sum", task)
    (task / "tests" / "test.sh").write_text(script + "\n")
    grader, instances = grader_of(task, image, tmp_path / "graded")
    grade = grader.grade(instances["task"], NOOP)
    assert grade.outcome == outcome
    assert reason in grade.evidence["reason"]


def test_a_harbor_verifier_is_given_no_secret_of_this_machine(image, tmp_path):
    task = tmp_path / "task"
    shutil.copytree(DATA / "harbor" / "fix-sum", task)
    settings = task / "task.toml"
    text = settings.read_text()
    settings.write_text(f'{text}\n[verifier.env]\nKEY = "${{HOME_KEY:-none}}"\n')
    (task / "tests" / "test.sh").write_text(
        '[ "$KEY" = none ] && echo 1 > /logs/verifier/reward.txt\n'
    )
    grader, instances = grader_of(task, image, tmp_path / "graded")
    assert grader.grade(instances["task"], NOOP).outcome == "resolved"
    settings.write_text(f'{text}\n[verifier.env]\nKEY = "${{HOME_KEY}}"\n')
    grader, instances = grader_of(task, image, tmp_path / "graded")
    with pytest.raises(UsageError, match="asks for HOME_KEY of this machine"):
        grader.check(list(instances))
