"""Tiny repositories and tiny images for the tests of sandboxes, made on the spot."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from pathlib import Path

from swe_router.records import Instance

WHO = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")


def git(where: Path, *arguments: str) -> str:
    """Output of a git command."""
    done = subprocess.run(
        ["git", *WHO, *arguments], cwd=where, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def repository(folder: Path) -> tuple[Path, str]:
    """A bare repository, and the commit in the middle of its three."""
    work, bare = folder / "work", folder / "bare.git"
    work.mkdir()
    git(work, "init", "-q", "-b", "main")
    for number in range(3):
        (work / "file.txt").write_text(f"{number}\n", encoding="ascii")
        git(work, "add", ".")
        git(work, "commit", "-qm", f"number {number}")
    git(work, "tag", "v3")
    git(folder, "clone", "-q", "--bare", str(work), str(bare))
    return bare, git(work, "rev-parse", "HEAD~1")


def instance(commit: str, image: str = "") -> Instance:
    """An instance that stands on ``commit``."""
    return Instance(id="o__n-1", repo="o/n", base_commit=commit, problem="p", image=image)


def image(name: str, files: dict[str, Path]) -> str:
    """Import an image that holds ``files`` (path inside -> file here) and empty work folders."""
    tar_bytes = io.BytesIO()
    with tarfile.open(fileobj=tar_bytes, mode="w") as tar:
        for folder in ("bin", "tmp", "testbed", "proc", "dev", "etc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o777
            tar.addfile(entry)
        for target, source in files.items():
            data = source.read_bytes()
            entry = tarfile.TarInfo(target)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    tag = f"swe-router-test/{name}:1"
    subprocess.run(
        ["docker", "import", "-", tag], input=tar_bytes.getvalue(), check=True, capture_output=True
    )
    return tag


def busybox() -> str:
    """An image with a static busybox as its shell and nothing else."""
    found = shutil.which("busybox")
    assert found, "install busybox-static: the live tests build their image from it"
    return image("busybox", {"bin/sh": Path(found)})


def bare_shell() -> str:
    """An image with dash, its libraries and no other program at all."""
    shell = Path(shutil.which("dash") or "/bin/sh").resolve()
    said = subprocess.run(["ldd", str(shell)], check=True, capture_output=True, text=True).stdout
    needed = [word for word in said.split() if word.startswith("/")]
    files = {path.lstrip("/"): Path(path) for path in needed}
    return image("bare-shell", {"bin/sh": shell, **files})
