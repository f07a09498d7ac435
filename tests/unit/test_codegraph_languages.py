"""Each language of the grammar table: what is defined, imported, inherited and called."""

# ruff: noqa: E501 (a source reads better whole)

from __future__ import annotations

from collections.abc import Mapping

import pytest

from swe_router.codegraph.file_facts import extract_facts
from swe_router.codegraph.grammar import GRAMMARS, Grammar, grammar_of, language_tools
from swe_router.codegraph.graph import CodeGraph

Edges = set[tuple[str, str, str]]

JAVASCRIPT = {
    "src/cart.js": "import { Base } from './base';\nimport * as money from './lib/money.js';\n"
    "export class Cart extends Base {\n  total() { return this.add(money.convert(1)); }\n"
    "  add(n) { return helper(n) + this.price(); }\n}\nconst helper = (n) => n;\n",
    "src/base.js": "export class Base { price() { return 1; } }\n",
    "src/lib/money.js": "export function convert(n) { return Math.round(n); }\n",
    "src/old.js": "const { convert } = require('./lib/money');\nfunction go() { convert(1); }\n",
}
TYPESCRIPT = {
    "src/index.ts": "export * from './shop';\n",
    "src/shop.ts": "import type { Priced } from './priced';\n"
    "export class Shop<T> implements Priced { price(): number { return 1; } }\n",
    "src/priced.ts": "export interface Priced { price(): number }\n",
    "src/view.tsx": "import { Shop } from '.';\nexport function View() { return new Shop<number>(); }\n",
}
GO = {
    "main.go": 'package main\nimport "example.com/x/store"\nfunc main() { store.Open() }\n',
    "store/open.go": "package store\nfunc Open() *DB { return fresh() }\n",
    "store/db.go": "package store\ntype Base struct{}\ntype DB struct { Base }\n"
    "func (d *DB) Close() {}\nfunc fresh() *DB { return nil }\n",
}
RUST = {
    "src/main.rs": "mod store;\nuse crate::store::{open, Db as Base};\n"
    "fn main() { open(); Base::fresh(); crate::store::open(); }\n",
    "src/store.rs": "pub trait Shut { fn shut(&self); }\npub struct Db;\n"
    "impl Db { pub fn fresh() -> Db { Self::make() } fn make() -> Db { Db } }\n"
    "impl Shut for Db { fn shut(&self) { self.log(); } }\nimpl Db { fn log(&self) {} }\n"
    "pub fn open() {}\n",
}
JAVA = {
    "src/a/shop/Cart.java": "package a.shop;\nimport a.money.Rate;\n"
    "class Cart extends Base implements Priced {\n"
    "  int total() { Rate r = new Rate(); return add(Rate.of(1)); }\n"
    "  int add(int n) { return price(); }\n}\n",
    "src/a/shop/Base.java": "package a.shop;\nclass Base { int price() { return 1; } }\n",
    "src/a/shop/Priced.java": "package a.shop;\ninterface Priced { int price(); }\n",
    "src/a/money/Rate.java": "package a.money;\npublic class Rate { static int of(int n) { return n; } }\n",
}
C = {
    "src/main.c": '#include "list.h"\n#include <stdio.h>\nint main(void) { list_add(1); puts(""); }\n',
    "src/list.c": '#include "list.h"\nstatic int grow(void) { return 1; }\nint list_add(int n) { return grow(); }\n',
    "src/list.h": "struct list { int n; };\nint list_add(int n);\n",
}
CPP = {
    "a/cart.hpp": '#include "base.hpp"\nclass Cart : public Base {\n public:\n  int total();\n  int add(int n) { return n; }\n};\n',
    "a/base.hpp": "class Base { public: int price() { return 1; } };\n",
    "a/cart.cpp": '#include "cart.hpp"\nint Cart::total() { return this->go(); }\nint Cart::go() { return 1; }\n',
}
RUBY = {
    "lib/shop/cart.rb": "require_relative 'base'\nmodule Shop\n  class Cart < Base\n    include Priced\n"
    "    def total\n      add(Money.convert(1))\n    end\n    def add(n)\n      price(n)\n    end\n  end\nend\n",
    "lib/shop/base.rb": "class Base\n  def price(n)\n    n\n  end\nend\nmodule Priced\nend\n",
    "lib/money.rb": "class Money\n  def self.convert(n)\n    Money.new(n)\n  end\nend\n",
}
PHP = {
    "src/Shop/Cart.php": "<?php\nnamespace App\\Shop;\nuse App\\Money\\Rate;\n"
    "class Cart extends Base {\n  function total() { return $this->add(Rate::of(1)); }\n"
    "  function add($n) { return parent::price() + count(new Rate()); }\n}\n",
    "src/Shop/Base.php": "<?php\nnamespace App\\Shop;\nclass Base { function price() { return 1; } }\n",
    "src/Money/Rate.php": "<?php\nnamespace App\\Money;\nclass Rate { static function of($n) { return $n; } }\n",
}

