r"""Refit eval/acceptance.json, the model behind `behaviour` and `acceptance`, with its card.

    python eval/fit_acceptance.py --out eval/acceptance.json \
        --patches candidates.jsonl.gz:MIT:gruckion/mini-swe-agent@d12a71af \
        --split verified.parquet --trajectories TRAJECTORIES \
        --verdicts verdicts.jsonl --labels candidates.jsonl.gz:MIT:gruckion/mini-swe-agent@d12a71af

`--patches` are graded patches that `behaviour` is fitted on: JSON lines with instance_id,
candidate, model, model_patch and resolved, steps and cost_usd where known; behind the first colon
stands the licence, behind the second the source. A licence that does not let a derived file be
shipped is refused. `--trajectories` holds full runs of some of them. `--verdicts` are what
`swe-router verify --json` printed (or its --out file) on patches whose official result stands in
`--labels`. Of these nothing but `resolved` and `model` is read; their licence counts like that of
the patches, and verdicts on any other patch are left out. Without them the weights of `acceptance`
are their priors.
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from swe_router.candidates import trajectory_folders
from swe_router.estimates.acceptance import behaviour_model, fit, selective_threshold
from swe_router.estimates.acceptance.calibration import Calibration
from swe_router.instances import splits
from swe_router.records import Arm, Attempt, Budget, Instance, Plan, Trajectory, Verdict
from swe_router.stats import rates
from swe_router.verifiers import agreement
from swe_router.verifiers.patches import path_kinds
from swe_router.verifiers.signals import patch_signals, trajectory_signals

FREE = {"mit", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc0-1.0"}
WEAK = (
    "gpt-3.5", "gpt35", "gpt-4", "gpt4", "claude-2", "claude2", "claude-3-opus", "opus3",
    "claude3opus", "claude-3-haiku", "claude-3-sonnet", "claude-3.5-haiku", "claude-3-5-haiku",
    "claude-3-5-sonnet", "claude-3.5-sonnet", "llama", "gemini-1", "gemini-2.0", "deepseek-coder",
    "deepseek-v2", "deepseek-v3", "devstral-small", "lingma", "qwen2", "qwen-2",
    "qwen3-coder-30b", "devin", "aider",
)  # fmt: skip
STRONG = (
    "claude-sonnet-4", "claude-4-sonnet", "claude-opus-4", "claude-4-opus", "sonnet4", "sonnet-4",
    "opus4", "opus-4", "gpt-5", "gpt5", "gemini-3", "qwen3-coder-480b", "glm-4.6",
)  # fmt: skip
BETWEEN = ("deepseek-v3.2", "deepseek-v3-2")
AUTHORS = {
    **dict.fromkeys(WEAK, "weak"),
    **dict.fromkeys(STRONG, "strong"),
    **dict.fromkeys(BETWEEN, "unknown"),
}
"""Weak resolve under .6 of SWE-bench Verified in the public table of 134 systems, strong .6 or more
(dariakryvosheieva/agent-psychometrics 62851ff8, MIT). At .6 (300 of 500 under mini-SWE-agent) the
prior of the weak, .33, and that of the strong, .73, are both wrong: the class between them."""
PRICED = ("gemini-3",)


def main() -> None:
    """Fit, cross-validate, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--patches", action="append", default=[], metavar="FILE:LICENCE:SOURCE")
    parser.add_argument("--split", required=True, help="file with the issues' texts")
    parser.add_argument("--trajectories", type=Path)
    parser.add_argument("--verdicts", action="append", default=[], type=Path)
    parser.add_argument("--labels", action="append", default=[], metavar="FILE:LICENCE:SOURCE")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    instances = {one.id: one for one in splits.load_instances(args.split)}
    graded, sources = free(args.patches, parser)
    results, judged = free(args.labels, parser)
    rows = behaviour_rows(graded, instances, args.trajectories)
    fits, scores = behaviour_model.cross_validate_behaviour(rows)
    base = fit.fit_calibration(()).model_copy(
        update={"authors": AUTHORS, "priced": PRICED, "behaviour": fits}
    )
    labels = {(line["instance_id"], str(line["candidate"])): line for line in results}
    rows = {
        (line["instance_id"], str(line["candidate"])): line
        for path in args.verdicts
        for line in lines(path)
    }  # of a patch that was verified twice the later row
    verdicts = acceptance_rows(with_contested(list(rows.values())), labels, base)
    fitted = fit.fit_calibration(
        verdicts,
        base,
        name="shipped",
        tables=judged,
        behaviour={
            "target": "the patch is officially resolved",
            "tables": sources,
            "rows": len(rows),
            "rows_with_steps": sum("run_edits" in row.signals for row in rows),
            "method": "logistic, stated signs, ridge per standard deviation",
            "strength": behaviour_model.STRENGTH,
            "reached": reached(
                scores, [row.right for row in rows], [line["instance_id"] for line in graded]
            ),
            "caveat": "signs and strength were settled with these rows in sight",
        },
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    fitted = fitted.model_copy(update={"card": {**fitted.card, "reached": of_held(fitted)}})
    args.out.write_text(fitted.dump(), encoding="utf-8")
    print(json.dumps(fitted.card, indent=1))


def free(
    asked: list[str], parser: argparse.ArgumentParser
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The graded lines of files whose licence lets what is fitted on them ship; and the files."""
    graded, sources = [], []
    for one in asked:
        path, licence, source = (*one.split(":", 2), "", "")[:3]
        if licence.lower() not in FREE:
            parser.error(f"{one}: what is fitted on it could not ship; {sorted(FREE)} can")
        found = [line for line in lines(Path(path)) if line["resolved"] is not None]
        sources.append({"name": Path(path).name, "licence": licence, "source": source,
                        "patches": len(found)})  # fmt: skip
        graded += found
    return graded, sources


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON, JSON-lines or gzipped file."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    whole = text.lstrip().startswith("[")
    found: list[dict[str, Any]] = (
        json.loads(text) if whole else [json.loads(line) for line in text.splitlines() if line]
    )
    return found


def behaviour_rows(
    graded: list[dict[str, Any]], instances: dict[str, Instance], trajectories: Path | None
) -> list[behaviour_model.BehaviourRow]:
    """Signals of graded patches: from the run where it is there, else from the patch alone."""
    wanted = {line["instance_id"] for line in graded}
    trajectories_read = (
        trajectory_folders.read_trajectories(trajectories, wanted, print) if trajectories else []
    )
    runs = {(one.instance_id, one.submission.strip()): one for one in trajectories_read}
    made = []
    for line in graded:
        instance, patch = instances[line["instance_id"]], line["model_patch"] or ""
        run = runs.get((instance.id, patch.strip()))
        spent = Trajectory(
            exit="submitted", steps=line.get("steps") or 0,
            usd=Decimal(str(line.get("cost_usd") or 0)),
        )  # fmt: skip
        plan = Plan(arm=Arm(model=line["model"]), budget=Budget(dollars=Decimal(0)))
        attempt = Attempt(
            id="0", instance_id=instance.id, plan=plan, trajectory=run.trajectory if run else spent
        )
        found = patch_signals.signals_of_patch(patch, instance.problem, path_kinds.is_test)
        found |= trajectory_signals.signals_of_trajectory(attempt, run.steps if run else ())
        if not any(fragment in line["model"].lower() for fragment in PRICED):
            found.pop(behaviour_model.USD_PER_STEP, None)
        made.append(behaviour_model.BehaviourRow(instance.repo, found, bool(line["resolved"])))
    return made


def acceptance_rows(
    rows: list[dict[str, Any]], labels: dict[tuple[str, str], dict[str, Any]], base: Calibration
) -> list[fit.VerdictRow]:
    """Graded verdict rows; the verdict of `behaviour` is made again with today's fits."""
    made = []
    for line in rows:
        key = (line["instance_id"], str(line["candidate"]))
        if key not in labels:
            continue
        row = fit.verdict_row(line, bool(labels[key]["resolved"]))
        # Files of candidates name their maker as ``model``, predictions as model_name_or_path.
        row = row._replace(author=row.author or str(labels[key].get("model", "")))
        made.append(row._replace(verdicts=tuple(
            again(one, row, base) if one.verifier == "behaviour" else one for one in row.verdicts
        )))  # fmt: skip
    return made


def with_contested(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an older `agreement` with the tests that most candidates of the issue break."""

    def one(line: dict[str, Any], name: str) -> dict[str, Any]:
        return next((v for v in line["verdicts"] if v["verifier"] == name), {"evidence": {}})

    def broken(line: dict[str, Any]) -> frozenset[str] | None:
        made = Verdict.model_validate({"candidate": "", **one(line, "repo-tests")})
        return agreement.tests_broken_by([made])

    for line in rows:
        facts, mine = one(line, "agreement")["evidence"], one(line, "repo-tests")["evidence"]
        if "contested" in facts or "counts" not in mine:
            continue
        peers = []
        for other in rows:
            apart = other is not line and other["instance_id"] == line["instance_id"]
            if apart and "counts" in one(other, "repo-tests")["evidence"]:
                same = other["model_name_or_path"] == line["model_name_or_path"]
                peers.append(
                    (broken(other) or frozenset(), agreement.SAME_MODEL_WEIGHT if same else 1.0)
                )
        facts["contested"] = agreement.contested_tests(broken(line) or frozenset(), peers)
    return rows


def again(verdict: Any, row: fit.VerdictRow, base: Calibration) -> Any:
    """A verdict of `behaviour` as the fits of today would give it."""
    signals = verdict.evidence.get("signals")
    if not signals:
        return verdict
    score, lift = base.behaves(signals, row.author, row.repo)
    return verdict.model_copy(
        update={"score": score, "evidence": {**verdict.evidence, "lift": lift}}
    )


def of_held(fitted: Calibration) -> dict[str, Any]:
    """What the held-out scores reach, by class of authors, and the threshold of the defaults."""
    found: dict[str, Any] = {}
    for author in ("weak", "strong", "unknown"):
        held = [one for one in fitted.held_out if one.author == author]
        bar = fitted.threshold(author, 0.28, 0.95)
        right, wrong = selective_threshold.nested_accept_counts(held, 0.28, 0.95)
        rights = sum(one.right for one in held)
        found[author] = {
            "threshold": bar.value,
            "claim": bar.claim,
            # At thresholds that the other repositories set.
            "true_accepts": f"{right} of {rights}",
            "false_accepts": f"{wrong} of {len(held) - rights}",
            **reached(
                np.array([one.score for one in held]), [one.right for one in held],
                [one.instance for one in held],
            ),
        }  # fmt: skip
    return found


def reached(scores: Any, right: list[bool], issues: list[str]) -> dict[str, Any]:
    """AUC of held-out scores with its 95% interval over whole issues, and the mean log loss."""
    if len(set(right)) < 2:
        return {}
    good = np.array(right, dtype=float)
    low, high = rates.auc_interval(scores, good, issues)
    p = np.clip(scores, 1e-4, 1 - 1e-4)
    loss = -float(np.mean(np.where(good > 0, np.log(p), np.log(1 - p))))
    return {
        "auc": round(rates.auc(scores, good), 3),
        "auc_95": [round(low, 3), round(high, 3)],
        "log_loss": round(loss, 4),
    }


if __name__ == "__main__":
    main()
