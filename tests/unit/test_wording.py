"""Prompts are templates that may come from a stranger: they say something and can do nothing."""

from __future__ import annotations

import time

import pytest

from swe_router import assets, templates
from swe_router.__main__ import main
from swe_router.errors import UsageError

CODE = (
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ cycler.__init__.__globals__.os.system('touch CANARY') }}",
    "{{ lipsum.__globals__['os'].popen('touch CANARY').read() }}",
    "{{ problem['__class__'] }}",
    "{{ problem | attr('__class__') }}",
    "{{ problem.encode.__self__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ _work }}",
    "{{ '{0.__class__}'.format(problem) }}",
    "{{ '%s' | format(problem) }}",
    "{{ problem.format_map }}{{ problem.format(1) }}",
    "{% include '/etc/hostname' %}",
    "{% import 'x' as y %}",
    "{% extends 'x' %}",
    "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
    "{% for c in problem recursive %}{{ loop(problem) }}{% endfor %}",
    "{{ problem | map('upper') }}",
    "{{ [problem].append(1) }}",
)
ENDLESS = (
    "{{ 'x' * 10 ** 9 }}",
    "{% for a in range(10 ** 9) %}{% endfor %}",
    "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
    "{% for a in problem %}{% for b in problem %}{% for c in problem %}x{% endfor %}{% endfor %}"
    "{% endfor %}",
    "{% for a in range(90000) %}{{ problem }}{% endfor %}",
    "{{ problem.ljust(1000000000) }}",
    "{{ problem | center(1000000000) }}",
    "{{ problem | indent(1000000000) }}",
    "{{ [1] | tojson(indent=1000000000) }}",
    "{{ problem | join(problem) | join(problem) | join(problem) }}",
    "{{ problem | replace('', problem) }}",
    "{% set x = problem ~ problem %}{% set x = x ~ x %}",
    "{{ problem" + " | list | string" * 12 + " }}",
    "{{ lipsum(n=1000000) }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "x" * (templates.MAX_TEMPLATE_CHARACTERS + 1),
)


@pytest.mark.parametrize("source", CODE)
def test_a_template_that_reaches_for_python_is_refused(source, tmp_path):
    canary = tmp_path / "canary"
    with pytest.raises(UsageError, match="theirs"):
        templates.render_source(
            source.replace("CANARY", str(canary)), "theirs", problem="It breaks."
        )
    assert not canary.exists()


@pytest.mark.parametrize("source", ENDLESS)
def test_a_template_without_an_end_is_refused_soon(source):
    began = time.process_time()
    with pytest.raises(UsageError, match="theirs"):
        templates.render_source(source, "theirs", problem="It breaks.\n" * 2000)
    assert time.process_time() - began < 5


def test_a_prompt_has_variables_conditions_loops_and_simple_filters():
    source = (
        "{% for name, told in facts.items() if told %}{{ loop.index }}. {{ name | upper }}:"
        " {{ told | join(', ') }}{% if not loop.last %}; {% endif %}{% else %}none{% endfor %}"
        "{# a note #}{{ problem.strip()[:5] | indent(2) or 'empty' }}{{ 1 if problem is string }}"
    )
    facts = {"a": ["b", "c"], "d": [], "e": "fg"}
    said = templates.render_source(source, "ours", facts=facts, problem=" It breaks ")
    assert said == "1. A: b, c; 2. E: f, gIt br1"


def test_an_unset_variable_is_an_error_that_names_the_prompt():
    with pytest.raises(UsageError, match=r"ours.*'problem' is undefined"):
        templates.render_source("{{ problem }}", "ours")


def test_a_run_with_a_scaffold_that_holds_code_does_not_begin(tmp_path, capsys):
    canary, scaffold = tmp_path / "canary", tmp_path / "theirs"
    scaffold.mkdir()
    shipped = (assets.assets_root() / "scaffolds/default/scaffold.toml").read_text("utf-8")
    prompt = scaffold / "system.md.j2"
    prompt.write_text("{{ cycler.__init__.__globals__.os.mkdir('" + str(canary) + "') }}")
    text = shipped.replace('system = "system"', f'system = "{prompt}"')
    (scaffold / "scaffold.toml").write_text(text)
    command = ["run", "--split", "demo", "-i", "demo__confet-3", "--dry-run"]
    assert main([*command, "--set", f"scaffold={scaffold}", "--out", str(tmp_path / "runs")]) == 2
    assert str(prompt) in capsys.readouterr().err
    assert not canary.exists()
