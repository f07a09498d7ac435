"""What a language model says of an issue by a fixed rubric: whole numbers from 1 to 5.

The points are those that related most to whether agents solve an issue among the ones that an LLM
judged in "Agent Psychometrics" (arXiv 2604.00594, on 134 agents). ``weak_rating`` is RouteLLM's
question (arXiv 2406.18665, section 4.2): how well would the weak model do?
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from swe_router.records import Features
from swe_router.records.known_features import require_values

CRITERIA: Mapping[str, str] = {
    "problem_clarity": "it is clear what is wrong and what would be right",
    "fix_localization": "the text tells where in the code the cause lies",
    "proposed_change": "the text says how to mend it",
    "standard_pattern": "it calls for a well-known kind of change",
    "debugging_complexity": "many steps are needed to find the cause",
    "logical_reasoning": "it needs intricate reasoning about the code's behaviour",
    "codebase_scope": "the change spans many files or modules",
    "domain_knowledge": "it needs knowledge beyond general programming",
    "atypicality": "it is unlike most issues of such projects",
    "weak_rating": "a small, cheap model working as an agent would solve it",
}
"""Point -> what a high rating says. Feature ``judge.POINT``."""
PREFIX, ROUTE, OTHER = "judge.", "judge.route.", "other"
VERSION = "rubric/1"


def example_answer(routes: Sequence[str]) -> str:
    """An answer of the form that is asked for."""
    tree: dict[str, object] = dict.fromkeys(CRITERIA, 3)
    if routes:
        tree["route"] = OTHER
    return json.dumps(tree)


def parse_ratings(answer: str, routes: Sequence[str]) -> dict[str, float]:
    """The features that an answer gives. Raises ``ValueError`` that says what is amiss."""
    start, end = answer.find("{"), answer.rfind("}")
    try:
        tree = json.loads(answer[start : end + 1]) if start >= 0 else None
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, Mapping):
        raise ValueError("the answer holds no JSON object")
    values = {}
    for name in CRITERIA:
        rating = tree.get(name)
        if isinstance(rating, bool) or not isinstance(rating, int | float) or not 1 <= rating <= 5:
            raise ValueError(f"{name} must be a number from 1 to 5, not {str(rating)[:40]}")
        values[PREFIX + name] = float(rating)
    if routes:
        chosen = tree.get("route")
        if chosen != OTHER and chosen not in routes:
            raise ValueError(f"route must be one of {', '.join(routes)} or {OTHER}")
        values |= {ROUTE + name: float(name == chosen) for name in routes}
    return values


def with_ratings(features: Features, ratings: Mapping[str, float]) -> Features:
    """The features with a judge's ratings in the place of any that were there."""
    kept = {k: v for k, v in require_values(features).items() if not k.startswith(PREFIX)}
    origin = {k: v for k, v in features.provenance.items() if not k.startswith(PREFIX)}
    return features.model_copy(
        update={
            "values": {**kept, **ratings},
            "provenance": {**origin, **dict.fromkeys(ratings, "judge")},
        }
    )
