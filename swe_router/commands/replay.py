"""``replay``: every record made again from the recordings, and compared with what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

from swe_router import plugins, recorded_verdicts
from swe_router.agents import recorded_attempt
from swe_router.agents.dialogue import DialogueSetup
from swe_router.commands.result import CommandResult
from swe_router.commands.run import candidate_import
from swe_router.errors import UsageError, VerifierError
from swe_router.features.extraction_steps import complexity_of, features_version
from swe_router.grading.evidence import follows_from_counts
from swe_router.grading.predictions import Prediction
from swe_router.integrity import trust
from swe_router.integrity.locate import find_run
from swe_router.integrity.unexplained_spend import unexplained_calls
from swe_router.journal import imported_candidates, run_inputs
from swe_router.journal.header import Header, header_of_run, is_unchanged, provenance
from swe_router.journal.instance_log import InstanceLog
from swe_router.journal.run_folder import RunFolder
from swe_router.journal.verifier_store import VerifierStore
from swe_router.ledger import log_reader
from swe_router.ledger.state import LedgerState
from swe_router.records import (
    Grade,
    Instance,
    Outcome,
    Plan,
    RunRecord,
    Step,
    escape_undecodable,
    patch_digest,
)
from swe_router.records.known_features import require_values
from swe_router.replay.record_check import ReplayContext, ReplayCount, check_record
from swe_router.reports.view_parts import lines_view
from swe_router.seams import KeepsDialogue
from swe_router.settings import Settings
from swe_router.solve.handover import HandedOver
from swe_router.solve.work_plans import earlier_work_plan
from swe_router.wiring import batch_prices, ensemble, phase_wiring, stop_loss
from swe_router.wiring.handover_limit import handover_limit
from swe_router.wiring.policy_wiring import build_policy
from swe_router.wiring.run_wiring import attempt_context_of


def replay_run(run_name: str, runs_folder: Path) -> CommandResult:
    """Make every record of a run again; exit code 1 when something comes out otherwise.

    Raises ``UsageError`` for a damaged run, and for one that names code (``trust.check_no_code``).
    """
    run = find_run(run_name, runs_folder, exact=False)
    header = header_of_run(run)
    trust.check_no_code(run, header)
    ledger = log_reader.read_ledger(run.ledger_file)
    instances = {one.id: one for one in run.instances()}
    grades = run.grades()
    others, left = _candidate_grades_and_digests(run)
    rows, broken = {}, _run_level_faults(run, header, ledger)
    whole = not broken
    try:
        means = _replay_context(run, header, ledger)
    except UsageError as error:  # settings that were changed need not make sense
        raise UsageError("; ".join([*broken, str(error)])) from None
    money = unexplained_calls(run, ledger)
    for instance_id, record in run.records().items():
        count = ReplayCount()
        try:
            check_record(record, means, count)
            _compare_written_tests(run, record, count)
        except VerifierError as error:  # the rest of the record does not hang on its evidence
            count.same(instance_id, "verdicts", "evidence that can be read", str(error))
        _compare_moves(run, record, count)
        _compare_imported_attempts(run, record, count)
        _compare_surroundings(record, header, instances, ledger, count)
        _check_grade(record, grades.get(instance_id), count)
        kept = others.get(instance_id, ())
        _check_candidate_grades(
            instance_id, record.instance.dataset, kept, left[instance_id], count
        )
        differences = [
            f"{d.where}: recorded {d.recorded}, recomputed {d.recomputed}"
            for d in count.divergences
        ]
        differences += money.pop(instance_id, [])
        share = 1 - len(differences) / max(1, count.compared)
        rows[instance_id] = {
            "identical_share": max(0.0, share),
            "divergences": differences,
            "patch_identical": not any("patch" in line or "chosen" in line for line in differences),
        }
        broken += [f"{instance_id}: {line}" for line in differences]
    broken += [f"{name}: {line}" for name, differences in money.items() for line in differences]
    strategy = run_inputs.stored_manifest(run, header).strategy
    verdict = _verdict_line(rows.keys(), instances.keys(), len(broken), strategy)
    view = lines_view(verdict, broken, "red")
    settings_row = {"settings_intact": whole}
    return CommandResult(facts={**rows, **({} if whole else {"settings": settings_row})},
                 view=view, exit_code=1 if broken else 0)  # fmt: skip


def _verdict_line(replayed: Set[str], instances: Set[str], divergences: int, strategy: str) -> str:
    """What a replay came to, in one sentence: counts, and what the strategy leaves unchecked."""
    verdict = f"{len(replayed)} instances replayed: " + (
        f"{divergences} divergences" if divergences else "all as recorded"
    )
    if rest := len(instances - replayed):
        verdict += f"; {rest} of {len(instances)} not concluded, of which nothing can be replayed"
    if not _keeps_dialogue(strategy):
        verdict += (
            f"; of the scaffold strategy {strategy!r}, which makes its own requests, seals and sums"
            " were compared"
        )
    return verdict


def _run_level_faults(run: RunFolder, header: Header, ledger: LedgerState) -> list[str]:
    """Faults of the parts that belong to the run as a whole."""
    faults = []
    if not is_unchanged(run):
        faults.append(f"{run.settings_file.name}: a setting, rate or digest was changed")
    if ledger.opened != header.settings.budget:
        budget = header.settings.budget
        faults.append(f"{run.ledger_file.name}: budget {ledger.opened}, in the settings {budget}")
    if (
        header.settings.source
        and candidate_import.cases_digest(candidate_import.imported_cases(run))
        != header.settings.source_digest
    ):
        faults.append("the candidates that the run began with were changed")
    return faults


def _compare_imported_attempts(run: RunFolder, record: RunRecord, count: ReplayCount) -> None:
    """The imported attempts of a record must be those that the run began with."""
    case = imported_candidates.load_case(run.attempt_folder(record.instance.id))
    mine = [one for one in record.outcomes if one.imported]
    bare = tuple(one.model_copy(update={"verdicts": ()}) for one in mine)
    for was, now in zip_longest(case.outcomes if case else (), bare):
        one = was or now
        count.same(record.instance.id, f"attempt {one.attempt.id} as it was imported", was, now)


def _compare_surroundings(
    record: RunRecord,
    header: Header,
    instances: Mapping[str, Instance],
    ledger: LedgerState,
    count: ReplayCount,
) -> None:
    """What a record says of its instance, of its making and of its money, against the rest."""
    name = record.instance.id
    count.same(name, "instance", instances.get(name), record.instance)
    of_issue = (name, record.instance.repo, record.instance.problem)
    seen = (record.features.instance_id, record.features.repo, record.features.text)
    count.same(name, "features: issue", seen, of_issue)
    score = require_values(record.features).get("complexity")
    # A score by another fit is taken as it stands: what it led to is computed again all the same.
    if score is not None and record.features.version == features_version():
        count.same(
            name,
            "features: complexity",
            score,
            complexity_of(require_values(record.features), record.features.repo),
        )
    made = provenance(header).model_copy(update={"code": record.provenance.code})
    count.same(name, "provenance", record.provenance, made)
    _compare_budget_caps(record, ledger, count)
    plans = {o.attempt.id: o.attempt.plan for o in record.outcomes}
    for call in ledger.calls.values():
        owner, _, attempt = call.key.partition("/")
        if owner == name and attempt in plans:
            plan = plans[attempt]
            others = [phase.tier for phase in plan.phases]
            tier = call.tier if call.tier in others else plan.arm.model
            count.same(name, f"attempt {attempt} ledger: tier", call.tier, tier)


def _compare_budget_caps(record: RunRecord, ledger: LedgerState, count: ReplayCount) -> None:
    """The cap that each decision saw must be one that the ledger had, and a raise stays."""
    caps, place = ledger.caps, 0
    for number, decided in enumerate(record.decisions, 1):
        seen = decided.purse.budget
        later = [n for n in range(place, len(caps)) if caps[n] == seen]
        known = seen if later else f"one of {', '.join(map(str, caps[place:]))}"
        count.same(record.instance.id, f"decision {number} cap", seen, known)
        place = later[0] if later else place


def _check_grade(record: RunRecord, grade: Grade | None, count: ReplayCount) -> None:
    """An official verdict must be of this patch, and follow from the tests kept with it."""
    if grade is None:
        return
    name = record.instance.id
    patch = record.patch or ""
    digest = patch_digest(patch)
    if patch:
        count.same(name, "grade: patch", grade.patch, digest)
        other = "not resolved" if grade.outcome == "resolved" else "resolved"
        sound = follows_from_counts(grade, record.instance.dataset)
        again = grade.outcome if sound else f"{other}, by the tests kept with it"
        count.same(name, "grade: outcome", grade.outcome, again)


def _candidate_grades_and_digests(
    run: RunFolder,
) -> tuple[dict[str, list[Grade]], dict[str, set[str]]]:
    """By instance: the grades of other candidates, and the digests of all patches ever left."""
    grades: dict[str, list[Grade]] = {}
    for grade in run.candidate_grades():
        grades.setdefault(grade.instance_id, []).append(grade)
    left: dict[str, set[str]] = {}
    for record in run.concluded():  # those that were tried again too: their patches were graded
        name = record.instance.id
        left.setdefault(name, set()).update(
            Prediction(instance_id=name, patch=one.candidate.patch).digest
            for one in record.outcomes
            if one.candidate is not None
        )
    return grades, left


def _check_candidate_grades(
    instance_id: str,
    dataset: str,
    grades: Sequence[Grade],
    patch_digests: set[str],
    count: ReplayCount,
) -> None:
    """Each must be of a patch that an attempt left, and follow from the tests kept with it."""
    outcomes: dict[str, str] = {}
    for grade in grades:
        where = f"candidate grade {grade.patch[:12]}"
        count.same(instance_id, f"{where}: patch", True, grade.patch in patch_digests)
        other = "not resolved" if grade.outcome == "resolved" else "resolved"
        sound = follows_from_counts(grade, dataset)
        again = grade.outcome if sound else f"{other}, by the tests kept with it"
        count.same(instance_id, f"{where}: outcome", grade.outcome, again)
        if grade.outcome != "ungraded":
            before = outcomes.setdefault(grade.patch, grade.outcome)
            count.same(instance_id, f"{where}: outcome, graded twice", before, grade.outcome)


def _replay_context(run: RunFolder, header: Header, ledger: LedgerState) -> ReplayContext:
    charged: dict[str, Decimal] = {}
    for call in ledger.calls.values():
        if call.fate == "settled" and not call.unused:
            charged[call.key] = charged.get(call.key, Decimal(0)) + call.charged
    settings, sheet = header.settings, run_inputs.stored_manifest(run, header)
    verify = run_inputs.verify_settings(run, header)
    keeps_dialogue = _keeps_dialogue(sheet.strategy)

    def conversation(
        record: RunRecord, outcome: Outcome, steps: Sequence[Step], handed: HandedOver
    ) -> Iterator[tuple[str, str, str]]:
        plan, trajectory = outcome.attempt.plan, outcome.attempt.trajectory
        setup = dialogue_setup(settings, plan, handed)
        of_phases = _phases_context(run, header, record, outcome)
        if keeps_dialogue:
            found = recorded_attempt.recheck_attempt(
                sheet,
                record.instance,
                steps,
                replace(setup, context=replace(setup.context, **of_phases)),
                recorded=trajectory,
                budget=plan.budget,
                stop_loss=stop_loss.stop_loss_of_plan(header, plan),
            )
        else:
            found = recorded_attempt.recheck_sums(steps, trajectory)
        for one in found:
            yield one.where, one.recorded, one.recomputed

    return ReplayContext(
        policy=build_policy(header, run.instances()),
        selector=ensemble.build_selector(settings),
        early_stop=settings.ensemble.early_stop,
        verifiers={n: plugins.load_plugin("verifiers", n)(verify) for n in verify.names},
        rates=header.rates,
        batch_rates=batch_prices.batch_rates_of(header),
        conversation=conversation,
        steps=lambda instance_id, attempt_id: InstanceLog(run.attempt_folder(instance_id)).steps(
            attempt_id
        ),
        charged=charged,
        room=partial(handover_limit, header),
        asked=recorded_verdicts.asked_tiers(settings.verify),
    )


def _phases_context(
    run: RunFolder, header: Header, record: RunRecord, outcome: Outcome
) -> dict[str, Any]:
    """What the dialogue of an attempt with phases knew in addition; empty for all others."""
    plan, log = outcome.attempt.plan, InstanceLog(run.attempt_folder(record.instance.id))
    if not plan.phases:
        return {}
    before = record.outcomes[: record.outcomes.index(outcome)]
    known = earlier_work_plan(plan, before, log.steps)
    return {
        "phases": phase_wiring.phases_of_plan(header, plan, attempt_context_of, work_plan=known),
        "stop_loss": stop_loss.stop_loss_of_plan(header, plan),
    }


def _keeps_dialogue(strategy: str) -> bool:
    """Whether the requests of a scaffold's strategy can be made again."""
    kind = plugins.load_plugin("scaffolds", strategy)
    return isinstance(kind, KeepsDialogue) and kind.keeps_dialogue


