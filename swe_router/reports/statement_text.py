"""The statement that leaderboards ask for, written from the facts of a run and nothing else.

A check box is ticked only where the run's own records establish what it says; otherwise it stays
open and the reason stands under it. The four lines are those of the SWE-bench submission checklist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SINGLE_ATTEMPT_LINE = (
    "Is a pass@1 submission (does not attempt the same task instance more than once)"
)
NO_TEST_KNOWLEDGE_LINE = "Does not use SWE-bench test knowledge (`PASS_TO_PASS`, `FAIL_TO_PASS`)"
NO_HINTS_LINE = "Does not use the `hints` field in SWE-bench"
NO_WEB_LINE = (
    "Does not have web-browsing OR has taken steps to prevent lookup of SWE-bench solutions via"
    " web-browsing"
)
ORACLE_SELECTOR = "oracle"
"""The selector that is shown the official results."""
MAX_LISTED_NAMES = 20
"""Places that a list names; the rest is counted."""


def checklist(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The four lines: {line, established, facts}; ``facts`` say why it holds or is left open."""
    made = facts["imported"]
    elsewhere = [f"not established for patches that were made elsewhere: {some_names(made)}"]
    out = []
    for line, (holds, why) in (
        (SINGLE_ATTEMPT_LINE, _pass_at_1_facts(facts)),
        (NO_TEST_KNOWLEDGE_LINE, _test_knowledge_facts(facts)),
        (NO_HINTS_LINE, _hints_facts(facts)),
        (NO_WEB_LINE, _web_facts(facts)),
    ):
        whole = bool(facts["settings_intact"])
        doubt = [] if whole else ["not established: settings.json was changed after the run began"]
        out.append({
            "line": line, "established": holds and whole and not made,
            "facts": [*why, *(elsewhere if made else []), *doubt],
        })  # fmt: skip
    return out


def statement_markdown(facts: Mapping[str, Any]) -> str:
    """The statement as Markdown."""
    lines = [
        f"# Statement on run {facts['run']}",
        "",
        f"Split `{facts['split']}`: {facts['concluded']} of {facts['instances']} instances"
        f" concluded. Policy `{facts['policy']}` over {_model_list(facts)}; swe-router"
        f" {facts['code']}, settings digest `{facts['digest']}`.",
    ]
    if facts["recordings"]:
        lines += ["", "**The models of this run are recordings: it is no result of a model.**"]
    lines += ["", "## Checklist", ""]
    for one in checklist(facts):
        lines.append(f"- [{'x' if one['established'] else ' '}] {one['line']}")
        lines += [f"  - {why}" for why in one["facts"]]
    lines += ["", "## Tests that verification used", "", *_verifier_test_sentences(facts)]
    lines += ["", "## Leak guard and audit", "", *_leak_guard_sentences(facts)]
    return "\n".join(lines) + "\n"


def attempts_tag(facts: Mapping[str, Any]) -> str:
    """``tags.system.attempts`` of the leaderboard: ``1`` or ``2+``; empty if it is not known.

    How often an instance was tried where its patch was made elsewhere is not in the records.
    """
    if facts["imported"] and facts["attempts"]["most"] <= 1:
        return ""
    return "1" if facts["attempts"]["most"] <= 1 else "2+"


def some_names(names: Any) -> str:
    """Names with commas, the rest counted."""
    rest = f" and {len(names) - MAX_LISTED_NAMES} more" if len(names) > MAX_LISTED_NAMES else ""
    return ", ".join(names[:MAX_LISTED_NAMES]) + rest


def _model_list(facts: Mapping[str, Any]) -> str:
    return ", ".join(f"{tier} ({model})" for tier, model in facts["models"].items())


def _pass_at_1_facts(facts: Mapping[str, Any]) -> tuple[bool, list[str]]:
    row = facts["attempts"]
    why = [
        f"{row['total']} attempts on {facts['concluded']} instances, at most {row['most']} on one"
    ]
    if row["broken_by_surroundings"]:
        why.append(
            f"{row['broken_by_surroundings']} further attempts were broken by their"
            " infrastructure"
            " (provider, sandbox) and left no patch"
        )
    if row["instances_with_more"]:
        why.append(
            f"{row['instances_with_more']} instances were attempted more than once; one patch an"
            f" instance is handed in, chosen by `{facts['selector']}`: `attempts` is 2+"
        )
    return row["most"] <= 1, why


