"""A double of docker-py's API client, whose answers the test sets."""

from __future__ import annotations

from docker.errors import APIError, NotFound


class Answer:
    """As much of a ``requests`` response as APIError reads."""

    def __init__(self, status):
        self.status_code, self.reason, self.url = status, "", ""


def refusal(status, text):
    kind = NotFound if status == 404 else APIError
    return kind("refused", response=Answer(status), explanation=text)


class Api:
    """An engine whose answers the test sets; an exception among them is raised."""

    def __init__(self, **answers):
        self.answers = {"inspect_image": {"Id": "sha256:1"}, "create_host_config": {}, **answers}
        self.asked = []

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.asked.append((name, arguments, options))
            answer = self.answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return call
