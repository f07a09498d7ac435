"""The words by which providers and gateways name a cause: one table a cause, nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from swe_router.errors import ModelError, ModelUnknown, NoCredit, Unauthorised

BUSY = frozenset({408, 409, 425, 429, *range(500, 600)})
"""Statuses that say: later."""

STATUS: dict[str, int] = {
    "overloaded": 529,
    "overloaded_error": 529,
    "engine_overloaded": 529,
    "engine_overloaded_error": 529,
    "insufficient_system_resource": 529,
    "rate_limit": 429,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "rate_limit_reached_error": 429,
    "rate_limited": 429,
    "ratelimiterror": 429,
    "ratelimitexceeded": 429,
    "token_limit_exceeded": 429,
    "too_many_requests": 429,
    "toomanyrequests": 429,
    "resource_exhausted": 429,
    "throttling": 429,
    "throttlingexception": 429,
    "throttling.ratequota": 429,
    "throttled": 429,
    "requests": 429,
    "tokens": 429,
    "api_error": 500,
    "server_error": 500,
    "internal": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "internalerror": 500,
    "internalservererror": 500,
    "internalserverexception": 500,
    "provider_error": 502,
    "upstream_error": 502,
    "bad_gateway": 502,
    "unavailable": 503,
    "service_unavailable": 503,
    "service_unavailable_error": 503,
    "serviceunavailable": 503,
    "serviceunavailableerror": 503,
    "serviceunavailableexception": 503,
    "model_overloaded": 503,
    "modelnotreadyexception": 503,
    "timeout": 504,
    "timeout_error": 504,
    "gateway_timeout": 504,
    "deadline_exceeded": 504,
    "modeltimeoutexception": 504,
    "authentication_error": 401,
    "authenticationerror": 401,
    "invalid_api_key": 401,
    "invalid_authentication_error": 401,
    "unauthorized": 401,
    "unauthenticated": 401,
    "billing_error": 402,
    "payment_required": 402,
    "forbidden": 403,
    "permission_denied": 403,
    "permission_denied_error": 403,
    "permission_error": 403,
    "accessdeniedexception": 403,
    "not_found": 404,
    "not_found_error": 404,
    "notfounderror": 404,
    "request_too_large": 413,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "invalid_argument": 400,
    "badrequesterror": 400,
    "validationexception": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
}
"""What an error calls itself -> the HTTP status that this amounts to."""

BROKEN_OFF = frozenset(
    {"error", "failed", "abort", "aborted", "cancelled", "insufficient_system_resource"}
)
"""Reasons to finish that are no end of an answer."""


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


NO_CREDIT_NAMES = frozenset(
    {
        "insufficient_quota",
        "insufficient_credits",
        "insufficient_balance",
        "insufficient_funds",
        "billing_hard_limit_reached",
        "billing_limit_reached",
        "billing_not_active",
        "billing_error",
        "exceeded_current_quota_error",
        "quota_exceeded",
        "budget_exceeded",
        "exceededbudget",
        "exceeded_budget",
        "credit_limit_reached",
        "spend_limit_reached",
        "spending_limit_reached",
        "usage_limit_reached",
        "payment_required",
        "arrearage",
    }
)
_NO_CREDIT = _any(
    r"credit balance",
    r"insufficient[_ ](?:(?:account|wallet|api|prepaid)[_ ])?(?:credits?|quota|balance|funds?)",
    r"(?:not|n['\u2019]t) have (?:\w+ ){0,2}(?:sufficient|enough) (?:\w+ )?(?:credits?|balance"
    r"|funds)",
    r"exhausted (?:its|your|the|all) (?:\w+ ){0,3}(?:budget|quota|allowance)",
    r"(?:free|included|monthly|weekly) (?:\w+ ){0,2}(?:quota|allowance|allocation) (?:\S+ ){0,5}"
    r"(?:used up|exhausted|depleted|exceeded)",
    r"(?:weekly|monthly)(?: \w+)? limits? (?:\w+ )?(?:reached|exceeded|exhausted|hit)",
    r"failure to pay|(?:unpaid|overdue|outstanding|past[- ]due) (?:invoice|balance|bill)"
    r"|payment (?:\w+ ){0,2}(?:failed|declined)",
    r"(?:not enough|out of|no more|no remaining|ran out of|requires more|exhausted (?:your|the|all)"
    r"(?: available)?|used up (?:your|the|all)) (?:\w+ ){0,2}(?:credits?|balance|funds)",
    r"credits? (?:\w+ ){0,3}(?:exhausted|depleted|used up|ran out|run out)",
    r"(?:reached|exceeded|exceeds|hit|over) (?:your |the |its |our |their )?(?:\w+[ -]){0,4}usage"
    r" limits?",
    r"(?:api|monthly|daily|weekly|account|organization|workspace) usage limits? (?:\w+ ){0,3}"
    r"(?:reached|exceeded|hit)",
    r"(?:billing|spend(?:ing)?|budget|credit|cost|monthly|usage|hard|soft)[ _-]+(?:hard |soft "
    r"|spend |budget |usage )?(?:limit|cap)s? (?:\S+ ){0,4}(?:reached|exceeded|hit)",
    r"(?:has|have|with) no (?:\w+ )?credits?\b|(?:zero|negative|no) (?:account )?balance\b",
    r"balance (?:is |was )?(?:too low|not (?:enough|sufficient)|insufficient|negative|zero|depleted"
    r"|exhausted|used up)|please recharge",
    r"(?:reached|exceeded|exceeds|hit|crossed|over) (?:\w+ ){0,4}(?:billing|spend(?:ing)?|budget"
    r"|credit|monthly)(?: \w+){0,2}(?: limits?| cap| budget)?\b",
    r"budget (?:\w+ ){0,4}exceeded|exceeded ?budget|over budget|max(?:imum)? budget",
    r"exceeded your current quota, please check your plan and billing",
    r"check your (?:plan and )?billing details",
    r"key limit exceeded",
    r"billing (?:is |has )?(?:not (?:been )?(?:active|enabled|set up)|disabled)",
    r"(?:add|purchase|buy) (?:more )?(?:credits|funds)|top[ -]?up your|payment (?:is )?required",
    r"(?:subscription|trial|free tier)(?: \w+){0,3} (?:has )?(?:expired|ended|inactive|exhausted)",
    r"in arrears|account in good standing|余额不足|欠费",
)
_PREPAID = _any(r"(?:pre-?pa(?:id|yment)|credits?)\b(?: \w+){0,4} (?:depleted|exhausted|used up)")
"""Google calls a quota and an account that was used up by one name."""
_SPEED = _any(
    r"per[ -]?(?:minute|second|hour|day)|\b[rt]p[md]\b|retry[ _]?(?:in|after|delay)"
    r"|try again in|rate[ -_]?limit|concurren"
)
"""A quota in time, which comes back by itself."""
_KEY_NAMES = frozenset(
    {
        "account_deactivated",
        "account_suspended",
        "access_terminated",
        "expired_api_key",
        "no_db_connection",  # LiteLLM's proxy without a database, of a key that it does not know
        "api_key_expired",
        "invalid_api_key",
        "key_disabled",
        "organization_restricted",
        "organization_disabled",
        "unsupported_country_region_territory",
    }
)
_KEY = _any(
    r"(?:incorrect|invalid|unknown|expired|revoked|disabled|inactive|missing|no) api[ _-]?key",
    r"api[ _-]?key (?:\w+ ){0,2}(?:not found|missing|rejected|flagged|malformed|not (?:provided"
    r"|recogni[sz]ed)|suspended)",
    r"(?:api|access|virtual|this|your|the)[ _-]?(?:\w+ )?(?:key|token) (?:\w+ ){0,4}(?:disabled"
    r"|expired|revoked|invalid|inactive|blocked|deactivated|deleted|not valid|not active)",
    r"(?:account|organi[sz]ation|workspace|project|team|user) (?:\S+ ){0,4}(?:disabled|deactivated"
    r"|suspended|restricted|terminated|banned|blocked|locked|archived)",
    r"(?:country|region|territory|location)(?:, \w+,? or \w+)* (?:is )?not supported"
    r"|not (?:available|supported) in your (?:country|region|location)",
    r"expired key|authentication (?:failed|error)|unauthori[sz]ed",
    r"must be verified to (?:use|stream|generate|access)",
)
_MODEL_NAMES = frozenset(
    {
        "model_not_found",
        "modelnotfound",
        "model_not_available",
        "model_not_supported",
        "model_decommissioned",
        "model_deprecated",
        "model_retired",
        "model_not_exist",
        "invalid_model",
        "unknown_model",
        "unsupported_model",
        "deploymentnotfound",
        "deployment_not_found",
    }
)
_MODEL = _any(
    r"(?:model|deployment)\b.{0,120}?(?:does not exist|doesn't exist|not exist"
    r"|not (?:be )?found|(?:has been|was|is|are) (?:\w+ )?(?:decommissioned|deprecated|removed"
    r"|retired|shut ?down|discontinued|sunset|disabled|no longer \w+)|not a valid model"
    r"|is unavailable to|is not (?:available|enabled|supported|accessible|allowed)(?! with)"
    r"|reached (?:its )?end[ -]of[ -]life)",
    r"(?:no such|unknown|invalid|unsupported|unrecogni[sz]ed|nonexistent) (?:model|deployment)\b",
    r"not a valid model|no (?:allowed )?(?:endpoints?|providers?) (?:\w+ )?(?:found|available|are)",
    r"(?:do(?:es)? not|don't|doesn't|no) (?:have )?(?:access|permission)s? (?:to|for) (?:\w+ )?"
    r"(?:the )?(?:\w+ )?model",
    r"not allowed to access (?:this )?model|can only access models",
    r"model (?:id|identifier|name|code)\b.{0,60}?(?:is (?:invalid|unknown|not valid|incorrect)"
    r"|on-demand throughput)"
    r"|model\b.{0,80}? isn['\u2019]t (?:available|enabled|supported)(?! with)",
    r"^model: \S+$|deployment for this resource does not exist",
)
SERVED = _any(r"models?\b", r"deployment", r"endpoints?\b")
FLAGGED = _any(r"flagged|moderation|content[ _](?:policy|filter)|safety (?:policy|system)")
LOST_ITEM = _any(r"item with id|previous_response|response with id")

TOO_LONG_NAMES = frozenset(
    {
        "context_length_exceeded",
        "exceed_context_size_error",
        "context_window_exceeded",
        "contextwindowexceedederror",
        "model_context_window_exceeded",
        "request_too_large",
        "string_above_max_length",
    }
)
TOO_LONG = re.compile(
    r"context[ _]?(length|window|limit|size)|(maximum|max) (context|prompt|input|sequence)\b"
    r"|(prompt|text|conversation|input|request) is too (long|large)"
    r"|too many (input |prompt )?tokens|exceed\w* .{0,40}context|max_model_len"
    r"|(input|prompt) (length|tokens?) .{0,40}(exceed|too long|maximum)|longer than the maximum"
    r"|(input|prompt|request) (\w+ ){0,4}exceeds? (\w+ ){0,4}(maximum|limit)"
    r"|reduce the length of (the |your )?(messages|prompt|input)|range of input length"
    r"|\binputs`? tokens \+",
    re.IGNORECASE,
)
NO_ROOM = re.compile(
    r"max_(completion_|output_|new_)?tokens must be (at least 1|greater than 0|positive)"
    r"\D{0,12}(0|-\d+)\b",
    re.IGNORECASE,
)
"""vLLM's word for a prompt that fills the window to the last token."""
WINDOW = re.compile(
    r"(?:max_model_len|maximum context length|context (?:length|window|limit|size)"
    r"|model's (?:context|maximum)[\w ]*?)[ =:]*(?:is |of |\()*(\d[\d,]{2,})",
    re.IGNORECASE,
)
CAP = re.compile(
    r"max_?(?:completion_|output_|new_)?tokens\W.{0,60}?(?:cannot be greater|can't be greater|> ?\d"
    r"|too large|exceeds?|at most|must be (?:less|<|at most|smaller|greater|between|in)"
    r"|maximum allowed|out of range|supports? at most|valid range|range of)"
    r"|range of max_?(?:completion_|output_|new_)?tokens",
    re.IGNORECASE,
)

