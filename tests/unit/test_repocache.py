"""The repository cache: where a repository comes from, and that no crash leaves half of one."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import git
import pytest

from swe_router.codegraph.git_objects import GitObjects, RepoError
from swe_router.codegraph.repo_cache import RepoCache, RepoSources
from swe_router.errors import UsageError
from swe_router.records import Instance
from swe_router.wiring.repositories import check_git
from tests.unit.test_codegraph import commit


def instance(sha: str, repo: str = "owner/name") -> Instance:
    return Instance(id="one", repo=repo, base_commit=sha, problem="")


@pytest.fixture
def origin(tmp_path: Path) -> tuple[Path, str]:
    return commit(tmp_path / "origin", {"a.py": "x = 1\n"})


def cache(tmp_path: Path, url: Path | str, **more: object) -> RepoCache:
    return RepoCache(tmp_path / "cache", RepoSources(url=str(url), **more))  # type: ignore[arg-type]


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize(
    "name", ["owner__name.git", "owner__name", "owner/name", "name.git", "name"]
)
def test_the_users_folder_is_used_in_place_and_never_written(
    tmp_path: Path, origin: tuple[Path, str], name: str
) -> None:
    theirs = tmp_path / "theirs" / name
    git.Repo.clone_from(str(origin[0]), theirs, bare=name.endswith(".git")).close()
    before = snapshot(theirs)
    found = cache(tmp_path, "", repos=tmp_path / "theirs").path(instance(origin[1]))
    assert found == theirs
    assert snapshot(theirs) == before
    assert not (tmp_path / "cache").exists()


def test_a_clone_is_bare_and_made_once(tmp_path: Path, origin: tuple[Path, str]) -> None:
    store = cache(tmp_path, origin[0])
    found = store.path(instance(origin[1]))
    assert found == tmp_path / "cache" / "owner__name.git"
    assert git.Repo(found).bare
    shutil.rmtree(origin[0])
    assert store.path(instance(origin[1])) == found


def test_a_commit_that_came_later_is_fetched(tmp_path: Path, origin: tuple[Path, str]) -> None:
    store = cache(tmp_path, origin[0])
    found = store.path(instance(origin[1]))
    (found / "packed-refs.lock").touch()  # of a git that was killed
    _, later = commit(origin[0], {"b.py": "y = 2\n"})
    assert GitObjects(store.path(instance(later))).has(later)


def test_no_network_names_the_url_and_the_way_out(tmp_path: Path) -> None:
    gone = tmp_path / "gone.git"
    store = cache(tmp_path, gone)
    with pytest.raises(RepoError, match="--repos DIR") as caught:
        store.path(instance("a" * 40))
    assert str(gone) in str(caught.value)
    assert "owner__name.git" in str(caught.value)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [".locks"]


def test_a_commit_that_nobody_has_is_an_error(tmp_path: Path, origin: tuple[Path, str]) -> None:
    with pytest.raises(RepoError, match="no repository of owner/name with commit bbbbbbbbbbbb"):
        cache(tmp_path, origin[0]).path(instance("b" * 40))


def test_a_stream_is_built_to_the_same_commits(tmp_path: Path, origin: tuple[Path, str]) -> None:
    streams = tmp_path / "streams"
    streams.mkdir()
    with (streams / "toy.fi").open("wb") as out:
        subprocess.run(["git", "fast-export", "--all"], cwd=origin[0], stdout=out, check=True)
    store = cache(tmp_path, "", streams=streams)
    assert GitObjects(store.path(instance(origin[1], "demo/toy"))).has(origin[1])
    with pytest.raises(RepoError, match=r"toy\.fi does not hold commit"):
        store.path(instance("c" * 40, "demo/toy"))


@pytest.mark.parametrize("detached", [True, False])
def test_an_images_repository_is_copied(
    tmp_path: Path, origin: tuple[Path, str], detached: bool
) -> None:
    commit(origin[0], {"setup.cfg": "image set-up\n"})
    if detached:
        git.Repo(origin[0]).git.checkout("--detach")
    store = cache(tmp_path, "", copy_out=lambda one, place: origin[0])
    found = store.path(instance(origin[1]))
    shutil.rmtree(origin[0])
    assert GitObjects(found).complete(origin[1])


def test_what_a_killed_builder_left_is_removed_and_a_neighbours_work_is_not(
    tmp_path: Path, origin: tuple[Path, str]
) -> None:
    store = cache(tmp_path, origin[0])
    flat = instance(origin[1]).repo.replace("/", "__")
    left, other = (store.folder / f".new-{name}-abcd_123" for name in (flat, f"{flat}-b"))
    for folder in (left, other):
        (folder / "repo").mkdir(parents=True)
    store.path(instance(origin[1]))
    assert not left.exists()
    assert other.exists()


def test_an_image_without_the_commit_falls_back(tmp_path: Path, origin: tuple[Path, str]) -> None:
    other, _ = commit(tmp_path / "other", {"z.py": "z = 1\n"})
    store = cache(tmp_path, origin[0], copy_out=lambda one, place: other)
    assert GitObjects(store.path(instance(origin[1]))).has(origin[1])


@pytest.mark.parametrize("damage", ["mark", "HEAD", "pack", "index", "ref"])
def test_a_damaged_entry_is_built_again(
    tmp_path: Path, origin: tuple[Path, str], damage: str
) -> None:
    told: list[str] = []
    store = cache(tmp_path, origin[0], progress=told.append)
    found = store.path(instance(origin[1]))
    git.Repo(found).git.repack("-ad")
    if damage == "mark":
        (found / "swe-router-whole").unlink()
    elif damage == "HEAD":
        (found / "HEAD").unlink()
    elif damage == "ref":
        (found / "packed-refs").write_text("rubbish\n")
    else:
        [file] = (found / "objects/pack").glob("*.pack" if damage == "pack" else "*.idx")
        file.chmod(0o644)
        file.write_bytes(file.read_bytes()[:40])
    assert GitObjects(store.path(instance(origin[1]))).complete(origin[1])
    assert any("damaged" in line for line in told)


@pytest.mark.parametrize("repo", ["name", "../x", "a/b/c", "o/..", "-o/n;x"])
def test_a_name_that_is_no_repository_is_refused(tmp_path: Path, repo: str) -> None:
    with pytest.raises(RepoError, match="is not owner/name"):
        cache(tmp_path, "").path(instance("a" * 40, repo))


@pytest.mark.parametrize("sha", ["HEAD", "--all", "main"])
def test_a_base_commit_is_an_id(tmp_path: Path, sha: str) -> None:
    with pytest.raises(RepoError, match="is not a commit id"):
        cache(tmp_path, "").path(instance(sha))


def test_an_instance_without_a_base_commit_has_no_repository_to_read(tmp_path: Path) -> None:
    with pytest.raises(RepoError, match="its data set names no base commit"):
        cache(tmp_path, "").path(instance(""))


def _worker(folder: Path, url: str, sha: str, notes: Path) -> None:
    told: list[str] = []
    RepoCache(folder, RepoSources(url=url, progress=told.append)).path(instance(sha))
    (notes / f"{os.getpid()}").write_text("\n".join(told))


def test_one_worker_clones_and_the_others_find_it(tmp_path: Path, origin: tuple[Path, str]) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    fork = multiprocessing.get_context("fork")
    args = (tmp_path / "cache", str(origin[0]), origin[1], notes)
    workers = [fork.Process(target=_worker, args=args) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    told = [path.read_text() for path in notes.iterdir()]
    assert sum("cloning" in text for text in told) == 1


def test_a_kill_in_the_middle_leaves_nothing_half_built(
    tmp_path: Path, origin: tuple[Path, str]
) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\n"
        "from swe_router.codegraph.repo_cache import RepoCache, RepoSources\n"
        "from swe_router.records import Instance\n"
        "def stuck(one):\n    print('in', flush=True)\n    time.sleep(60)\n"
        "class Slow(RepoCache):\n"
        "    def _from_network(self, entry, one):\n"
        "        with self._new(entry) as fresh:\n"
        "            fresh.mkdir()\n            (fresh / 'HEAD').write_text('half')\n"
        "            stuck(one)\n"
        "one = Instance(id='one', repo='owner/name', base_commit=sys.argv[2], problem='')\n"
        "Slow(Path(sys.argv[1]), RepoSources(url='x')).path(one)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "cache"), origin[1]]
    root = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": root}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == b"in\n"
        victim.send_signal(signal.SIGKILL)
        victim.wait()
    assert list((tmp_path / "cache").glob(".new-*"))
    start = time.monotonic()
    found = cache(tmp_path, origin[0]).path(instance(origin[1]))
    assert time.monotonic() - start < 60, "it waited for the lock of the dead"
    assert GitObjects(found).has(origin[1])
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == [
        ".locks",
        "owner__name.git",
    ]


def test_a_machine_without_git_is_told_so_in_one_line(tmp_path):
    with pytest.raises(UsageError, match="install git"):
        check_git(str(tmp_path))
    code = "import swe_router.codegraph.repo_cache"
    root = str(Path(__file__).resolve().parents[2])
    env = {"PATH": str(tmp_path), "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=False, capture_output=True, text=True
    )
    assert done.stderr == ""
