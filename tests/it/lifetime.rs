//! The life of what drctl makes: removed where it was made, left alone where people use it, kept where they say so.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::support::{AURORA_POSTGRES, CommandOutput, Engine, HEAD, POSTGRES, TestSandbox, require_engines};

const REGION: &str = "eu-west-1";

/// Another client's call, such as a person's in the console.
fn somebody_calls(rig: &TestSandbox, body: &str) -> String {
    let address = rig.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let now = jiff::Timestamp::now();
    let (time, day) = (now.strftime("%Y%m%dT%H%M%SZ").to_string(), now.strftime("%Y%m%d").to_string());
    let authorization = signature(address, &time, &day, body);
    write!(
        stream,
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-amz-date: {time}\r\nauthorization: {authorization}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{body}: {answer}");
    answer
}

/// AWS's Signature Version 4.
fn signature(host: &str, time: &str, day: &str, body: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let hash = |text: &str| hex(&Sha256::digest(text.as_bytes()));
    let sign = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let request = format!("POST\n/\n\nhost:{host}\nx-amz-date:{time}\n\nhost;x-amz-date\n{}", hash(body));
    let scope = format!("{day}/{REGION}/rds/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(&request));
    let key = [day, REGION, "rds", "aws4_request"].iter().fold(b"AWS4sandbox".to_vec(), |key, part| sign(&key, part));
    let signature = hex(&sign(&key, &to_sign));
    format!("AWS4-HMAC-SHA256 Credential=sandbox/{scope}, SignedHeaders=host;x-amz-date, Signature={signature}")
}

/// The identifiers of everything that drctl has made and that is there.
fn made(rig: &TestSandbox) -> Vec<String> {
    let state = rig.control("GET", "state", &Value::Null);
    let ids = state.as_array().unwrap().iter().filter_map(|one| one["id"].as_str());
    ids.filter(|id| id.starts_with("drctl-")).map(str::to_owned).collect()
}

fn set_region(rig: &TestSandbox, region: &str) {
    let text = std::fs::read_to_string(&rig.config).unwrap();
    let line = text.lines().find(|line| line.starts_with("region")).unwrap().to_owned();
    std::fs::write(&rig.config, text.replace(&line, &format!("region = \"{region}\""))).unwrap();
}

/// Starts a test and waits until it says `word` on standard error; the rest is read and dropped.
fn started(rig: &TestSandbox, arguments: &[&str], word: &str) -> Child {
    let mut child = rig.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(word) {
        line.clear();
        assert!(talk.read_line(&mut line).unwrap() > 0, "the test ended before it said `{word}`");
    }
    std::thread::spawn(move || std::io::copy(&mut talk, &mut std::io::sink()));
    child
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn killed_while_creating(rig: &TestSandbox) {
    let mut child = started(rig, &["restore-test", "shop-apg"], "is creating");
    signal(&child, "-KILL");
    child.wait().unwrap();
}

#[test]
fn a_changed_region_leaks_no_copy() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let before = rig.state();
    killed_while_creating(&rig);
    set_region(&rig, "eu-central-1");
    rig.run(&["reap"]).assert_code(0).assert_contains("removed drctl-shop-apg-");
    assert_eq!(rig.state(), before, "it was told to be removed, and is still there");
}

#[test]
fn a_kept_copy_in_another_region_expires_there() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let (ran, _) = rig.test(&["shop-pg", "--keep-for", "3h"]);
    ran.assert_code(0);
    set_region(&rig, "eu-central-1");
    rig.control("POST", "advance", &json!({ "seconds": 4 * 3600 }));
    rig.run(&["reap"]).assert_code(0).assert_contains("removed drctl-shop-pg-");
    assert!(made(&rig).is_empty());
}

#[test]
fn a_run_is_carried_on_in_the_region_where_it_began() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let before = rig.state();
    killed_while_creating(&rig);
    set_region(&rig, "eu-central-1");
    let id = rig.runs()[0]["run_id"].as_str().unwrap().to_owned();
    rig.run(&["runs", "resume", &id]).assert_code(0);
    assert_eq!(rig.state(), before);
}

#[test]
fn a_copy_in_use_is_left_alone() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let changes = [
        ("DeletionProtection=true", "its deletion protection is on"),
        ("BackupRetentionPeriod=7", "its backups are kept for 7 days, 0 when it was made"),
    ];
    for (change, reason) in changes {
        let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
        let (ran, _) = rig.test(&["shop-pg", "--keep-for", "3h"]);
        ran.assert_code(0);
        let copy = made(&rig).remove(0);
        somebody_calls(
            &rig,
            &format!(
                "Action=ModifyDBInstance&Version=2014-10-31&DBInstanceIdentifier={copy}&{change}&ApplyImmediately=true"
            ),
        );
        rig.control("POST", "advance", &json!({ "seconds": 4 * 3600 }));
        // Loud as long as it is so, with or without a journal, and nobody is told to delete it.
        rig.run(&["reap", "--dry-run"]).assert_code(4).assert_contains(reason);
        let reaped = rig
            .run(&["reap"])
            .assert_code(4)
            .assert_contains("LEFT ALONE")
            .assert_contains(reason)
            .assert_contains(&format!("drctl keep {copy}"));
        assert!(!reaped.err.contains("delete-db-instance"), "{}", reaped.err);
        rig.forget();
        rig.run(&["reap"]).assert_code(4).assert_contains(reason);
        assert_eq!(made(&rig), std::slice::from_ref(&copy), "a copy in use was deleted");
        // A person says that it stays: from then on it is no business of drctl's.
        rig.run(&["keep", &copy])
            .assert_code(0)
            .assert_contains(&format!("kept {copy} in {REGION}: "))
            .assert_contains("drctl will not remove");
        rig.run(&["reap"]).assert_code(0).assert_contains("nothing to remove");
        rig.run(&["keep", "drctl-nothing"]).assert_code(2).assert_contains("there is no `drctl-nothing`");
        assert_eq!(made(&rig), [copy]);
    }
}