_WORDS: tuple[tuple[re.Pattern[str], int], ...] = (
    (_any(r"rate[ -_]?limit", r"too many (?:\w+ )?requests", r"error code: 1015", r"throttl"), 429),
    (_any(r"overload", r"at capacity", r"engine is busy", r"server (?:is )?busy"), 529),
    (_any(r"gateway time-?\s?out", r"timed? ?out"), 504),
    (_any(r"bad gateway", r"upstream (?:connect )?error", r"no healthy upstream"), 502),
    (_any(r"(?:service|temporarily|currently) (?:\w+ )?unavailable", r"being maintained"), 503),
    (
        _any(r"internal (?:server )?error", r"try again (?:later|in)", r"provider returned error"),
        500,
    ),
    (_any(r"unauthori[sz]ed", r"(?:sign|log)[ -]?in\b", r"authentication required"), 401),
    (_any(r"forbidden", r"access denied"), 403),
    (_any(r"not found"), 404),
)


def status_of_words(text: str) -> int:
    """The status that a text without a number amounts to; 0: it says none."""
    number = re.match(r"\W*(?:error|http|status|code|\W)*\b([45]\d\d)\b", text, re.IGNORECASE)
    if number:
        return int(number[1])
    return next((status for pattern, status in _WORDS if pattern.search(text)), 0)


def account_error(names: Iterable[str], text: str, status: int) -> type[ModelError] | None:
    """What keeps a provider from serving this account at all; None when it is something else."""
    called = frozenset(names)
    no_credit = NO_CREDIT_NAMES & called or _NO_CREDIT.search(text)
    by_quota = "resource_exhausted" in called and not _PREPAID.search(text)
    if no_credit and not (by_quota or _by_the_hour(called, text)):
        return NoCredit
    if _KEY_NAMES & called:
        return Unauthorised
    if _MODEL_NAMES & called:
        return ModelUnknown
    if status in BUSY:
        return None
    if _MODEL.search(text.strip()):
        return ModelUnknown
    return Unauthorised if _KEY.search(text) else None


def _by_the_hour(called: frozenset[str], text: str) -> bool:
    return not NO_CREDIT_NAMES & called and bool(_SPEED.search(text))
