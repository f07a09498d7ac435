"""Which file an import means, form by form, where languages find their modules otherwise."""

from __future__ import annotations

import pytest

from swe_router.codegraph.file_facts import extract_facts
from swe_router.codegraph.grammar import grammar_of
from swe_router.codegraph.import_statements import WHOLE
from swe_router.codegraph.import_targets import ImportTargets

RUST = (
    "crates/shop-core/src/lib.rs",
    "crates/shop-core/src/cart.rs",
    "crates/shop-core/src/money/mod.rs",
    "crates/shop-core/src/money/rate.rs",
    "crates/app/src/main.rs",
    "build.rs",
)


@pytest.mark.parametrize(
    ("family", "paths", "importer", "module", "files"),
    [
        ("javascript", ["a.js"], "b.js", "react", []),
        ("javascript", ["lib/index.ts"], "b.js", "./lib", ["lib/index.ts"]),
        ("go", ["store/db.go"], "main.go", "fmt", []),
        ("rust", RUST, RUST[3], "super.super.cart", [RUST[1]]),
        ("rust", RUST, RUST[3], "super.rate", [RUST[3]]),
        ("rust", RUST, RUST[4], "shop_core.cart", [RUST[1]]),
        ("rust", RUST, RUST[4], "shop_core.nothing", []),
        ("rust", RUST, RUST[1], "money.rate", [RUST[3]]),
        ("rust", RUST, RUST[5], "serde", []),
        ("java", ["a/B.java", "a/C.java"], "src/D.java", "a", ["a/B.java", "a/C.java"]),
        ("c", ["include/x/list.h"], "src/main.c", "x/list.h", ["include/x/list.h"]),
        ("c", ["a/list.h", "b/list.h"], "src/main.c", "list.h", []),
        ("ruby", ["lib/shop/cart.rb"], "app.rb", "shop/cart", ["lib/shop/cart.rb"]),
        ("ruby", ["other/shop/cart.rb"], "app.rb", "shop/cart", []),
        ("ruby", ["lib/base.rb"], "lib/cart.rb", "./gone", []),
        ("php", ["src/old.php"], "src/index.php", "./old.php", ["src/old.php"]),
        ("php", ["a/Rate.php", "b/Rate.php"], "src/index.php", "App.Rate", []),
    ],
)  # fmt: skip
def test_a_module_means_the_file_that_its_language_would_load(
    family, paths, importer, module, files
):
    found = ImportTargets(family, [*paths, importer], [module]).files(importer, module)
    assert found == files


@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [
        ("a.js", "import Cart, { total as sum } from './cart';\n",
         [("./cart", "default", "Cart"), ("./cart", "total", "sum")]),
        ("a.js", "import './setup';\n", [("./setup", "", "")]),
        ("a.js", "const money = require('./money');\n", [("./money", "", "money")]),
        ("a.go", 'package a\nimport . "example.com/x/store"\n',
         [("example.com/x/store", WHOLE, WHOLE)]),
        ("a.go", 'package a\nimport "example.com/x/v2"\n', [("example.com/x/v2", "", "x")]),
        ("a.rs", "use crate::store::{self, open};\n",
         [("crate", "store", "store"), ("crate.store", "open", "open")]),
        ("a.php", "<?php\nrequire '/lib/old.php';\n", [("./lib/old.php", WHOLE, WHOLE)]),
    ],
)  # fmt: skip
def test_an_import_binds_the_names_that_its_language_binds(name, source, rows):
    facts = extract_facts(source.encode(), grammar_of(name))
    assert [(one.module, one.name, one.alias) for one in facts.imports] == rows
