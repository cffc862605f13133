//! DocumentDB's checks on a database that the test fills itself.

use bson::{Bson, DateTime, Document, doc};
use mongodb::IndexModel;
use mongodb::options::IndexOptions;
use serde_json::Value;

use super::documents::Documents;
use super::support::{Engine, TestSandbox, checks, outcome, require_engines};

const SECOND: i64 = 1_000;

fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

fn actual(document: &Value, name: &str) -> String {
    let all = document["tests"][0]["checks"].as_array().unwrap();
    let check = all.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("no `{name}` in {all:#?}"));
    check["actual"].as_str().unwrap().to_owned()
}

/// Documents that are two days old, so that they lie before any restore point and have settled.
fn old(count: i64) -> Vec<Document> {
    let at = now() - 48 * 3_600 * SECOND;
    (0..count).map(|n| doc! { "_id": n, "at": DateTime::from_millis(at + n), "n": 9_007_199_254_740_993_i64 }).collect()
}

const NESTED: &str =
    "[[database.restore_test.check]]\nname = \"nested\"\nnewest = \"carts.nested.deep.at\"\nwithin = \"90d\"\n";
const SETTLED: &str =
    "[[database.restore_test.check]]\nname = \"settled\"\nimmutable = \"orders.at\"\nolder_than = \"1h\"\n";
const EXACT: &str = "[[database.restore_test.check]]\nname = \"exact\"\ncollection = \"orders\"\naggregate = '[{\"$project\": {\"n\": 1}}]'\n\
                     expect = \"9007199254740993\"\n";

#[test]
fn views_and_what_expires_are_no_alarm_and_a_lost_option_of_an_index_is() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        let shop = client.database("shop");
        shop.collection("orders").insert_many(old(300)).await.unwrap();
        shop.collection("carts").insert_many(old(3)).await.unwrap();
        let nested = doc! { "deep": { "at": [DateTime::from_millis(now() - 72 * 3_600 * SECOND)] } };
        shop.collection("carts.nested").insert_one(nested).await.unwrap();
        shop.collection("sessions").insert_many(old(20)).await.unwrap();
        let view = doc! { "create": "summary", "viewOn": "orders", "pipeline": [{ "$match": { "_id": 1 } }] };
        shop.run_command(view).await.unwrap();
        let index = |options| IndexModel::builder().keys(doc! { "at": 1 }).options(options).build();
        let expires = IndexOptions::builder().expire_after(std::time::Duration::from_hours(10_000)).build();
        shop.collection::<Document>("sessions").create_index(index(expires)).await.unwrap();
        let sparse = IndexOptions::builder().sparse(true).build();
        shop.collection::<Document>("orders").create_index(index(sparse)).await.unwrap();
    });
    let checked = [NESTED, SETTLED, EXACT].concat();
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", &checked));
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(0);
    assert!(
        actual(&document, "rows").contains("304 rows; 20 more left out of rows and content"),
        "{}",
        actual(&document, "rows")
    );
    assert!(actual(&document, "rows").contains("`sessions`"));
    assert!(actual(&document, "structure").contains("1 views"), "{}", actual(&document, "structure"));
    assert_eq!(actual(&document, "exact"), "`n` of the first document is 9007199254740993");
    // Some expire; an index loses what made it sparse.
    documents.fill(|client| async move {
        let shop = client.database("shop");
        shop.collection::<Document>("sessions").delete_many(doc! { "_id": { "$lt": 10 } }).await.unwrap();
        shop.run_command(doc! { "dropIndexes": "orders", "index": "at_1" }).await.unwrap();
        let plain = IndexModel::builder().keys(doc! { "at": 1 }).build();
        shop.collection::<Document>("orders").create_index(plain).await.unwrap();
    });
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(1);
    assert_eq!(checks(&document, "failed"), ["catalog"], "{document:#}");
    assert!(actual(&document, "catalog").contains("sparse"), "{}", actual(&document, "catalog"));
    assert_eq!(actual(&document, "settled"), "300 rows, unchanged");
}

