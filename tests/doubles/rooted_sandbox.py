"""A Sandbox over a folder that stands for the root of an image: scripts run as plain processes.

Absolute paths of the image are put below the folder by text: in commands, and in the scripts that
are written. What tests would run is answered by programs of ``bin/``.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from swe_router.datasets import GradingContext
from swe_router.instances import sources
from swe_router.plugins import load_plugin
from swe_router.records import Instance, Result

_PLACES = re.compile(
    r"(?<![\w.$}-])/(?=(?:tmp/swe|app|testbed|calc|home|workspace|logs|tests|solution|opt)\b)"
)
PYTEST = """#!/bin/bash
grep -q 'a + b$' calc.py && sum=PASSED || sum=FAILED
[ -f tests/test_calc.py ] || [ -n "$HAS_TESTS" ] || sum=
while read -r word name; do
  [ -n "$word" ] || continue
  case "$*" in *--verbose*) echo "$name $word [ 50%]";; *) echo "$word $name";; esac
done <<EOF
$sum tests/test_calc.py::test_add
PASSED tests/test_old.py::test_zero
EOF
[ "$sum" = PASSED ]
"""
NOOP = """\
diff --git a/NOTES b/NOTES
new file mode 100644
--- /dev/null
+++ b/NOTES
@@ -0,0 +1 @@
+nothing
"""
CODE = "def add(a, b):\n    return a + b + 1\n"


class RootedSandbox:
    """Commands with the image's paths below ``root``."""

    def __init__(self, root: Path, workdir: str, identity: str = "test:rooted") -> None:
        self.root, self.workdir, self.identity = root, workdir, identity
        self.ran: list[str] = []
        self.closed = False

    def there(self, text: str) -> str:
        return _PLACES.sub(f"{self.root}/", text)

    def run(self, command: str, *, timeout: float, cwd: str = "") -> Result:
        self.ran.append(command)
        path = f"{self.root}/bin:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-c", self.there(command)],
            cwd=self.root / self.workdir.lstrip("/"),
            env={"PATH": path, "HOME": str(self.root / "root"), "GIT_CEILING_DIRECTORIES": "/"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        return Result(exit_code=done.returncode, output=done.stdout.decode("utf-8", "replace"))

    def place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def read(self, path: str, *, limit: int = 2_000_000) -> bytes:
        data = self.place(path).read_bytes()
        if len(data) > limit:
            raise ValueError(f"{path} is larger than {limit} bytes")
        return data

    def write(self, path: str, data: bytes) -> None:
        file = self.place(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix in {".sh", ".py"}:
            data = self.there(data.decode()).encode()
        file.write_bytes(data)

    def close(self) -> None:
        self.closed = True


class Image:
    """Opens sandboxes with the project of the sample rows; counts them and keeps the last."""

    def __init__(self, folder: Path, identity: str = "test:rooted") -> None:
        self.folder, self.identity = folder, identity
        self.opened: list[tuple[Instance, bool]] = []
        self.extra: dict[str, str] = {}

    @contextmanager
    def __call__(self, instance: Instance, *, network: bool = False) -> Iterator[RootedSandbox]:
        self.opened.append((instance, network))
        root = self.folder / f"root-{len(self.opened)}"
        work = root / instance.workdir.lstrip("/")
        for place in (work / "tests", root / "bin", root / "root"):
            place.mkdir(parents=True)
        (work / "calc.py").write_text(CODE)
        (work / "tests" / "test_old.py").write_text("")
        self.last = RootedSandbox(root, instance.workdir, self.identity)
        self._program(root / "bin" / "pytest", PYTEST)
        conda = root / "opt" / "miniconda3" / "bin"
        conda.mkdir(parents=True)
        (conda / "activate").write_text("conda() { :; }\n")
        for path, text in self.extra.items():
            self.last.write(path, text.encode())
        committed(work)
        yield self.last

    @staticmethod
    def _program(path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)


def committed(work: Path) -> str:
    """The id of a commit of everything in ``work``: always the same for the same files."""
    who = {"NAME": "t", "EMAIL": "t@localhost", "DATE": "946684800 +0000"}
    env = {"PATH": os.environ["PATH"], "HOME": str(work), "GIT_CONFIG_NOSYSTEM": "1"}
    env |= {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()
    }
    for step in (("init", "-q", "-b", "main"), ("add", "."), ("commit", "-qm", "base")):
        subprocess.run(["git", *step], cwd=work, env=env, check=True, capture_output=True)
    head = ["git", "rev-parse", "HEAD"]
    return subprocess.run(
        head, cwd=work, env=env, check=True, capture_output=True, text=True
    ).stdout.strip()


def rows_at(folder: Path, sample: Path) -> Path:
    """The sample rows with the commit that the project has in ``Image``."""
    work = folder / "project"
    (work / "tests").mkdir(parents=True)
    (work / "calc.py").write_text(CODE)
    (work / "tests" / "test_old.py").write_text("")
    file = folder / sample.name
    text = sample.read_text(encoding="utf-8")
    file.write_text(text.replace(f'"{"1" * 40}"', f'"{committed(work)}"'), encoding="utf-8")
    return file


def grader_of(path: Path, image: Image, folder: Path, dataset: str = "", **more: object):
    """The grader of a file or folder of rows over ``image``, and its instances by id."""
    from swe_router.grading.graders import BUILT_IN

    origin = sources.locate_split(str(path), dataset)
    context = GradingContext(
        label=str(path), rows=origin.any_rows, path=origin.path, folder=folder, sandbox="docker",
        open=image, **more,
    )  # fmt: skip
    instances = {one.id: one for one in origin.instances()}
    return load_plugin("graders", origin.dataset.grader, BUILT_IN)(context), instances
