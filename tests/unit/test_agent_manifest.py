"""Scaffolds and prompts are data: what is wrong in them is named."""

import pytest

from swe_router import assets, plugins, templates
from swe_router.agents import manifest, prompts
from swe_router.agents.phase_talks import PROMPTS_OF_ROLE
from swe_router.errors import UsageError
from swe_router.recorded_verdicts import traits_named
from swe_router.records import Instance

INSTANCE = Instance(id="a", repo="a/b", base_commit="c", problem="{{ nothing }} & <b>é</b>")


def folder(tmp_path, text):
    (tmp_path / "mine").mkdir(exist_ok=True)
    (tmp_path / "mine" / "scaffold.toml").write_text(text)
    return str(tmp_path / "mine")


@pytest.mark.parametrize(
    ("text", "tells"),
    [
        ("tool = []", "there is no key 'tool'; did you mean 'tools'?"),
        ("[limits]\nsilnt = 1", "did you mean 'limits.silent'?"),
        ("[prompts]\nsystm = 'a'", "did you mean 'prompts.system'?"),
        ("tools = ['grep']", "tools.0"),
        ("[limits]\nsilent = 0", "greater than 0"),
        ("name = 'x'", "there is no key 'name'"),
        ("a = ", "not valid TOML"),
    ],
)
def test_a_bad_manifest_names_the_key_and_the_nearest_right_one(tmp_path, text, tells):
    with pytest.raises(UsageError) as caught:
        manifest.read_manifest(folder(tmp_path, text))
    assert tells in str(caught.value)
    assert "scaffold.toml" in str(caught.value)


def test_an_unknown_scaffold_names_those_there_are():
    with pytest.raises(UsageError, match="default"):
        manifest.read_manifest("defualt")


def test_the_digest_changes_with_any_file_of_the_folder(tmp_path):
    path = folder(tmp_path, "")
    first = manifest.read_manifest(path)
    (tmp_path / "mine" / "tools").mkdir()
    (tmp_path / "mine" / "tools" / "x.sh").write_text("echo")
    second = manifest.read_manifest(path)
    assert first.digest != second.digest
    assert first.name == "mine"


def test_the_shipped_manifest_says_what_the_code_defaults_to():
    """A reader of either sees the same limits."""
    shipped = manifest.read_manifest("default")
    assert shipped.model_dump(exclude={"variants"}) == manifest.Manifest().model_dump(
        exclude={"variants"}
    )


def test_every_prompt_renders_and_is_hashed():
    sheet = manifest.read_manifest("default")
    hashes = prompts.prompt_digests(sheet)
    assert hashes["scaffold/default"] == sheet.digest
    shipped = {f"prompt/{name}" for name in assets.asset_names("prompts", ".md.j2")}
    asked = [traits_named(name).asks or {} for name in plugins.BUILT_IN["verifiers"]]
    of_verifiers = {one for asks in asked for prompts in asks.values()
                    for one in ([prompts] if isinstance(prompts, str) else prompts)}  # fmt: skip
    of_phases = {name for names in PROMPTS_OF_ROLE.values() for name in names}
    # Those of other tiers in an attempt are kept by the runs whose policy has phases.
    shipped -= {f"prompt/{name}" for name in (*of_verifiers, *of_phases, "judge-issue")}
    assert shipped == hashes.keys() - {"scaffold/default"}


def test_the_issue_is_said_as_it_was_written():
    system, first = prompts.opening_messages(
        manifest.read_manifest("default"), INSTANCE, text=False
    )
    assert INSTANCE.problem in first.content
    assert "after 120 seconds" in system.content
    assert "Notes from earlier attempts" not in first.content


def test_a_variable_that_is_not_given_is_an_error(tmp_path):
    path = tmp_path / "p.md.j2"
    path.write_text("Hello {{ nobody }}")
    with pytest.raises(UsageError, match="nobody"):
        templates.render(str(path))


def test_a_variant_takes_the_place_of_the_first_prompt(tmp_path):
    prompt = tmp_path / "short.md.j2"
    prompt.write_text("Fix: {{ problem }}")
    sheet = manifest.read_manifest(folder(tmp_path, f"[variants]\nshort = '{prompt}'"))
    first = prompts.opening_messages(sheet, INSTANCE, text=False, variant="short")[1]
    assert first.content == f"Fix: {INSTANCE.problem}"
    with pytest.raises(UsageError, match="there is short"):
        prompts.opening_messages(sheet, INSTANCE, text=False, variant="long")


def test_the_need_of_window_counts_the_tools_in_both_dialects():
    sheet = manifest.read_manifest("default")
    native, text = (prompts.window_need(sheet, INSTANCE, text=text) for text in (False, True))
    long = INSTANCE.model_copy(update={"problem": "é" * 1000})
    bare = len(prompts.opening_messages(sheet, INSTANCE, text=False)[0].content)
    assert native > bare + 1000
    assert text > bare + 1000
    grown = prompts.window_need(sheet, long, text=False) - native
    assert grown == 2000 - len(INSTANCE.problem.encode())
