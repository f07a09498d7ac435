"""Files for people come from templates: values are escaped, and no page is a string in Python."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import yaml
from jinja2 import UndefinedError

import swe_router
from swe_router import assets, templates

SOURCES = Path(swe_router.__file__).parent
PAGES = assets.assets_root() / "pages"


def test_no_page_is_a_string_in_python():
    for path in SOURCES.rglob("*.py"):
        assert "<style" not in path.read_text("utf-8"), path


def test_the_style_that_pages_share_stands_once():
    rule = "border-collapse:collapse"
    assert [p.name for p in sorted(PAGES.iterdir()) if rule in p.read_text("utf-8")] == [
        "page.html.j2"
    ]


def test_the_wheel_holds_the_templates():
    project = tomllib.loads((SOURCES.parent / "pyproject.toml").read_text("utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["pages"] == "swe_router/_assets/pages"


@pytest.mark.parametrize("models", [(), ("a/b", 'odd "name": #1\n- x', "<&'>")])
@pytest.mark.parametrize("attempts", ["", "1"])
def test_the_metadata_of_a_submission_is_yaml_whatever_the_names(models, attempts):
    text = templates.render_page(
        "metadata.yaml", {"json": json.dumps}, name="x: <y>", models=list(models), attempts=attempts
    )
    read = yaml.safe_load(text)
    assert read["info"]["name"] == "x: <y>"
    assert read["tags"]["model"] == list(models)
    assert read["tags"]["system"]["attempts"] == attempts
    assert ("# yours to say" in text) == (not attempts)
    assert text.endswith("\n")


def test_a_value_that_a_page_lacks_is_an_error_and_no_gap():
    with pytest.raises(UndefinedError):
        templates.render_page("metadata.yaml", {"json": json.dumps}, name="x")
