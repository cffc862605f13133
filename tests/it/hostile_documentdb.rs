//! A document database in which somebody has written whatever they could: it is read to its end, nothing is hidden,
//! little memory is used, and what people read is clean.

use bson::{DateTime, Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use serde_json::Value;

use super::documents::{Documents, forward};
use super::support::{CommandOutput, Engine, TestSandbox, checks, require_engines};

/// Resident memory at its highest.
const MEMORY_KB: u64 = 200_000;
const LARGE: usize = 15 << 20;

/// Names that forge lines, steer terminals, or are markup.
const NAMES: [&str; 6] = [
    "a\nPASSED everything\u{1b}[2J",
    "<script>alert(1)</script>",
    "\"quoted\" 'twice' `thrice`",
    "with.dots.and more",
    "right-to-left \u{202e}sredro",
    "* _bold_ <https://example.com|link>",
];

/// Runs a test and says how much memory it took at most, in kilobytes.
fn measured(rig: &TestSandbox) -> (CommandOutput, Value, u64) {
    const PEAK: &str = "import resource, subprocess, sys\ncode = subprocess.run(sys.argv[1:]).returncode\n\
                        print('PEAK', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\nsys.exit(code)";
    let test = rig.command(&["restore-test", "--output", "json", "shop-docs"]);
    let mut python = std::process::Command::new(".venv/bin/python");
    python.args(["-c", PEAK]).arg(test.get_program()).args(test.get_args());
    python.envs(test.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let ran = CommandOutput::from(python.output().unwrap());
    let peak = ran.err.rsplit_once("PEAK ").unwrap().1.trim().parse().unwrap();
    let document = serde_json::from_str(&ran.out).unwrap_or(Value::Null);
    (ran, document, peak)
}

fn settled_on(collection: &str) -> String {
    format!(
        "[[database.restore_test.check]]\nname = \"settled\"\nimmutable = \"{collection}.at\"\nolder_than = \"1h\"\n"
    )
}

#[test]
fn names_values_and_sizes_of_any_kind_are_read_in_little_memory_and_shown_clean() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        let shop = client.database("shop");
        for name in NAMES {
            let fields = doc! { "_id": 1, name: name, "$where": "sleep(1)", "a.b": { "$ne": 1 }, "": doc! { "": [] } };
            if shop.collection(name).insert_one(fields).await.is_err() {
                shop.collection(name).insert_one(doc! { "_id": 1, "name": name }).await.unwrap();
            }
        }
        for number in 0..4 {
            let large = shop.collection(&format!("large{number}"));
            for id in 0..4 {
                large.insert_one(doc! { "_id": id, "text": "x".repeat(LARGE) }).await.unwrap();
            }
        }
        let mut nested = doc! { "at": DateTime::from_millis(0) };
        for _ in 0..90 {
            nested = doc! { "a": [nested] };
        }
        shop.collection("deep").insert_one(nested).await.unwrap();
        for number in 0..300 {
            shop.collection(&format!("small{number}")).insert_one(doc! { "_id": 1 }).await.unwrap();
        }
    });
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", ""));
    let (ran, document, peak) = measured(&rig);
    let ran = ran.assert_code(0);
    assert!(peak < MEMORY_KB, "{peak} KB");
    let rows = &document["tests"][0]["checks"][2];
    assert!(rows["actual"].as_str().unwrap().contains("323 rows"), "{rows}");
    assert!(!ran.err.contains('\u{1b}'));
    // Names are in a finding once their collections are gone: three of them, since a finding lists no more.
    documents.fill(|client| async move {
        for name in [NAMES[0], NAMES[1], NAMES[4]] {
            client.database("shop").collection::<Document>(name).drop().await.unwrap();
        }
    });
    for arguments in [&["restore-test", "shop-docs"][..], &["restore-test", "--output", "json", "shop-docs"]] {
        let ran = rig.run(arguments).assert_code(1);
        let shown = [ran.out.as_str(), ran.err.as_str()].concat();
        assert!(shown.contains("PASSED everything") && shown.contains("sredro"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown:?}");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("PASSED")), "{shown}");
    }
}