async fn expire_by(client: &mongodb::Client, collection: &str, field: &str) {
    let options = IndexOptions::builder().expire_after(std::time::Duration::from_secs(2_147_483_647)).build();
    let index = IndexModel::builder().keys(doc! { field: 1 }).options(options).build();
    client.database("shop").collection::<Document>(collection).create_index(index).await.unwrap();
}

#[test]
fn a_ttl_index_hides_no_loss() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        let shop = client.database("shop");
        for name in ["orders", "invoices", "sessions"] {
            shop.collection(name).insert_many(old(50)).await.unwrap();
        }
        let undated = (100..110).map(|n| doc! { "_id": n, "at": "never" });
        shop.collection("sessions").insert_many(undated).await.unwrap();
        expire_by(&client, "sessions", "at").await;
    });
    // The sandbox calls it the same point each time: its content would be compared.
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", "content = \"immutable\"\n"));
    let rows = |arguments: &[&str], code| {
        let (ran, document) = rig.test(&[&["shop-docs"], arguments].concat());
        ran.assert_code(code);
        actual(&document, "rows")
    };
    assert!(rows(&[], 0).contains("110 rows; 50 more left out"));
    // A new index is a change that somebody has to accept.
    documents.fill(|client| async move {
        expire_by(&client, "orders", "nosuchfield").await;
        expire_by(&client, "invoices", "at").await;
    });
    let found = rows(&[], 3);
    for (name, field) in [("orders", "nosuchfield"), ("invoices", "at")] {
        let part = format!("`{name}`: it has 50 rows, had 50, and has a TTL index on `{field}` that is new");
        assert!(found.contains(&part), "{found}");
    }
    assert!(rows(&["--update-baseline"], 0).contains("60 rows; 100 more left out"));
    // What expired is no loss, and what cannot expire is one.
    documents.fill(|client| async move {
        let invoices = client.database("shop").collection::<Document>("invoices");
        invoices.delete_many(doc! { "_id": { "$lt": 49 } }).await.unwrap();
    });
    assert!(rows(&[], 0).contains("60 rows; 51 more left out"));
    documents.fill(|client| async move {
        let sessions = client.database("shop").collection::<Document>("sessions");
        sessions.delete_many(doc! { "_id": { "$gte": 109 } }).await.unwrap();
    });
    assert!(rows(&[], 1).contains("`sessions` has 9 rows, had 10"));
    documents.fill(|client| async move {
        let shop = client.database("shop");
        shop.collection("sessions").insert_one(doc! { "_id": 109 }).await.unwrap();
        shop.collection::<Document>("invoices").delete_many(doc! {}).await.unwrap();
    });
    assert!(rows(&[], 3).contains("`invoices`: it is empty, and had 1 rows"));
    // An index by which nothing ever expires leaves nothing out.
    documents.fill(|client| async move {
        client.database("shop").collection::<Document>("orders").delete_many(doc! {}).await.unwrap();
    });
    assert!(rows(&[], 1).contains("`orders` has 0 rows, had 50"));
}

