"""Pictures of an issue: shown to models that take them, told to all others, paid in any case."""

from __future__ import annotations

import json

import pytest

from swe_router import settings
from swe_router.agents import manifest, prompts
from swe_router.agents.dialogue import Dialogue, DialogueSetup
from swe_router.models.metered import input_bound
from swe_router.records import ImageLink, Instance, Message
from swe_router.wiring import preflight
from tests.doubles.agent import Told
from tests.doubles.providers import LIMITS, every_dialect, plain, reply, sent, serve

PICTURE, EMBEDDED = "https://example.org/a.png", "data:image/png;base64,iVBORw0KGgo="
ISSUE = Instance(
    id="o__r-1", repo="o/r", base_commit="c" * 40, problem="See it.", images=(PICTURE, EMBEDDED)
)
SHOWN = (
    ImageLink(url=PICTURE, max_tokens=5000),
    ImageLink(url=EMBEDDED, max_tokens=5000),
)


def opening(instance, image_tokens):
    return prompts.opening_messages(
        manifest.read_manifest("default"), instance, text=False, image_tokens=image_tokens
    )[1]


def test_a_model_that_takes_pictures_is_shown_them():
    first = opening(ISSUE, 5000)
    assert first.images == SHOWN
    assert "2 pictures of the issue are attached" in first.content
    assert "example.org" not in first.content


def test_a_model_that_takes_none_is_told_where_they_are():
    first = opening(ISSUE, 0)
    assert first.images == ()
    assert f"2 pictures of the issue cannot be shown to you: {PICTURE}" in first.content
    long = ISSUE.model_copy(update={"images": ("data:image/png;base64," + "A" * 9000,)})
    assert len(opening(long, 0).content) < 2000, "the picture itself is no text for a model"


def test_an_issue_without_pictures_is_told_as_before():
    bare = ISSUE.model_copy(update={"images": ()})
    assert opening(bare, 5000) == opening(bare, 0)
    assert "images" not in opening(bare, 5000).model_dump(mode="json")


def test_a_reservation_and_a_window_hold_the_most_that_the_pictures_take():
    bare, shown = Message(role="user", content="x"), Message(role="user", content="x", images=SHOWN)
    assert input_bound([shown], ()) - input_bound([bare], ()) == 10_000
    assert prompts.message_bytes_of(shown) - prompts.message_bytes_of(bare) == 30_000
    setup = DialogueSetup(Told().context(window=20_000, max_output_tokens=1000, image_tokens=9_000))
    dialogue = Dialogue(manifest.read_manifest("default"), ISSUE, setup)
    assert dialogue.request().size() > 54_000


@every_dialect
def test_every_dialect_sends_a_picture_in_its_own_form(httpserver, dialect):
    serve(httpserver, dialect, reply(dialect, text="Seen."))
    client = plain(dialect, httpserver.url_for("").rstrip("/"))
    message = Message(role="user", content="What is this?", images=SHOWN)
    client.complete((message,), limits=LIMITS)
    body = sent(httpserver)
    (turn,) = body.get("messages") or body["input"]
    *images, text = turn["content"]
    assert text["text"] == "What is this?"
    assert [one["type"] for one in images] == [
        {"anthropic": "image", "chat": "image_url"}.get(dialect, "input_image")
    ] * 2
    assert PICTURE in json.dumps(images[0])
    if dialect == "anthropic":
        assert images[1]["source"] == {
            "type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=",
        }  # fmt: skip
    else:
        assert EMBEDDED in json.dumps(images[1])


@pytest.mark.parametrize(("tokens", "notice"), [("0", True), ("5000", False)])
def test_a_run_says_which_tiers_see_no_pictures(tokens, notice):
    sets = [f"tiers.{name}.image_tokens={tokens}" for name in ("local", "cloud")]
    chosen = settings.load("demo", sets=sets)
    lines: list[str] = []
    preflight.run_preflight(chosen, [ISSUE], lines.append)
    said = [line for line in lines if "1 of 1 issues show pictures" in line]
    assert bool(said) == notice
    assert all("tiers.local.image_tokens" in line for line in said)
