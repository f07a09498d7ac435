"""The audit sees agents reach for the future, and leaves ordinary work alone."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import pytest

from swe_router.records import Action, Completion, Instance, Message, Step, ToolCall
from swe_router.sandboxes.leak_audit import audit_trajectory

BASE = "0123456789abcdef0123456789abcdef01234567"
SHARED = Path(__file__).parents[3] / "shared" / "data" / "trajectories"


def instance(repo: str = "django/django") -> Instance:
    return Instance(id="d__d-1", repo=repo, base_commit=BASE, problem="")


def steps(*commands: str, observations: tuple[str, ...] = (), tool: str = "bash") -> list[Step]:
    made = []
    for index, command in enumerate(commands):
        shown = observations[index] if index < len(observations) else ""
        call = ToolCall(id="c", name=tool, arguments={"command": command})
        made.append(
            Step(
                index=index,
                request="",
                completion=Completion(message=Message(role="assistant")),
                actions=(Action(call=call, observation=shown, exit_code=0),),
            )
        )
    return made


REACHING = [
    ("git log --all --oneline", "history"),
    ("cd /testbed && git --no-pager log --oneline --all -- a.py | head", "history"),
    ("git -C /testbed reflog", "history"),
    ("git log -g", "history"),
    ("git fsck --lost-found", "history"),
    ("git cat-file --batch-all-objects --batch-check", "history"),
    ("git show 89abcdef01", "history"),
    ("git diff HEAD..deadbeef1 -- a.py", "history"),
    ("git cherry-pick fedcba9876543210", "history"),
    ("git log HEAD..origin/main", "history"),
    ("git checkout origin/main -- django/db/models.py", "history"),
    ("git show ORIG_HEAD", "history"),
    ("git diff HEAD@{1}", "history"),
    ("git branch -a", "history"),
    ("git rev-list --remotes", "history"),
    ("cat .git/packed-refs", "history"),
    ("strings /testbed/.git/objects/pack/*.pack | grep fix", "history"),
    ("ls .git/refs/remotes/", "history"),
    ("git fetch origin", "net"),
    ("git pull", "net"),
    ("git ls-remote https://github.com/django/django", "net"),
    ("git clone --depth 1 https://github.com/django/django /tmp/d", "net"),
    ("git clone git@github.com:fork/django.git", "net"),
    ("git remote add up https://x", "net"),
    ("bash -c 'git fetch --all'", "net"),
    ("x=$(git pull 2>&1); echo $x", "net"),
    ("timeout 60 env A=b git fetch", "net"),
    ("curl -sL https://raw.githubusercontent.com/django/django/main/django/db/models/base.py", "net"),  # noqa: E501
    ("wget https://github.com/django/django/pull/123.patch -O /tmp/p", "net"),
    ("curl https://pypi.org/pypi/django/json", "net"),
    ("curl github.com/django/django/archive/main.zip", "net"),
    ("gh pr view 12 --repo django/django", "net"),
    ("python - <<E\nimport subprocess\nsubprocess.run(['git', 'log', '--all'])\nE", "history"),
    ("""python3 -c "import os; os.system('git fetch origin')" """, "net"),
    ("pip install -U django", "net"),
    ("python3 -m pip download 'Django>=4' --no-deps", "net"),
    ("pip install git+https://github.com/django/django@main", "net"),
    ("uv pip install django==5", "net"),
    (
        "python -c \"import urllib.request as u; print(u.urlopen("
        "'https://raw.githubusercontent.com/django/django/main/x.py').read())\"",
        "net",
    ),
    (
        "python - <<'EOF'\nimport requests\nrequests.get('https://github.com/django/django/x')\nEOF",
        "net",
    ),
    ("git for-each-ref", "history"), ("git show-ref --tags", "history"),
    ("curl https://docs.djangoproject.com/en/5.2/ref/models/", "net"),
    ("cat /opt/miniconda3/lib/python3.9/site-packages/django/db/models/base.py", "copy"),
    ("ls /usr/lib/python3/dist-packages/Django-4.2.dist-info", "copy"),
]  # fmt: skip

ORDINARY = [
    "git log --oneline -5 -- django/db/models.py",
    "git log -p -S needle -- a.py",
    "git diff", "git diff HEAD~1", "git stash && git stash pop", "git stash list", "git status",
    "git show HEAD", "git show HEAD~3:a.py", f"git show {BASE}", f"git diff {BASE[:10]}",
    "git checkout django/core/validators.py", "git checkout -b work", "git blame -L 1,9 a.py",
    "git grep --all-match -e a -e b", "git describe --tags", "git tag", "git branch",
    "git add -A && git commit -m 'see git log --all'", "git clone /testbed /tmp/copy",
    "git commit -m 'fetch and pull origin/main'", "echo 'git fetch'", "# git fetch",
    "grep -rn fetch . --include='*.py'", "grep -rn 'git log --all' docs",
    "find . -not -path './.git/objects/*' -name '*.py'", "grep -r x --exclude-dir=.git .",
    "ls -la .git", "cat .git/config", "cat .gitignore",
    "pip install -e .", "pip install -U .", "pip install pytest-django", "pip show django",
    "pip list | grep -i django", "pip install django-debug-toolbar requests",
    "curl -I https://bpaste.net", "curl https://example.com/index.html", "wget http://localhost:8000/",
    "python -c \"import urllib.request; urllib.request.urlopen('http://localhost:80')\"",
    "python - <<'EOF'\nprint('see https://github.com/django/django')\nEOF",
    "cat > t.py <<'EOF'\nimport os\nos.system('git fetch')\nEOF",
    "cat /opt/x/site-packages/urllib3/util/retry.py", "python manage.py runserver --all",
    "sed -n '1,20p' django/contrib/sites/models.py", "python -m pytest --all",
    "cat 'unclosed", "for f in a b; do git diff $f; done", "",
]  # fmt: skip


@pytest.mark.parametrize(("command", "kind"), REACHING)
def test_reaching_is_found(command: str, kind: str) -> None:
    found = audit_trajectory(steps("ls", command), instance())
    assert [finding.kind for finding in found][:1] == [kind]
    assert found[0].detail.startswith("step 1: ")


@pytest.mark.parametrize("command", ORDINARY)
def test_ordinary_work_is_no_finding(command: str) -> None:
    assert audit_trajectory(steps(command), instance()) == ()


def test_a_commit_that_plain_log_showed_is_the_past() -> None:
    seen = steps("git log --oneline", "git show 89abcdef0", observations=("89abcdef0 past\n",))
    assert audit_trajectory(seen, instance()) == ()


def test_a_script_that_was_written_first_is_seen_when_it_is_run() -> None:
    made = steps("cat > t.py <<'EOF'\nimport os\nos.system('git fetch')\nEOF", "python ./t.py")
    assert [f.detail for f in audit_trajectory(made, instance())] == ["step 1: python ./t.py"]
    call = ToolCall(
        id="c", name="edit",
        arguments={"action": "create", "path": "/testbed/x.sh", "new": "git log --all\n"},
    )  # fmt: skip
    first, second = steps("", "bash x.sh")
    edited = first.model_copy(update={"actions": (Action(call=call, observation=""),)})
    assert [f.kind for f in audit_trajectory([edited, second], instance())] == ["history"]
    assert audit_trajectory([edited], instance()) == ()


def test_writing_about_it_is_no_finding() -> None:
    assert audit_trajectory(steps("git fetch", tool="edit"), instance()) == ()


def test_secrets_are_blotted_out() -> None:
    command = (
        "curl -H 'Authorization: Bearer sk-abcdefgh12345' https://u:pw1@github.com/django/django"
    )
    (found,) = audit_trajectory(steps(command), instance())
    assert "sk-abc" not in found.detail
    assert "pw1" not in found.detail


def test_long_commands_are_cut() -> None:
    (found,) = audit_trajectory(steps("git fetch " + "x" * 5000), instance())
    assert len(found.detail) < 250


def test_a_finding_tells_that_the_command_failed() -> None:
    (step,) = steps("git fetch")
    action = step.actions[0].model_copy(update={"exit_code": 128})
    (found,) = audit_trajectory([step.model_copy(update={"actions": (action,)})], instance())
    assert found.detail == "step 0: git fetch (exit 128)"


def test_names_with_another_module_name() -> None:
    command = "cat /x/site-packages/sklearn/base.py"
    assert audit_trajectory(steps(command), instance("scikit-learn/scikit-learn"))[0].kind == "copy"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the recorded trajectories are not here")
def test_false_alarms_on_real_trajectories() -> None:
    """65 real runs (3,274 commands) by an agent that never reached out."""
    commands = 0
    alarms = []
    for path in sorted(SHARED.glob("*.traj.json.gz")):
        with gzip.open(path) as stream:
            recorded = json.load(stream)
        said = [m["content"] for m in recorded["messages"] if m["role"] == "assistant"]
        blocks = [b for text in said for b in re.findall(r"```bash\s*\n(.*?)\n```", text, re.S)]
        commands += len(blocks)
        repo = path.name.split("-")[0].replace("__", "/") if "__" in path.name else ""
        name = re.sub(r"-\d+\..*", "", path.name).replace("__", "/", 1)
        alarms += audit_trajectory(steps(*blocks), instance(name or repo))
    assert commands > 3000
    assert alarms == []
