"""Classes from other packages: found by entry point, held against their Protocol."""

from __future__ import annotations

import json
import textwrap

import pytest

from swe_router import plugins
from swe_router.__main__ import main
from swe_router.errors import UsageError
from swe_router.instances import sources
from swe_router.policies.base import validated_knobs
from swe_router.pool import Pool

MODULE = """
    from pydantic import BaseModel

    from swe_router.records import Stop, Try

    class Stays:
        def __init__(self, ladder): self.ladder = ladder
        def prepare(self, batch, budget): return self
        def decide(self, features, history, budget):
            if history:
                return Stop(why="one attempt is enough")
            return Try(plans=(self.ladder[-1],), why="the last tier")
        def update(self, record): return self
        def state(self): return {}
        def restored(self, state): return self

    class NoDecide(Stays):
        decide = None

    class ShortDecide(Stays):
        def decide(self, features, history): ...

    class NoLadder(Stays):
        def __init__(self): ...

    class Waits(Stays):
        async def decide(self, features, history, budget): ...

    def function(ladder): return Stays(ladder)

    class Answers:
        def __init__(self, tier, *, session, key): ...
        def complete(self, messages, tools=(), *, limits): ...

    class OldAnswers(Answers):
        def complete(self, messages, tools=()): ...

    class KeylessAnswers(Answers):
        def __init__(self, tier): ...

    class Opens:
        def __init__(self, settings, *, run, lock, stopping, start): ...
        def open(self, instance): ...

    class OpensWithAll:
        def __init__(self, settings, **all): ...
        def open(self, instance): ...

    class Loose(BaseModel):
        rounds: int = 2

    class Stubborn(Stays):
        knobs_type = Loose

        def decide(self, features, history, budget):
            raise KeyError("a bug of the package")

    class Picks:
        def __init__(self, **knobs): ...
        @staticmethod
        def select(outcomes, matrix=None): ...

    class Works:
        def __init__(self, sheet, **limits): ...
        def solve(self, instance, model, sandbox, budget, context): ...
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Packages as an installer lays them out, on the path of this process."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "outside_parts.py").write_text(textwrap.dedent(MODULE))

    def put(seam, points, package="outside-parts", version="1.2"):
        folder = tmp_path / f"{package.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        lines = [f"{name} = {target}" for name, target in points.items()]
        (folder / "entry_points.txt").write_text("\n".join([f"[swe_router.{seam}]", *lines]) + "\n")
        return tmp_path

    return put


@pytest.mark.parametrize(
    ("seam", "name"),
    [("policies", "Stays"), ("models", "Answers"), ("sandboxes", "Opens"), ("selectors", "Picks"),
     ("scaffolds", "Works")],
)  # fmt: skip
def test_a_class_that_fits_is_loaded_and_listed(install, seam, name):
    install(seam, {"mine": f"outside_parts:{name}"})
    assert plugins.load_plugin(seam, "mine").__name__ == name
    assert "mine" in plugins.plugin_names(seam)


def test_a_sandbox_factory_that_takes_any_keyword_is_given_all_of_them(install):
    install("sandboxes", {"mine": "outside_parts:OpensWithAll"})
    kind = plugins.load_plugin("sandboxes", "mine")
    assert set(plugins.accepted_keywords(kind, {"start": 1, "progress": 2})) == {
        "start",
        "progress",
    }


def test_a_knob_that_a_plain_model_would_drop_is_refused_by_name(install):
    install("policies", {"mine": "outside_parts:Stubborn"})
    own = plugins.load_plugin("policies", "mine").knobs_type
    assert validated_knobs("mine", own, {"rounds": 3}).rounds == 3
    with pytest.raises(UsageError, match="there is no knob 'rouns'; did you mean 'rounds'"):
        validated_knobs("mine", own, {"rouns": 3})


def test_a_fault_in_the_code_of_a_package_is_not_called_our_own(install):
    install("policies", {"mine": "outside_parts:Stubborn"})
    policy = plugins.load_plugin("policies", "mine")(())

    def faults(work):
        found = []
        Pool(work=work).run([1], lambda job, result: found.append(result))
        return found

    (theirs,) = faults(lambda job: policy.decide(None, (), None))
    assert theirs.owner == "the package outside-parts 1.2"
    (ours,) = faults(lambda job: plugins.plugin_names("no such seam"))
    assert ours.owner == "swe-router's own"


@pytest.mark.parametrize(
    ("seam", "target", "words"),
    [
        ("policies", "outside_parts:NoDecide", "no method decide(features, history, budget)"),
        ("policies", "outside_parts:ShortDecide",
         "decide(features, history, budget) is called, and it takes (self, features, history)"),
        ("policies", "outside_parts:NoLadder", "it is made as NoLadder(ladder) and does not take"),
        ("policies", "outside_parts:Waits", "decide(features, history, budget) is async"),
        ("policies", "outside_parts:function", "it is a function and no class"),
        ("policies", "outside_parts:Picks", "no method prepare(batch, budget); it has no method"),
        ("models", "outside_parts:OldAnswers", "complete(messages, tools, limits=…) is called"),
        ("models", "outside_parts:KeylessAnswers", "(tier, session=…, key=…) and does not take"),
        ("sandboxes", "outside_parts:Stays", "no method open(instance)"),
    ],
)  # fmt: skip
def test_a_class_that_does_not_fit_is_an_error_with_package_protocol_and_fix(
    install, seam, target, words
):
    install(seam, {"mine": target})
    with pytest.raises(UsageError) as refused:
        plugins.load_plugin(seam, "mine")
    said = str(refused.value)
    assert said.startswith(f"{seam} plugin 'mine' of outside-parts 1.2 ({target}) does not fit ")
    assert f"{plugins.SEAMS[seam].protocol.replace(':', '.')}: " in said
    assert words in said
    assert said.endswith("mend or uninstall the package")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library"),
        ("def broken(:", "SyntaxError"),
        ("raise RuntimeError('needs a GPU')", "RuntimeError: needs a GPU"),
        (
            "from swe_router.sandboxes.local import LocalBoxes",
            "it is now swe_router.sandboxes.local.LocalSandboxes",
        ),
        ("from swe_router.seams import Desk", "it is now swe_router.seams.AttemptContext"),
        ("import swe_router.assemble.wire", "is now swe_router.commands, swe_router.wiring"),
        # The last one: what could be imported stays, and would be the module of the next.
        ("", "AttributeError: module 'odd_part' has no attribute 'Thing'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_an_error_and_no_traceback(
    install, capsys, text, words
):
    (install("policies", {"mine": "odd_part:Thing"}) / "odd_part.py").write_text(text)
    with pytest.raises(UsageError) as refused:
        plugins.load_plugin("policies", "mine")
    said = str(refused.value)
    assert said.startswith(
        "policies plugin 'mine' of outside-parts 1.2 cannot be loaded from odd_part:Thing ("
    )
    assert words in said
    words = ["run", "--split", "demo", "--policy", "mine", "--dry-run", "--json"]
    assert main(words) == 2
    told = capsys.readouterr()
    assert "outside-parts 1.2" in json.loads(told.out)["error"]
    assert "Traceback" not in told.err


def test_a_name_that_two_packages_offer_is_refused_with_both(install):
    install("policies", {"mine": "outside_parts:Stays"})
    install("policies", {"mine": "outside_parts:Waits"}, package="other-parts", version="0.1")
    with pytest.raises(UsageError, match=r"offered by other-parts 0\.1 and outside-parts 1\.2"):
        plugins.load_plugin("policies", "mine")


def test_a_name_of_our_own_stays_ours(install):
    install("policies", {"cascade": "outside_parts:Waits"})
    assert plugins.load_plugin("policies", "cascade").__module__.startswith("swe_router.")
    assert plugins.plugin_names("policies").count("cascade") == 1


def test_code_that_is_named_by_its_place_is_held_against_the_protocol_too(install):
    install("policies", {})
    assert plugins.load_plugin("policies", "outside_parts:Stays").__name__ == "Stays"
    with pytest.raises(UsageError, match=r"\(outside_parts:Waits\) does not fit .* name another"):
        plugins.load_plugin("policies", "outside_parts:Waits")


def test_a_broken_package_leaves_the_list_of_policies_and_says_so(install, capsys):
    install("policies", {"broken": "nowhere:Thing", "plain": "outside_parts:Stays"})
    assert main(["policies", "--json"]) == 0
    rows = {row["policy"]: row for row in json.loads(capsys.readouterr().out)}
    assert "of outside-parts 1.2 cannot be loaded" in rows["broken"]["idea"]
    assert rows["broken"]["maturity"] == "broken"
    assert rows["plain"]["knobs"] == {}
    assert "cascade" in rows
    assert main(["policies", "plain"]) == 0
    assert "no knobs" in capsys.readouterr().out


def test_a_policy_of_protocol_methods_alone_is_planned_routed_and_ranked(install, capsys):
    """Knobs were read of every class: one without a ``knobs_type`` was an AttributeError."""
    install("policies", {"mine": "outside_parts:Stays"})
    assert main(["run", "--split", "demo", "--policy", "mine", "--dry-run", "--json"]) == 0
    capsys.readouterr()
    assert main(["route", "demo__confet-3", "--policy", "mine", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "the last tier" in json.dumps(told)
    board = ["leaderboard", "--policies", "mine", "--bootstraps", "100", "--json"]
    assert main(board) == 0
    (row,) = (r for r in json.loads(capsys.readouterr().out)["rows"] if r["policy"] == "mine")
    assert row["rate"] == 0.48


@pytest.mark.parametrize("words", [["--policy-set", "depth=2"], ["--candidates", "2"]])
def test_a_knob_that_a_policy_does_not_take_is_a_mistake_of_usage(install, capsys, words):
    install("policies", {"mine": "outside_parts:Stays"})
    assert main(["run", "--split", "demo", "--policy", "mine", "--dry-run", *words]) == 2
    assert "policy 'mine': its knobs: got an unexpected keyword" in capsys.readouterr().err


def test_a_data_set_that_cannot_be_loaded_does_not_stop_the_splits_of_others(install):
    install("datasets", {"no-dataset": "nowhere:Dataset"})
    assert "swe-bench" in [one.name for one in sources.all_datasets()]
    with pytest.raises(UsageError, match="datasets plugin 'no-dataset' of outside-parts"):
        sources.dataset_named("no-dataset")