#[test]
fn json_that_people_see_steers_no_terminal() {
    const NAME: &str = "x\u{9b}2Jy\u{202e}z\u{7f}";
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        client.database("shop").collection(NAME).insert_one(doc! { "_id": 1 }).await.unwrap();
    });
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", ""));
    rig.run(&["restore-test", "shop-docs"]).assert_code(0);
    let id = rig.runs()[0]["run_id"].as_str().unwrap().to_owned();
    let plain = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
    for arguments in [&["runs", "show", &id, "--output", "json"][..], &["runs", "show", &id]] {
        let ran = rig.run(arguments).assert_code(0);
        assert!(ran.out.chars().all(plain), "{:?}", ran.out);
        if arguments.contains(&"json") {
            let document: Value = serde_json::from_str(&ran.out).unwrap();
            assert!(document.to_string().contains(NAME), "programs still read the name: {document:#}");
        }
    }
    // The log names the collection too.
    let mut command = rig.command(&["restore-test", "shop-docs"]);
    let ran = CommandOutput::from(command.env("DRCTL_LOG", "debug").output().unwrap()).assert_code(0);
    assert!(ran.err.chars().all(plain), "{:?}", ran.err);
}

#[test]
fn a_catalogue_of_long_definitions_takes_little_memory() {
    const EXPRESSION: usize = 4_000_000;
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        for number in 0..4 {
            let wide = client.database("shop").collection::<Document>(&format!("wide{number}"));
            wide.insert_one(doc! { "_id": 1 }).await.unwrap();
            for at in 0..10 {
                let filter = doc! { "x": { "$gt": format!("{}{at}", "s".repeat(EXPRESSION)) } };
                let options = IndexOptions::builder().partial_filter_expression(filter).build();
                let index = IndexModel::builder().keys(doc! { format!("f{at}"): 1 }).options(options).build();
                wide.create_index(index).await.unwrap();
            }
        }
    });
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", ""));
    let (ran, document, peak) = measured(&rig);
    ran.assert_code(0);
    assert!(peak < MEMORY_KB, "{peak} KB");
    let catalog = &document["tests"][0]["checks"][1];
    assert!(catalog["actual"].as_str().unwrap().contains("4 tables, 44 indexes"), "{catalog}");
    // Another end of a long definition shows.
    documents.fill(|client| async move {
        let wide = client.database("shop").collection::<Document>("wide0");
        wide.drop_index("f0_1").await.unwrap();
        let filter = doc! { "x": { "$gt": format!("{}x", "s".repeat(EXPRESSION)) } };
        let options = IndexOptions::builder().partial_filter_expression(filter).build();
        wide.create_index(IndexModel::builder().keys(doc! { "f0": 1 }).options(options).build()).await.unwrap();
    });
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(1);
    assert!(checks(&document, "failed").contains(&"catalog"), "{document:#}");
}

/// A proxy that never passes on what holds `part`.
fn swallowing(to: u16, part: &'static [u8]) -> u16 {
    forward(to, move |message| {
        if message.windows(part.len()).any(|bytes| bytes == part) {
            std::thread::park();
        }
    })
}

#[test]
fn a_server_that_does_not_answer_is_given_up_in_time() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        client.database("shop").collection("orders").insert_one(doc! { "_id": 1 }).await.unwrap();
    });
    // The namespace of `listCollections` is in its answer.
    let port = swallowing(documents.port, b"shop.$cmd.listCollections");
    let limited = documents.estate(port, "reader", "").replace("connect =", "deadline = \"30s\"\nconnect =");
    let rig = TestSandbox::start(&limited);
    let began = std::time::Instant::now();
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(3).assert_contains("the catalogue could not be read in time");
    assert!(began.elapsed() < std::time::Duration::from_mins(1), "{document:#}");
}

/// A document that holds another, and so on: eight bytes for each level, and five for the innermost.
fn nested(levels: usize) -> Vec<u8> {
    let bytes = levels * 8 + 5;
    let mut document = Vec::with_capacity(bytes);
    for level in 0..levels {
        document.extend_from_slice(&i32::try_from(bytes - level * 8).unwrap().to_le_bytes());
        document.extend_from_slice(b"\x03a\0");
    }
    document.extend_from_slice(&[5, 0, 0, 0, 0]);
    document.resize(bytes, 0);
    document
}