/// Accepted, and the answer lost; and what the SDK's next attempt is told is true, because of the copy that nobody knows of yet.
#[test]
fn a_refusal_after_a_lost_answer_does_not_make_a_copy_be_forgotten() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    // A harsh day: AWS shows what it has made twelve seconds later.
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--aws", "harsh", "--time-scale", "100"]);
    let restore = "RestoreDBInstanceFromDBSnapshot";
    rig.fault(json!({ "action": restore, "nth": 1, "effect": "lost-reset" }));
    rig.fault(json!({ "action": restore, "nth": 2, "effect": { "code": "InstanceQuotaExceeded" } }));
    let (ran, document) = rig.test(&["shop-pg"]);
    assert!([3, 4].contains(&ran.code), "exit {}\n{}", ran.code, ran.err);
    let left = made(&rig);
    assert!(left.is_empty() || ran.code == 4, "{left:?} stands, and the test says that nothing does: {document:#}");
}

#[test]
fn a_copy_that_somebody_made_public_is_removed() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::with(&[HEAD, POSTGRES].concat(), &["--time-scale", "60"]);
    let child = started(&rig, &["restore-test", "shop-pg"], "available");
    let copy = made(&rig).remove(0);
    let call = "Action=ModifyDBInstance&Version=2014-10-31&PubliclyAccessible=true&ApplyImmediately=true";
    somebody_calls(&rig, &format!("{call}&DBInstanceIdentifier={copy}"));
    let output = child.wait_with_output().unwrap();
    // Whether it was noticed before or after the verdict, it does not stay.
    assert!([Some(0), Some(1)].contains(&output.status.code()), "{:?}", output.status);
    assert_eq!(made(&rig), Vec::<String>::new());
}

#[test]
fn the_members_of_a_cluster_in_use_are_left_alone_with_it() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, AURORA_POSTGRES].concat());
    let (ran, _) = rig.test(&["shop-apg", "--keep-for", "3h"]);
    ran.assert_code(0);
    let copies = made(&rig);
    let cluster = copies.iter().find(|id| !id.ends_with("-1")).unwrap();
    somebody_calls(
        &rig,
        &format!(
            "Action=CreateDBInstance&Version=2014-10-31&DBInstanceIdentifier=reader&DBClusterIdentifier={cluster}\
             &DBInstanceClass=db.r6g.large&Engine=aurora-postgresql"
        ),
    );
    rig.control("POST", "advance", &json!({ "seconds": 4 * 3600 }));
    rig.run(&["reap"]).assert_code(4).assert_contains("its member `reader` was not made by this run");
    assert_eq!(made(&rig), copies, "the writer was deleted under people's hands");
    // Kept, the cluster and its member stay, and the verdict of its run with them.
    rig.run(&["keep", cluster]).assert_code(0).assert_contains(&format!("kept {cluster}-1"));
    rig.run(&["reap"]).assert_code(0);
    assert_eq!(made(&rig), copies);
    assert_eq!(rig.runs()[0]["outcome"], "passed");
}