CASES: list[tuple[str, Mapping[str, str], Edges]] = [
    ("javascript", JAVASCRIPT, {
        ("inherit", "src/cart.js::Cart", "src/base.js::Base"),
        ("call", "src/cart.js::Cart.total", "src/cart.js::Cart.add"),
        ("call", "src/cart.js::Cart.total", "src/lib/money.js::convert"),
        ("call", "src/cart.js::Cart.add", "src/cart.js::helper"),
        ("call", "src/cart.js::Cart.add", "src/base.js::Base.price"),
        ("call", "src/old.js::go", "src/lib/money.js::convert"),
        ("import", "module:src/cart.js", "src/base.js::Base"),
        ("import", "module:src/cart.js", "module:src/lib/money.js"),
    }),
    ("typescript", TYPESCRIPT, {
        ("inherit", "src/shop.ts::Shop", "src/priced.ts::Priced"),
        ("call", "src/view.tsx::View", "src/shop.ts::Shop"),
        ("import", "module:src/index.ts", "module:src/shop.ts"),
    }),
    ("go", GO, {
        ("import", "module:main.go", "module:store/open.go"),
        ("call", "main.go::main", "store/open.go::Open"),
        ("call", "store/open.go::Open", "store/db.go::fresh"),
        ("inherit", "store/db.go::DB", "store/db.go::Base"),
        ("define", "store/db.go::DB", "store/db.go::DB.Close"),
    }),
    ("rust", RUST, {
        ("import", "module:src/main.rs", "src/store.rs::Db"),
        ("call", "src/main.rs::main", "src/store.rs::open"),
        ("call", "src/main.rs::main", "src/store.rs::Db.fresh"),
        ("call", "src/store.rs::Db.fresh", "src/store.rs::Db.make"),
        ("call", "src/store.rs::Db.shut", "src/store.rs::Db.log"),
        ("inherit", "src/store.rs::Db", "src/store.rs::Shut"),
    }),
    ("java", JAVA, {
        ("import", "module:src/a/shop/Cart.java", "src/a/money/Rate.java::Rate"),
        ("inherit", "src/a/shop/Cart.java::Cart", "src/a/shop/Base.java::Base"),
        ("inherit", "src/a/shop/Cart.java::Cart", "src/a/shop/Priced.java::Priced"),
        ("call", "src/a/shop/Cart.java::Cart.total", "src/a/shop/Cart.java::Cart.add"),
        ("call", "src/a/shop/Cart.java::Cart.total", "src/a/money/Rate.java::Rate"),
        ("call", "src/a/shop/Cart.java::Cart.total", "src/a/money/Rate.java::Rate.of"),
        ("call", "src/a/shop/Cart.java::Cart.add", "src/a/shop/Base.java::Base.price"),
    }),
    ("c", C, {
        ("import", "module:src/main.c", "module:src/list.h"),
        ("call", "src/main.c::main", "src/list.c::list_add"),
        ("call", "src/list.c::list_add", "src/list.c::grow"),
    }),
    ("cpp", CPP, {
        ("import", "module:a/cart.cpp", "module:a/cart.hpp"),
        ("inherit", "a/cart.hpp::Cart", "a/base.hpp::Base"),
        ("call", "a/cart.cpp::Cart.total", "a/cart.cpp::Cart.go"),
    }),
    ("ruby", RUBY, {
        ("import", "module:lib/shop/cart.rb", "module:lib/shop/base.rb"),
        ("inherit", "lib/shop/cart.rb::Shop.Cart", "lib/shop/base.rb::Base"),
        ("inherit", "lib/shop/cart.rb::Shop.Cart", "lib/shop/base.rb::Priced"),
        ("call", "lib/shop/cart.rb::Shop.Cart.total", "lib/shop/cart.rb::Shop.Cart.add"),
        ("call", "lib/shop/cart.rb::Shop.Cart.total", "lib/money.rb::Money.convert"),
        ("call", "lib/shop/cart.rb::Shop.Cart.add", "lib/shop/base.rb::Base.price"),
        ("call", "lib/money.rb::Money.convert", "lib/money.rb::Money"),
    }),
    ("php", PHP, {
        ("import", "module:src/Shop/Cart.php", "src/Money/Rate.php::Rate"),
        ("inherit", "src/Shop/Cart.php::Cart", "src/Shop/Base.php::Base"),
        ("call", "src/Shop/Cart.php::Cart.total", "src/Shop/Cart.php::Cart.add"),
        ("call", "src/Shop/Cart.php::Cart.total", "src/Money/Rate.php::Rate.of"),
        ("call", "src/Shop/Cart.php::Cart.add", "src/Shop/Base.php::Base.price"),
        ("call", "src/Shop/Cart.php::Cart.add", "src/Money/Rate.php::Rate"),
    }),
]  # fmt: skip


