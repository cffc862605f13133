//! A backup that lies is caught: exit 1, the failing check named, the copy removed.

use super::support::{
    AURORA_MYSQL, AURORA_POSTGRES, DOCUMENTDB, Engine, HEAD, MYSQL, POSTGRES, TestSandbox, checks, outcome,
    require_engines,
};
use serde_json::json;

/// Tests once in good health, damages the backups, and tests again.
fn caught(estate: &str, target: &str, damage: &str, expected: &[&str]) {
    let rig = TestSandbox::start(&[HEAD, estate].concat());
    let before = rig.state();
    rig.test(&[target]).0.assert_code(0);
    rig.control("POST", "damage", &json!({ "target": target, "kind": damage }));
    let (ran, document) = rig.test(&[target]);
    ran.assert_code(1);
    assert_eq!(outcome(&document), "failed");
    let failed = checks(&document, "failed");
    for name in expected {
        assert!(failed.contains(name), "`{name}` did not fail, but {failed:?} in {:#}", document["tests"][0]["checks"]);
        assert!(document["tests"][0]["reason"].as_str().unwrap().contains(name));
    }
    assert_eq!(document["tests"][0]["cleanup"], "complete");
    assert_eq!(rig.state(), before);
}

#[test]
fn rows_missing_from_postgresql() {
    if require_engines(&[Engine::Postgres]) {
        caught(POSTGRES, "shop-pg", "rows", &["rows", "content", "orders are fresh"]);
    }
}

#[test]
fn a_damaged_page_of_postgresql() {
    if require_engines(&[Engine::Postgres]) {
        caught(POSTGRES, "shop-pg", "page", &["rows"]);
    }
}

#[test]
fn an_index_of_postgresql_that_lacks_entries() {
    if require_engines(&[Engine::Postgres]) {
        caught(AURORA_POSTGRES, "shop-apg", "index", &["structure"]);
    }
}

#[test]
fn a_damaged_page_is_caught_on_the_first_run_too() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "0", "--corrupt", "shop-pg=page"]);
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(1);
    assert!(checks(&document, "failed").contains(&"rows"));
    let rows = document["tests"][0]["checks"].as_array().unwrap().iter().find(|check| check["name"] == "rows").unwrap();
    assert!(rows["actual"].as_str().unwrap().contains("invalid page"), "{rows}");
}

#[test]
fn rows_missing_from_mysql() {
    if require_engines(&[Engine::Mariadb]) {
        caught(AURORA_MYSQL, "shop-amy", "rows", &["rows", "content", "old orders never change"]);
    }
}

#[test]
fn damaged_pages_of_mysql() {
    if require_engines(&[Engine::Mariadb]) {
        caught(MYSQL, "shop-my", "page", &["rows"]);
    }
}

#[test]
fn documents_missing_from_documentdb() {
    if require_engines(&[Engine::Secantus]) {
        caught(DOCUMENTDB, "shop-docs", "rows", &["rows", "content", "old orders never change"]);
    }
}

#[test]
fn an_index_missing_from_documentdb() {
    if require_engines(&[Engine::Secantus]) {
        caught(DOCUMENTDB, "shop-docs", "index", &["catalog"]);
    }
}
