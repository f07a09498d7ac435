"""What the issue of demo__confet-14 says, as tests: `+=` adds to the value from below."""

import confet


def read(tmp_path, *texts):
    paths = []
    for number, text in enumerate(texts):
        paths.append(tmp_path / f"{number}.conf")
        paths[-1].write_text(text)
    return confet.load(*paths)


def test_the_files_of_the_issue(tmp_path):
    doc = read(tmp_path, "[app]\nplugins = auth, log\n", "[app]\nplugins += metrics\n")
    assert doc.get("app.plugins", as_type="list") == ["auth", "log", "metrics"]
    assert doc.raw("app.plugins") == "auth, log, metrics"


def test_a_plain_value_still_replaces(tmp_path):
    doc = read(tmp_path, "[app]\nplugins = auth\n", "[app]\nplugins += log\n", "[app]\nplugins = none\n")
    assert doc.raw("app.plugins") == "none"


def test_nothing_below(tmp_path):
    assert read(tmp_path, "[app]\nplugins += x\n").raw("app.plugins") == "x"


def test_three_layers_and_a_value_that_holds_the_sign(tmp_path):
    doc = read(tmp_path, "[a]\nx = 1\nrule = a += b\n", "[a]\nx += 2\n", "[a]\nx += 3\n")
    assert doc.raw("a.x") == "1, 2, 3"
    assert doc.raw("a.rule") == "a += b"