#[test]
fn what_cannot_be_told_is_unknown_and_says_why() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        let shop = client.database("shop");
        shop.collection("orders").insert_many(old(50)).await.unwrap();
        let later = doc! { "at": DateTime::from_millis(now() + 24 * 3_600 * SECOND) };
        shop.collection("future").insert_many([doc! { "at": DateTime::from_millis(0) }, later]).await.unwrap();
        shop.collection("texts").insert_one(doc! { "at": "yesterday" }).await.unwrap();
    });
    let check = |name: &str, rest: &str| format!("[[database.restore_test.check]]\nname = \"{name}\"\n{rest}\n");
    let aggregate = |collection: &str, expect: &str| {
        let pipeline = r#"[{"$group": {"_id": null, "newest": {"$max": "$nothing"}}}]"#;
        format!("collection = \"{collection}\"\naggregate = '{pipeline}'\nexpect = \"{expect}\"")
    };
    let checked = [
        check("misspelt", &aggregate("ordres", "empty")),
        check("misspelt newest", "newest = \"ordres.at\"\nwithin = \"90d\""),
        check("from the future", "newest = \"future.at\"\nwithin = \"90d\""),
        check("no time", "newest = \"texts.at\"\nwithin = \"90d\""),
        check("null", &aggregate("orders", "not empty")),
    ];
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", &checked.concat()));
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(1);
    assert_eq!(
        checks(&document, "unknown"),
        ["misspelt", "misspelt newest", "from the future", "no time"],
        "{document:#}"
    );
    assert_eq!(checks(&document, "failed"), ["null"]);
    assert!(actual(&document, "misspelt").contains("the name that comes nearest is `orders`"));
    assert!(actual(&document, "no time").contains("no document of `texts` has a time in `at`"));
    assert_eq!(actual(&document, "null"), "`newest` of the first document is null");
}

#[test]
fn a_missing_right_is_unknown_and_named() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    documents.fill(|client| async move {
        client.database("shop").collection("orders").insert_many(old(5)).await.unwrap();
    });
    let rig = TestSandbox::start(&documents.estate(documents.port, "stranger", ""));
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(3);
    assert_eq!(outcome(&document), "unknown");
    assert!(actual(&document, "connect").contains("give it the role `read`"), "{document:#}");
}

#[test]
fn an_index_of_documentdb_that_lacks_entries_is_noticed_and_named() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let mut documents = Documents::start();
    documents.fill(|client| async move {
        let orders = client.database("shop").collection("orders");
        orders.insert_many(old(200)).await.unwrap();
        orders.create_index(IndexModel::builder().keys(doc! { "at": 1 }).build()).await.unwrap();
    });
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", SETTLED));
    rig.test(&["shop-docs"]).0.assert_code(0);
    documents.lose_index_entries("orders", 10);
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(1);
    assert_eq!(checks(&document, "failed"), ["structure"], "{document:#}");
    let found = actual(&document, "structure");
    assert!(found.contains("200 documents by a scan and 190 through its index `at_1`"), "{found}");
    // What has settled is read past the index.
    assert_eq!(actual(&document, "settled"), "200 rows, unchanged");
}

#[test]
fn values_of_any_kind_have_a_fingerprint_of_their_own() {
    if !require_engines(&[Engine::Secantus]) {
        return;
    }
    let documents = Documents::start();
    let odd = [
        Bson::Double(f64::NAN),
        Bson::Double(f64::NEG_INFINITY),
        Bson::Decimal128("NaN".parse().unwrap()),
        Bson::Decimal128("9.999999999999999999999999999999999E+6144".parse().unwrap()),
        Bson::DateTime(DateTime::from_millis(253_402_300_799_999)),
        Bson::DateTime(DateTime::from_millis(-62_135_596_800_000)),
        Bson::MinKey,
        Bson::Null,
    ];
    let filled = odd.clone();
    documents.fill(|client| async move {
        let odd = client.database("shop").collection::<Document>("odd");
        for (at, value) in filled.into_iter().enumerate() {
            odd.insert_one(doc! { "_id": i32::try_from(at).unwrap(), "value": value }).await.unwrap();
        }
    });
    let rig = TestSandbox::start(&documents.estate(documents.port, "reader", ""));
    rig.test(&["shop-docs"]).0.assert_code(0);
    rig.test(&["shop-docs"]).0.assert_code(0);
    documents.fill(|client| async move {
        let odd = client.database("shop").collection::<Document>("odd");
        odd.update_one(doc! { "_id": 0 }, doc! { "$set": { "value": 0.0 } }).await.unwrap();
    });
    let (ran, document) = rig.test(&["shop-docs"]);
    ran.assert_code(1);
    assert_eq!(checks(&document, "failed"), ["content"], "{document:#}");
}