def graph_of(files: Mapping[str, str]) -> CodeGraph:
    """A graph straight from sources."""
    facts = {}
    for path, text in files.items():
        grammar = grammar_of(path)
        assert grammar is not None
        facts[path] = extract_facts(text.encode(), grammar)
        assert facts[path].problem == ""
    return CodeGraph(facts, {}, "0" * 40)


@pytest.mark.parametrize(("name", "files", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_symbols_of_a_language_are_linked(
    name: str, files: Mapping[str, str], wanted: Edges
) -> None:
    found = {(kind, a, b) for a, b, kind in graph_of(files).nx.edges(data="kind")}
    assert wanted <= found
    # What the snippets do not settle is not guessed.
    settled = {edge for edge in found if edge[0] in ("call", "inherit")}
    assert settled == {edge for edge in wanted if edge[0] in ("call", "inherit")}


@pytest.mark.parametrize("grammar", GRAMMARS, ids=[one.name for one in GRAMMARS])
@pytest.mark.parametrize(
    "source",
    [b"", b"\xef\xbb\xbf\n", b"}{)(<?php ]]", "é := ünï(ö)\n".encode(), b"((((" * 400, b"x" * 9000],
)
def test_foreign_or_broken_syntax_ends_in_facts(grammar: Grammar, source: bytes) -> None:
    facts = extract_facts(source, grammar)
    assert facts.problem in ("", "syntax", "generated")


def test_a_missing_wheel_is_counted_not_raised() -> None:
    absent = Grammar("absent", (".none",), "tree_sitter_of_nobody")
    assert language_tools(absent) is None
    assert extract_facts(b"x", absent).problem == "no grammar"


def test_minified_code_is_counted_as_generated() -> None:
    grammar = grammar_of("jquery.min.js")
    assert grammar is not None
    assert extract_facts(b"function a(b){return b}" * 800, grammar).problem == "generated"


def test_circular_inheritance_and_exports_end() -> None:
    files = {
        "a.js": "export * from './b';\nimport {X} from './b';\nclass Y extends X { f() { this.g(); } }\n",
        "b.js": "export * from './a';\nimport {Y} from './a';\nexport class X extends Y {}\nz();\n",
        "A.java": "class A extends B { class C extends D { void f() { g(); } } }\n",
        "B.java": "class B extends A {}\n",
    }
    assert len(graph_of(files).files) == 4


@pytest.mark.parametrize(
    "path",
    [
        "a/b_test.go",
        "lib/a_spec.rb",
        "src/AppTest.java",
        "a/src/test/java/Kit.java",
        "x/a.test.tsx",
    ],
)
def test_tests_of_every_language_are_told_by_their_path(path: str) -> None:
    assert CodeGraph.is_test(path)
    assert not CodeGraph.is_test(path.replace("est", "ool").replace("_spec", ""))
