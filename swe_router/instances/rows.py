"""Rows of a split, cut down to the columns that the caller may see before they leave this file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swe_router import assets, suggest
from swe_router.deferred import deferred
from swe_router.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq
else:
    pa = deferred("pyarrow")
    pq = deferred("pyarrow.parquet")

Row = Mapping[str, Any]
Hub = Callable[[str], list[dict[str, Any]]]
"""Hub id -> rows of its test split."""

OFFICIAL: Mapping[str, str] = {
    "lite": "SWE-bench/SWE-bench_Lite",
    "verified": "SWE-bench/SWE-bench_Verified",
    "full": "SWE-bench/SWE-bench",
    "multilingual": "SWE-bench/SWE-bench_Multilingual",
}
"""Split name -> hub id."""

NAMES = ("demo", *OFFICIAL)
SUFFIXES = (".jsonl", ".json", ".parquet")
HARNESS = ("image", "eval_script", "log_parser", "eval_type")
"""Columns that swebench 5.x grades with; only their presence is looked at here."""
OLD = ("repo", "base_commit", "problem_statement", "version")
"""Columns that SWE-bench's rows had before the harness kept its scripts in them."""
OWNERS = frozenset(
    ("astropy", "django", "matplotlib", "mwaskom", "pallets", "psf", "pydata", "pylint-dev",
     "pytest-dev", "scikit-learn", "sphinx-doc", "sympy", "marshmallow-code", "pvlib", "pyvista",
     "sqlfluff", "pydicom")
)  # fmt: skip
"""Owners of SWE-bench's repositories."""
OTHERS: Mapping[str, Sequence[str]] = {
    "SWE-bench Pro": ("selected_test_files_to_run", "before_repo_set_cmd", "dockerhub_tag"),
    "Multi-SWE-bench": ("resolved_issues", "f2p_tests", "fix_patch"),
    "SWE-rebench": ("install_config",),
    "SWE-bench-Live": ("test_cmds", "rebuild_cmds"),
    "SWE-bench Multimodal": ("image_assets",),
    "SWE-Lancer": ("price_limit", "manager_data"),
}
"""Data sets beside SWE-bench -> columns that only they have."""

LOADER = Path(__file__).with_name("hub.py")

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
"""Instance ids name folders and containers, so nothing else will do."""


def read(split: str, columns: Sequence[str], *, hub: Hub | None = None) -> list[dict[str, Any]]:
    """Rows of a named split or of a file, with ``columns`` alone and checked ids.

    Raises ``UsageError``: unknown split, unreadable or malformed file, hub out of reach, a data
    set without the columns of swebench 5.x, a missing, bad or duplicate instance id.
    """
    rows = [*_source(split, hub or from_hub)]
    if not rows:
        raise UsageError(f"split {split!r} has no rows")
    _check_columns(split, rows)
    _check_ids(split, rows)
    return [{name: row[1].get(name) for name in columns} for row in rows]


def _source(split: str, hub: Hub) -> Iterator[tuple[str, Row]]:
    if split == "demo":
        return _from_file(assets.root() / "eval" / "suites" / "demo" / "instances.jsonl")
    if split in OFFICIAL:
        return ((f"row {index}", row) for index, row in enumerate(hub(OFFICIAL[split]), 1))
    path = Path(split).expanduser()
    # os.path: a name that is too long for the file system is no file, and no error either.
    if split and (path.suffix.lower() in SUFFIXES or os.path.exists(path)):  # noqa: PTH110
        return _from_file(path)
    hint = suggest.hint(split.lower(), NAMES)
    raise UsageError(
        f"no split named {split[:80]!r}: there is {', '.join(NAMES)}, or give a path to a"
        f" {', '.join(SUFFIXES)} file{hint}"
    )


def _from_file(path: Path) -> Iterator[tuple[str, Row]]:
    form = path.suffix.lower()
    if form not in SUFFIXES or path.is_dir():
        raise UsageError(f"cannot read instances from {path}: give a {', '.join(SUFFIXES)} file")
    try:
        if form == ".parquet":
            table = pq.read_table(pa.BufferReader(path.read_bytes()))
            yield from _numbered(path, table.to_pylist())
        elif form == ".jsonl":
            yield from _lines(path, path.read_text(encoding="utf-8-sig"))
        else:
            yield from _numbered(path, _parsed(str(path), path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        why = " ".join(str(error.strerror or error).split())
        raise UsageError(f"cannot read instances from {path}: {why}") from None
    except pa.ArrowException as error:
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} is not a parquet file that can be read: {said}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error}") from None