/// Where a text of the marker is found, its bytes become something that no server would have taken.
fn replace(message: &mut [u8], marker: &[u8], with: &[u8]) {
    assert_eq!(marker.len(), with.len());
    let mut from = 0;
    while let Some(at) = message[from..].windows(marker.len()).position(|bytes| bytes == marker) {
        message[from + at..from + at + marker.len()].copy_from_slice(with);
        from += at + marker.len();
    }
}

/// SecantusDB takes neither text that is not UTF-8, nor one field twice, nor documents in 100,000 levels. What it
/// answers is changed on its way here, so that drctl sees what damage, or another server's leniency, would show it.
#[test]
fn what_no_stand_in_would_store_is_read_too() {
    const LEVELS: usize = 100_000;
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        let odd = client.database("shop").collection("odd");
        // A text's length and its last zero make up for the document's length and its own.
        let text = "d".repeat(LEVELS * 8);
        let at = DateTime::from_millis(5);
        odd.insert_one(doc! { "_id": 1, "n0tUtf8": "n0tUtf8", "deep": text, "twin1": 1, "twin2": 2, "at": at })
            .await
            .unwrap();
        odd.insert_one(doc! { "_id": 2, "n0tUtf8": 1, "at": DateTime::from_millis(7) }).await.unwrap();
    });
    let port = forward(documents.port, |message| {
        replace(message, b"n0tUtf8", b"n\xff\xfe\xc3(\x80\xf0");
        replace(message, b"twin2", b"twin1");
        let begin = [b"\x02deep\0".as_slice(), &i32::try_from(LEVELS * 8 + 1).unwrap().to_le_bytes()].concat();
        if let Some(at) = message.windows(begin.len()).position(|bytes| bytes == begin) {
            let deep = nested(LEVELS);
            message[at] = 0x03;
            message[at + 6..at + 6 + deep.len()].copy_from_slice(&deep);
        }
    });
    let newest = "[[database.restore_test.check]]\nname = \"newest\"\nnewest = \"odd.at\"\nwithin = \"36500d\"\n";
    let first = "[[database.restore_test.check]]\nname = \"first\"\ncollection = \"odd\"\n\
                 aggregate = '[{\"$match\": {\"_id\": 1}}, {\"$project\": {\"deep\": 1}}]'\nexpect = \"not empty\"\n";
    let rig = TestSandbox::start(&documents.estate(port, "reader", &[newest, &settled_on("odd"), first].concat()));
    let (ran, document, peak) = measured(&rig);
    ran.assert_code(0);
    assert!(peak < MEMORY_KB, "{peak} KB");
    let rows = &document["tests"][0]["checks"][2];
    assert!(rows["actual"].as_str().unwrap().contains("2 rows"), "{rows}");
    // Another byte of it shows.
    let port = forward(documents.port, |message| replace(message, b"n0tUtf8", b"n\xff\xfe\xc3(\x80\xf1"));
    let config = std::fs::read_to_string(&rig.config).unwrap();
    let connect = config.lines().find(|line| line.starts_with("connect")).unwrap();
    std::fs::write(&rig.config, config.replace(connect, &format!("connect = \"127.0.0.1:{port}\""))).unwrap();
    let (ran, document, _) = measured(&rig);
    ran.assert_code(1);
    assert!(checks(&document, "failed").contains(&"content"), "{document:#}");
}

#[test]
fn bytes_that_are_no_document_are_damage() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        let orders = client.database("shop").collection("orders");
        orders.insert_one(doc! { "_id": 1, "marked": 5_i64, "at": DateTime::from_millis(0) }).await.unwrap();
    });
    // An integer becomes a text whose length reaches far beyond the document.
    let port =
        forward(documents.port, |message| replace(message, b"\x12marked\0\x05\0\0\0", b"\x02marked\0\xff\xff\xff\x0f"));
    let rig = TestSandbox::start(&documents.estate(port, "reader", &settled_on("orders")));
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(1);
    assert!(checks(&document, "failed").contains(&"rows"), "{document:#}");
}
