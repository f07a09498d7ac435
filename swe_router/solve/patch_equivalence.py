"""Which patches of an instance leave the same files behind, checked in sandboxes if it matters.

The text of a diff does not settle it: git looks for the context and not for the line number, so
that two texts with the same edits at the same numbers may land in different places.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from swe_router import patch_files
from swe_router.errors import BoundaryError
from swe_router.patch_identity import effect_digest
from swe_router.records import Candidate, Instance, Result
from swe_router.seams import Sandbox
from swe_router.verifier_cache import CacheKey, VerifierCache

OpenSandbox = Callable[[Instance], AbstractContextManager[Sandbox]]
ApplyPatch = Callable[[Sandbox, str], Result]
MAX_COMPARED_BYTES = 20_000_000
"""Bytes of a file that are compared."""
FILE_KINDS_TIMEOUT_SECONDS = 60.0
"""Seconds for the question what kind of file each path is."""
_FILE_KINDS_SCRIPT = """
for p in {paths}; do
  if [ -L "$p" ]; then echo "link $(readlink "$p")"
  elif [ -f "$p" ]; then if [ -x "$p" ]; then echo executable; else echo file; fi
  elif [ -d "$p" ]; then echo folder
  else echo none; fi
done
"""


@dataclass(frozen=True)
class FirstOfEffect(CacheKey[Candidate]):
    """The first candidate whose patch has this effect."""

    effect: str


@dataclass(frozen=True)
class FilesLeft(CacheKey[str]):
    """SHA-256 of the files that a candidate leaves behind; empty where that is unknown."""

    candidate_digest: str


@dataclass(frozen=True)
class Misfit(CacheKey[bool]):
    """Whether a candidate does not apply."""

    candidate_digest: str


class PatchEquivalence:
    """Distinguishes patches of one effect; results of sandboxes are kept in ``cache``."""

    def __init__(
        self, open_sandbox: OpenSandbox, apply: ApplyPatch, instance: Instance, cache: VerifierCache
    ) -> None:
        self._open, self._apply = open_sandbox, apply
        self._instance, self._cache = instance, cache

    def key_of(self, candidate: Candidate) -> str:
        """What runs on the candidate are known by: one key for patches that leave the same files.

        The first patch with a given effect uses the effect as its key, without a sandbox.
        """
        found = effect_digest(candidate.patch)
        first = self._cache.setdefault(FirstOfEffect(found), candidate)
        if first.digest == candidate.digest:
            return found
        mine = self.files_digest(candidate)
        if not mine:
            return candidate.digest
        return found if mine == self.files_digest(first) else f"{found}:{mine}"

    def files_digest(self, candidate: Candidate) -> str:
        """SHA-256 of the files that the patch leaves behind in a fresh checkout.

        Empty where it does not apply (known as a misfit then), and where that is unknown.
        """
        at = FilesLeft(candidate.digest)
        if at not in self._cache:
            try:
                with self._open(self._instance) as sandbox:
                    done = self._apply(sandbox, candidate.patch)
                    fits = done.exit_code == 0 and not done.timed_out
                    self._cache[Misfit(candidate.digest)] = not fits
                    self._cache[at] = _digest_of_files(sandbox, candidate.patch) if fits else ""
            except BoundaryError:
                return ""  # of this sandbox; the next may hold
        return self._cache[at]


def is_known_misfit(cache: VerifierCache, candidate: Candidate) -> bool:
    """Known not to apply, though another patch of the same effect may."""
    return cache.get(Misfit(candidate.digest), False)


def _digest_of_files(sandbox: Sandbox, patch: str) -> str:
    """Digest of every file that the patch names, as it lies there; empty if unknown."""
    files = patch_files.patch_summaries(patch)
    if files is None:
        return ""
    names = sorted({name for file in files for name in (file.path, file.before) if name})
    words = " ".join(shlex.quote(f"./{name}") for name in names)
    result = sandbox.run(_FILE_KINDS_SCRIPT.format(paths=words), timeout=FILE_KINDS_TIMEOUT_SECONDS)
    if result.exit_code != 0 or result.timed_out:
        return ""
    found = hashlib.sha256(result.output.encode("utf-8", "surrogateescape"))
    for name in names:
        try:
            data = sandbox.read(name, limit=MAX_COMPARED_BYTES)
        except ValueError:
            return ""
        except OSError:
            data = b""  # gone, or no file: its kind says which
        found.update(f"\0{name}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
        found.update(data)
    return found.hexdigest()