#[test]
fn a_copy_taken_into_use_while_its_run_is_stuck_ends_the_run_once_it_is_kept() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    rig.fault(json!({ "action": "DeleteDBInstance", "times": 1, "effect": "denied" }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(4).assert_contains("allow `rds:DeleteDBInstance`");
    let copy = made(&rig).remove(0);
    rig.control("POST", "tag", &json!({ "id": copy, "key": "drctl:run-id", "value": "ops-team" }));
    let reaped = rig.run(&["reap"]).assert_code(4).assert_contains("it carries the tag of ops-team, not of this run");
    assert!(!reaped.err.contains("delete-db-instance") && !reaped.out.contains("delete-db-instance"), "{reaped:?}");
    assert_eq!(rig.runs()[0]["outcome"], "stuck");
    rig.run(&["keep", &copy]).assert_code(0);
    assert_eq!(rig.runs()[0]["outcome"], "passed", "what the test found stands");
    rig.run(&["reap"]).assert_code(0);
    assert_eq!(made(&rig), [copy]);
}

#[test]
fn a_strangers_database_is_never_named_for_deletion() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    // Killed after it has said what it would make, and before it has made it.
    let entries = ["\"intended\""];
    let mut at = 1;
    let id = loop {
        rig.forget();
        let place = format!("after:{at}");
        let crashed = rig.command(&["restore-test", "shop-apg"]).env("DRCTL_CRASH_AT", &place).output().unwrap();
        assert_eq!(crashed.status.code(), None);
        let id = rig.runs()[0]["run_id"].as_str().unwrap().to_owned();
        let shown = rig.run(&["runs", "show", &id, "--output", "json"]).assert_code(0).out;
        if entries.iter().all(|entry| shown.contains(entry)) {
            break id;
        }
        at += 1;
        assert!(at < 20, "nothing was intended");
    };
    assert!(made(&rig).is_empty());
    let name = format!("drctl-shop-apg-{}", id[id.len() - 6..].to_ascii_lowercase());
    somebody_calls(
        &rig,
        &format!(
            "Action=CreateDBCluster&Version=2014-10-31&DBClusterIdentifier={name}&Engine=aurora-postgresql\
             &MasterUsername=theirs&MasterUserPassword=their-own-secret"
        ),
    );
    let resumed = rig.run(&["runs", "resume", &id]).assert_code(3);
    let reaped = rig.run(&["reap"]).assert_code(0);
    for ran in [resumed, reaped] {
        assert!(!ran.out.contains("delete-db") && !ran.err.contains("delete-db"), "{ran:?}");
    }
    assert_eq!(made(&rig), [name], "somebody else's cluster was deleted");
    assert_eq!(rig.runs()[0]["outcome"], "unknown", "the run is stuck over something that it never made");
}

#[test]
fn a_runbook_that_verifies_nothing_proves_nothing() {
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let file = rig.scratch.0.join("nothing.md");
    let step = "```toml drctl\nid = \"point\"\naction = \"restore-point.choose\"\ntarget = \"{{ inputs.target }}\"\n\
                point = \"latest\"\n```\n";
    let head = "+++\nname = \"nothing\"\ntitle = \"Nothing\"\nkind = \"drill\"\n[inputs]\ntarget = { type = \"database\" }\n+++\n\n";
    std::fs::write(&file, format!("{head}# Nothing\n\n{step}")).unwrap();
    let file = file.display().to_string();
    rig.run(&["restore-test", "shop-pg", "--runbook", &file])
        .assert_code(3)
        .assert_contains("no step has verified anything");
}

#[test]
fn credentials_that_would_end_before_the_cleaning_up_are_refused() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    let with = |end: jiff::Timestamp| {
        let mut command = rig.command(&["restore-test", "shop-pg"]);
        command.env("AWS_SESSION_TOKEN", "sandbox").env("AWS_CREDENTIAL_EXPIRATION", end.to_string());
        CommandOutput::from(command.output().unwrap())
    };
    let later = |minutes: i64| jiff::Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
    with(later(60))
        .assert_code(2)
        .assert_contains("the credentials end at")
        .assert_contains("set `deadline` under `[database.restore_test]`");
    assert_eq!(rig.state(), before);
    assert!(rig.calls().iter().all(|call| !call.contains("Restore")), "something was made");
    with(later(180)).assert_code(0);
}

#[test]
fn expired_credentials_are_waited_for_before_a_copy_is_given_up() {
    if !require_engines(&[Engine::Postgres]) {
        return;
    }
    let rig = TestSandbox::start(&[HEAD, POSTGRES].concat());
    let before = rig.state();
    rig.fault(json!({ "action": "DeleteDBInstance", "times": 1, "effect": { "code": "ExpiredToken" } }));
    rig.run(&["restore-test", "shop-pg"]).assert_code(0).assert_contains("cannot remove without credentials");
    assert_eq!(rig.state(), before);
}

#[test]
fn whoever_was_told_to_stop_does_not_wait_for_an_aws_that_is_gone() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "60"]);
    let mut child = started(&rig, &["restore-test", "shop-apg"], "is creating");
    // Nobody answers any more, and nobody refuses either.
    rig.fault(json!({ "times": 100_000, "effect": "silence" }));
    signal(&child, "-TERM");
    let asked = Instant::now();
    let code = child.wait().unwrap().code();
    assert!(asked.elapsed() < Duration::from_mins(5), "it went on for {:?}", asked.elapsed());
    assert_eq!(code, Some(4));
    rig.control("DELETE", "faults", &Value::Null);
    rig.run(&["reap"]).assert_code(0).assert_contains("removed drctl-shop-apg-");
}

#[test]
fn a_second_signal_leaves_at_once_and_what_is_there_is_reaped_later() {
    let rig = TestSandbox::with(&[HEAD, AURORA_POSTGRES].concat(), &["--time-scale", "30"]);
    let before = rig.state();
    let mut child =
        rig.command(&["restore-test", "shop-apg"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(talk.any(|line| line.contains("is creating")));
    signal(&child, "-INT");
    assert!(talk.any(|line| line.contains("interrupt again to quit at once")));
    signal(&child, "-INT");
    assert!(talk.any(|line| line.contains("run `drctl reap` to remove what was created")));
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_ne!(rig.state(), before);
    rig.run(&["reap"]).assert_code(0);
    assert_eq!(rig.state(), before);
}