def dialogue_setup(settings: Settings, plan: Plan, handed: HandedOver) -> DialogueSetup:
    """What shaped the requests of an attempt."""
    context = replace(
        attempt_context_of(settings, plan),
        handover=handed.message,
        continued=handed.continued,
        seed=plan.seed,
        variant=plan.variant,
    )
    sandbox = settings.sandbox
    return DialogueSetup(context, sandbox.command_timeout, sandbox.command_timeout_max)


def _compare_written_tests(run: RunFolder, record: RunRecord, count: ReplayCount) -> None:
    """Tests that verdicts say a model wrote must be what it was paid for writing."""
    stored = VerifierStore(run.attempt_folder(record.instance.id) / "notes.jsonl")
    paid = {
        escape_undecodable(str(one.get("text", "")))
        for one in stored.values()
        if isinstance(one, dict)
    }
    for outcome in record.outcomes:
        for verdict in outcome.verdicts:
            written = recorded_verdicts.summary_of(verdict).written_tests or {}
            for test, text in written.items():
                found = "as it was paid for" if text in paid else "another one"
                where = f"attempt {outcome.attempt.id} verdict {verdict.verifier} {test}: text"
                count.same(record.instance.id, where, found, "as it was paid for")


def _compare_moves(run: RunFolder, record: RunRecord, count: ReplayCount) -> None:
    """The moves as they fell must be those of the record, unless it is being tried again."""
    if not InstanceLog(run.attempt_folder(record.instance.id)).belongs_to(record):
        return
    moves = InstanceLog(run.attempt_folder(record.instance.id)).moves()
    count.same(record.instance.id, "moves: decisions", record.decisions,
               tuple(move.decided for move in moves))  # fmt: skip
    came = InstanceLog(run.attempt_folder(record.instance.id)).verified_imports() or ()
    fell = (*came, *(outcome for move in moves for outcome in move.outcomes or ()))
    count.same(record.instance.id, "moves: outcomes", record.outcomes, fell)
    left = tuple(move.left_out for move in moves if move.left_out is not None)
    count.same(record.instance.id, "moves: left out", record.left_out, left)