def _parsed(place: str, text: str, line: int = 0) -> Any:
    """JSON of a whole file, or of one of its lines."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{place}:{line or error.lineno}: not valid JSON: {error.msg}") from None
    except (RecursionError, ValueError):  # nested without end, a number of 5000 digits
        at = f":{line}" if line else ""
        raise UsageError(f"{place}{at}: not a JSON text that can be read") from None


def _lines(path: Path, text: str) -> Iterator[tuple[str, Row]]:
    # Not splitlines(): issue texts hold U+2028 and the like, which JSON leaves as they are.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = _parsed(str(path), line, number)
        if not isinstance(row, dict):
            raise UsageError(f"{path}:{number}: a row must be a JSON object")
        yield f"{path}:{number}", row


def _numbered(path: Path, rows: Any) -> Iterator[tuple[str, Row]]:
    if isinstance(rows, dict) and all(isinstance(row, dict) for row in rows.values()):
        rows = [{"instance_id": name, **row} for name, row in rows.items()]
    if not isinstance(rows, list):
        raise UsageError(
            f"{path}: a JSON file of instances must hold a list of objects, or an object of them"
            " by id"
        )
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UsageError(f"{path}: row {number} is not an object")
        yield f"{path}: row {number}", row


def _check_columns(split: str, rows: Sequence[tuple[str, Row]]) -> None:
    for where, row in rows:
        missing = [name for name in HARNESS if name not in row]
        if missing:
            said = _kind_of(split, row)
            raise UsageError(
                f"split {split!r} lacks {', '.join(missing)} ({where}): {said} that has these"
                " columns"
            )


def _kind_of(split: str, row: Row) -> str:
    """What a row without the harness's columns is, and what to do about it."""
    for name, marks in OTHERS.items():
        if any(mark in row for mark in marks):
            return f"it is a row of {name}, whose evaluation is not run here; give a file"
    if all(name in row for name in OLD):
        owner = str(row["repo"]).partition("/")[0]
        if split not in OFFICIAL and owner not in OWNERS:
            return (
                "it has SWE-bench's form from before swebench 5, and"
                f" {str(row['repo'])[:60]!r} is no repository of SWE-bench: how it is evaluated is"
                " not told; give a file"
            )
        return (
            "it is a revision from before swebench 5; take the current revision of the data set,"
            " or give a file"
        )
    names = [str(name)[:30] for name in row]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"its columns ({', '.join(names[:8])}{more}) are not those of SWE-bench; give a file"


def _check_ids(split: str, rows: Sequence[tuple[str, Row]]) -> None:
    seen: dict[str, str] = {}
    for where, row in rows:
        name = row.get("instance_id")
        if not isinstance(name, str) or not name:
            raise UsageError(f"{where}: the row has no instance_id; every row needs one")
        if not ID.fullmatch(name):
            raise UsageError(
                f"{where}: instance_id {name[:80]!r} must consist of letters, digits, '_', '.' and"
                " '-', 200 at most"
            )
        if name in seen:
            raise UsageError(
                f"split {split!r} holds {name!r} twice ({seen[name]} and {where});"
                " remove one of the two"
            )
        seen[name] = where


def from_hub(hub_id: str, *, env: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    """Rows of a data set on the hub (or in the hub's own cache on this machine).

    ``env`` is the child's environment (default: ours); ``HF_ENDPOINT``, ``HF_HOME`` and
    ``HF_HUB_OFFLINE`` are honoured. Raises ``UsageError`` when the hub cannot give it.
    """
    # A folder of its own: the loader takes ./SWE-bench/... for the data set if there is one.
    with tempfile.TemporaryDirectory(prefix="swe-router-hub-") as folder:
        out = Path(folder) / "rows.jsonl"
        command = [sys.executable, "-P", str(LOADER), hub_id, str(out)]
        child = subprocess.run(
            command,
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if child.returncode == 0:
            return [dict(row) for _, row in _lines(out, out.read_text(encoding="utf-8"))]
    said = [line for line in child.stderr.splitlines() if line.strip()] or [
        f"the loader ended with exit {child.returncode}"
    ]
    reason = next((line[5:] for line in said if line.startswith("hub: ")), said[-1])
    at = (os.environ if env is None else env).get("HF_ENDPOINT", "https://huggingface.co")
    raise UsageError(
        f"cannot load {hub_id} from {at}: {reason.replace(folder, '.')}; check the network,"
        " or download the data set and give it as --split FILE.parquet"
    )
