"""The inputs of a run (prompts, scaffold, tools), stored in its folder by content.

They are texts, named by their SHA-256 in the sealed settings; the loop's rules are a version
number there. A resume and a replay use the stored texts: a prompt, a tool or a rule may change, and
older runs still resume and replay. Runs that store nothing are matched by the digests of their
prompts in ``prompts/earlier.json``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import assets, plugins, policy_abilities, recorded_verdicts
from swe_router.agents import loop_rules, manifest, prompts
from swe_router.agents.manifest import Manifest
from swe_router.agents.phase_talks import PROMPTS_OF_ROLE
from swe_router.agents.tools import Toolset
from swe_router.errors import UsageError
from swe_router.journal.header import Header
from swe_router.journal.run_folder import RunFolder
from swe_router.lazy_imports import deferred_module
from swe_router.settings import Settings, VerifySettings

if TYPE_CHECKING:
    from swe_router import templates
    from swe_router.estimates.acceptance import calibration
else:
    templates = deferred_module("swe_router.templates")
    calibration = deferred_module("swe_router.estimates.acceptance.calibration")

SCAFFOLD, TOOLS, CALIBRATION = "scaffold", "tools", "calibration"
EARLIER_PROMPTS_FILE = "earlier.json"


def current_inputs(settings: Settings) -> dict[str, str]:
    """Label -> text of everything that a run under these settings is made with, as it is now."""
    sheet = manifest.read_manifest(settings.scaffold)
    found = {
        SCAFFOLD: json.dumps(manifest_json(sheet), indent=1),
        TOOLS: sheet.toolset.model_dump_json(indent=1),
        **{f"prompt/{name}": sheet.text(name) for name in sheet.used_prompts()},
    }
    for name in verifier_prompts(settings):
        found[f"prompt/{name}"] = templates.prompt_source(name)
    for name in phase_prompts(settings):
        found[f"prompt/{name}"] = templates.prompt_source(name)
    verify = settings.verify
    weighs = recorded_verdicts.any_trait(verify.names, lambda one: one.calibrated)
    if weighs and verify.calibration != calibration.NONE:
        found[CALIBRATION] = calibration.calibration_text(verify.calibration)
    return found


def manifest_json(manifest: Manifest) -> dict[str, Any]:
    """A manifest as JSON, with its name and digest and without its texts."""
    return {**manifest.model_dump(mode="json"), "name": manifest.name, "digest": manifest.digest}


def verifier_prompts(settings: Settings) -> list[str]:
    """Names of the prompts that the verifiers of a run use."""
    return recorded_verdicts.asked_prompts(settings.verify)


def phase_prompts(settings: Settings) -> list[str]:
    """Names of the prompts that other tiers are given in the attempts of a run's policy."""
    roles = policy_abilities.phase_roles_of(plugins.load_plugin("policies", settings.policy.name))
    return [name for role in roles for name in PROMPTS_OF_ROLE[role]]


def stored_manifest(run: RunFolder, header: Header) -> Manifest:
    """The scaffold of a run with its prompts, tools and rules, as they were when it began.

    Raises ``UsageError`` when the folder does not hold them any more, and for rules of a newer
    version.
    """
    loop_rules.rules_of(header.rules)
    found = stored_texts(run, header)
    try:
        made = Manifest.model_validate(json.loads(found[SCAFFOLD]))
        of_phases = {name for name in phase_prompts(header.settings) if f"prompt/{name}" in found}
        names = {*made.used_prompts(), *of_phases}
        return made.model_copy(update={
            "texts": {name: found[f"prompt/{name}"] for name in sorted(names)},
            "toolset": Toolset.model_validate_json(found[TOOLS]),
            "rules": header.rules,
        })  # fmt: skip
    except (KeyError, ValueError) as error:
        raise UsageError(f"{run.path}: what the run was made with is damaged: {error}") from None


def stored_texts(run: RunFolder, header: Header) -> dict[str, str]:
    """Label -> text of the prompts, the scaffold and the tools of a run. Raises ``UsageError``."""
    if not header.made_with:
        return _texts_of_earlier_run(run, header)
    return {key: run.input_text(one) for key, one in header.made_with.items() if key != CALIBRATION}


def verify_settings(run: RunFolder, header: Header) -> VerifySettings:
    """The settings of the verifiers, with the calibration that the run keeps."""
    verify, known = header.settings.verify, header.made_with.get(CALIBRATION)
    if known is None:
        return verify
    return verify.model_copy(update={"calibration": str(run.input_file(known))})


def _texts_of_earlier_run(run: RunFolder, header: Header) -> dict[str, str]:
    """The same for a run that stores nothing: by the digests of its prompts, from what shipped."""
    known = json.loads((assets.assets_root() / "prompts" / EARLIER_PROMPTS_FILE).read_bytes())
    found = {TOOLS: json.dumps(known[TOOLS])}
    for key, digest in header.prompts.items():
        if key.startswith("prompt/") and digest in known["prompts"]:
            found[key] = known["prompts"][digest]
        elif key.startswith("scaffold/") and digest in known["scaffolds"]:
            found[SCAFFOLD] = json.dumps(known["scaffolds"][digest])
    return found if len(found) > len(header.prompts) else _own_scaffold(run, header, found)


def _own_scaffold(run: RunFolder, header: Header, found: dict[str, str]) -> dict[str, str]:
    """The user's own scaffold of such a run, if it is still there and unchanged."""
    name = header.settings.scaffold
    refused = UsageError(
        f"run {run.name} does not keep what it was made with, and scaffold {name!r} is not as it"
        " was: bring it back, or install the swe-router that made the run"
    )
    if Path(name).expanduser().resolve().is_relative_to(run.path.resolve()):
        raise refused
    now = current_inputs(header.settings)
    mine = manifest.read_manifest(name)
    same = prompts.prompt_digests(mine).items() <= dict(header.prompts).items()
    if not same or any(templates.text_digest(now[key]) != header.prompts[key] for key in now
                       if key.startswith("prompt/")):  # fmt: skip
        raise refused
    return {**now, TOOLS: found[TOOLS]}
