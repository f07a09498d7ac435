"""Any start tree and any end tree give a patch that proves itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from swe_router.sandboxes.patch_application import apply_patch
from swe_router.sandboxes.patch_capture import StartSnapshot
from tests.doubles.plain_sandbox import PlainSandbox
from tests.doubles.repository import content

NAMES = st.sampled_from(
    [b"a", b"b.py", b"c d", b"-x", b"\xff\xfe", "é".encode(), b"n\nl", b'"q"', b".gitattributes"]
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.text(alphabet="ab\n\r\t é\0", max_size=60).map(str.encode),
    st.sampled_from(
        [b"", b"\n", b"x", b"* text eol=crlf\n*.py ident -diff\n", b"x\n" * 5000 + b"\0"]
    ),
)
LEAVES = st.one_of(
    st.tuples(st.just("file"), BODIES, st.booleans()),
    st.tuples(st.just("link"), st.sampled_from([b"nowhere", b"/etc/passwd", b".."]), st.none()),
)
PATHS = st.lists(NAMES, min_size=1, max_size=2).map(b"/".join)
TREES = st.dictionaries(PATHS, LEAVES, max_size=6)


def build(root: Path, tree: dict[bytes, tuple[str, bytes, bool | None]]) -> None:
    """Make the tree; a path that runs through a file or a folder in its way is left out."""
    for entry in root.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for name, (kind, body, executable) in sorted(tree.items()):
        path = root / os.fsdecode(name)
        if path.parent.is_symlink() or path.parent.is_file() or path.exists() or path.is_symlink():
            continue
        path.parent.mkdir(exist_ok=True)
        if kind == "link":
            path.symlink_to(os.fsdecode(body))
        else:
            path.write_bytes(body)
            path.chmod(0o755 if executable else 0o644)


@settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(TREES, TREES)
def test_start_to_end_is_proved_and_applies(
    start: dict[bytes, tuple[str, bytes, bool | None]],
    end: dict[bytes, tuple[str, bytes, bool | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        sandbox = PlainSandbox(Path(folder))
        build(sandbox.tree, start)
        sandbox.must(
            "git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm x --allow-empty"  # noqa: E501
        )
        snapshot = StartSnapshot.take(sandbox)
        build(sandbox.tree, end)
        candidate = snapshot.candidate(sandbox, "t")
        assert candidate.proven
        wanted = content(sandbox.tree)
        modes = {left for left in candidate.left_out if left.endswith("(mode only)")}
        assert len(modes) == len(candidate.left_out)
        build(sandbox.tree, start)
        if candidate.patch:
            done = apply_patch(sandbox, candidate.patch)
            assert done.exit_code == 0, done.output
        if not modes:
            assert content(sandbox.tree) == wanted
