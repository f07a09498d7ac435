"""Judges that answer by the prompt: by a rule, by the orders that they find, in letters."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from swe_router.records import CallLimits, Completion, Message, TokenLogprobs, Usage

CODE = re.compile(r"The code of this request is ([0-9a-f]+)\.\s*\Z")
FENCE = re.compile(r"<([a-z]+-[0-9a-f]+)>\n(.*?)\n</\1>", re.DOTALL)


def code_of(prompt: str) -> str:
    """The code that a prompt ends with."""
    found = CODE.search(prompt)
    assert found is not None, prompt[-200:]
    return found[1]


def materials(prompt: str) -> dict[str, str]:
    """Label -> what a prompt shows between marks."""
    return {mark.partition("-")[0]: text for mark, text in FENCE.findall(prompt)}


def outside(prompt: str) -> str:
    """A prompt without what stands between marks."""
    return FENCE.sub("", prompt)


class Judge:
    """Answers each prompt by ``rule``; an exception that it gives is raised."""

    model = "judge-1"

    def __init__(self, rule: Callable[[str], Any], usd: str = "0.01") -> None:
        self.rule, self.usd = rule, Decimal(usd)
        self.prompts: list[str] = []
        self.turns: list[list[str]] = []
        self.limits: list[CallLimits] = []

    def complete(self, messages: Any, tools: Any = (), *, limits: CallLimits) -> Completion:
        self.prompts.append(messages[-1].content)
        self.turns.append([one.content for one in messages])
        self.limits.append(limits)
        answer = self.rule(messages[-1].content)
        if isinstance(answer, Exception):
            raise answer
        return self.completion(answer)

    def completion(self, answer: Any) -> Completion:
        said = Message(role="assistant", content=str(answer))
        return Completion(message=said, usd=self.usd, model=self.model, usage=Usage(input_tokens=9))


class LetterJudge(Judge):
    """Gives the probabilities of letters: ``rule`` maps a prompt to letter -> probability."""

    gives_logprobs = True
    text = "A"
    """What it says, whatever the probabilities are."""

    def completion(self, answer: Mapping[str, float] | None) -> Completion:
        made = super().completion(self.text)
        if answer is None:
            return made
        top = tuple((token, math.log(p)) for token, p in answer.items())
        return made.model_copy(update={"logprobs": (TokenLogprobs(token=self.text, top=top),)})