def _test_knowledge_facts(facts: Mapping[str, Any]) -> tuple[bool, list[str]]:
    hidden = facts["hidden"]
    why = [_instance_fields_sentence(facts)]
    if not hidden["checked"]:
        why.append(
            f"not established: evidence was not held against the answer key ({hidden['why']})"
        )
    elif hidden["found"]:
        why.append(
            "not established: names that only the hidden tests have occur in the evidence of"
            f" {some_names(hidden['found'])}; a model may have chosen the same name by itself: look"
        )
    elif not hidden["names"]:
        why.append("the hidden tests of these instances have no name of their own to look for")
    else:
        why.append(
            f"none of the {hidden['names']} names that only the hidden tests of"
            f" {hidden['instances']} instances have occurs in any verdict's evidence"
        )
    if facts["weights"] == "shipped":
        why.append(
            "weights of the verifiers: the shipped ones, fitted on official results (resolved or"
            " not) of public patches; of a repository among them by a fit that left it out"
        )
    why += [f"not established: {one} was fitted on official results" for one in facts["fitted"]]
    if facts["selector"] == ORACLE_SELECTOR:
        why.append(f"no: the selector `{ORACLE_SELECTOR}` chooses by the official results")
    unproved = facts["leak_guard"]["not_verified"]
    if unproved:
        why.append(
            "not established: the sandbox may have held later commits, with the hidden tests, in"
            f" {some_names(unproved)}"
        )
    clean = (
        facts["selector"] != ORACLE_SELECTOR
        and not unproved
        and hidden["checked"]
        and not hidden["found"]
    )
    return clean and not facts["fitted"], why


def _instance_fields_sentence(facts: Mapping[str, Any]) -> str:
    return (
        f"the instances that the run was given hold {', '.join(facts['fields'])}; a run whose"
        " instances hold any other field is refused when it is read"
    )


def _hints_facts(facts: Mapping[str, Any]) -> tuple[bool, list[str]]:
    return True, [_instance_fields_sentence(facts)]


def _web_facts(facts: Mapping[str, Any]) -> tuple[bool, list[str]]:
    sandboxes, audit = facts["sandboxes"], facts["audit"]
    kinds = ", ".join(f"{n} in {kind}" for kind, n in sandboxes["kinds"].items()) or "none"
    why = [f"sandboxes of the attempts: {kinds}"]
    if sandboxes["with_a_network"]:
        why.append(
            f"not established: no wall to the network around"
            f" {some_names(sandboxes['with_a_network'])}"
        )
    elif sandboxes["kinds"]:
        why.append("each was started without a network")
    why.append(
        f"audit of the trajectories: {len(audit)} findings" + (", listed below" if audit else "")
    )
    return bool(sandboxes["kinds"]) and not sandboxes["with_a_network"], why


def _verifier_test_sentences(facts: Mapping[str, Any]) -> list[str]:
    row = facts["tests"]
    if not row["n"]:
        return ["No verdict names a test."]
    names = {"repo": "of the project at the base commit", "written": "written by a model from the"
             " issue alone", "harvested": "left in an agent's trajectory"}  # fmt: skip
    lines = [f"{row['n']} results in all; each is in `tests.jsonl` with its id, source and results"
             " at base and after the patch."]  # fmt: skip
    lines += [f"- {n} {names.get(source, source)}" for source, n in row["by_source"].items()]
    lines += [f"- {n} in verdicts of `{name}`" for name, n in row["by_verifier"].items()]
    if row["unnamed"]:
        lines.append(f"- {row['unnamed']} verdicts count tests without naming them")
    return lines


def _leak_guard_sentences(facts: Mapping[str, Any]) -> list[str]:
    row = facts["leak_guard"]
    lines = [
        f"- {row['verified']} of {row['attempts']} attempts began in a sandbox that was proved to"
        f" hold no commit newer than the base commit; {row['removed']} things were removed first"
    ]
    if row["not_verified"]:
        lines.append(f"- not established for {some_names(row['not_verified'])}")
    row = facts["audit"]
    lines += [
        f"- audit: {o['attempt']}: {o['kind']}: {o['detail']}" for o in row[:MAX_LISTED_NAMES]
    ]
    if len(row) > MAX_LISTED_NAMES:
        lines.append(f"- and {len(row) - MAX_LISTED_NAMES} more findings")
    if facts["imported"]:
        lines.append("- patches that were made elsewhere: neither guarded nor audited here")
    if not row:
        lines.append(
            "- audit: no trajectory reached for later history or for the project on the net"
        )
    return lines
