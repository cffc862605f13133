//! The main job: every kind of database passes, and the sandbox holds afterwards what it began with.

use super::support::{
    AURORA_MYSQL, AURORA_POSTGRES, DOCUMENTDB, Engine, HEAD, MYSQL, POSTGRES, TestSandbox, require_engines,
};

const ALL: [Engine; 3] = [Engine::Postgres, Engine::Mariadb, Engine::Secantus];

#[test]
fn all_five_kinds_pass_and_leave_nothing_behind() {
    if !require_engines(&ALL) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES, MYSQL, AURORA_POSTGRES, AURORA_MYSQL, DOCUMENTDB].concat());
    let before = rig.state();
    let (ran, document) = rig.test(&["--all"]);
    ran.assert_code(0);
    assert_eq!(document["schema"], "drctl.restore-test/1");
    assert_eq!(document["simulated"], true);
    let tests = document["tests"].as_array().unwrap();
    let kinds: Vec<_> = tests.iter().map(|test| test["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rds-postgresql", "rds-mysql", "aurora-postgresql", "aurora-mysql", "documentdb"]);
    for test in tests {
        assert_eq!(test["outcome"], "passed", "{test:#}");
        assert_eq!(test["cleanup"], "complete");
        assert_eq!(test["rto"]["met"], true);
        assert_eq!(test["rpo"]["met"], true);
        let kinds: Vec<_> = test["checks"].as_array().unwrap().iter().map(|c| c["kind"].as_str().unwrap()).collect();
        for kind in ["connect", "catalog", "rows", "structure", "content"] {
            assert!(kinds.contains(&kind), "no {kind} check in {test:#}");
        }
        for resource in test["resources"].as_array().unwrap() {
            assert_eq!(resource["state"], "deleted");
            assert!(resource["id"].as_str().unwrap().starts_with("drctl-"));
        }
        let lacks: Vec<_> =
            test["differences"].as_array().unwrap().iter().map(|d| d["setting"].as_str().unwrap()).collect();
        assert!(lacks.contains(&"Multi-AZ") && lacks.contains(&"log exports"), "{lacks:?}");
    }
    assert_eq!(rig.state(), before);
    // The same points once more: everything is as the last passed run found it.
    let (ran, document) = rig.test(&["--all", "--parallel", "2"]);
    ran.assert_code(0);
    for test in document["tests"].as_array().unwrap() {
        let content = test["checks"].as_array().unwrap().iter().find(|check| check["name"] == "content").unwrap();
        assert_eq!(content["expected"], "the same content as when this point was last restored", "{content}");
    }
    assert_eq!(rig.state(), before);
}

#[test]
fn the_documents_fields_are_those_that_programs_rely_on() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(0);
    let test = &document["tests"][0];
    for path in [
        "/run_id",
        "/target",
        "/kind",
        "/outcome",
        "/reason",
        "/started_at",
        "/point/type",
        "/point/id",
        "/point/taken_at",
        "/point/age_seconds",
        "/point/max_age_seconds",
        "/point/outcome",
        "/rto/objective_seconds",
        "/rto/measured_seconds",
        "/rto/met",
        "/rto/aws_seconds",
        "/rto/verify_seconds",
        "/rto/drctl_seconds",
        "/rpo/objective_seconds",
        "/rpo/measured_seconds",
        "/rpo/met",
        "/rpo/basis",
        "/phases/0/name",
        "/phases/0/started_at",
        "/phases/0/seconds",
        "/phases/0/outcome",
        "/checks/0/name",
        "/checks/0/kind",
        "/checks/0/outcome",
        "/checks/0/expected",
        "/checks/0/actual",
        "/checks/0/seconds",
        "/resources/0/type",
        "/resources/0/id",
        "/resources/0/region",
        "/resources/0/state",
        "/cleanup",
    ] {
        assert!(test.pointer(path).is_some_and(|value| !value.is_null()), "{path} is missing in {test:#}");
    }
}

#[test]
fn a_faster_clock_measures_aws_time_and_not_this_machines() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "600"]);
    let (ran, document) = rig.test(&["shop-pg"]);
    ran.assert_code(0);
    let aws = document["tests"][0]["rto"]["aws_seconds"].as_f64().unwrap();
    assert!((400.0..900.0).contains(&aws), "AWS took {aws} s where 400 s were simulated");
}
