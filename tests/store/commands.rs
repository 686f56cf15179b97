//! `hotsocket store`.

use std::fs;

use super::{Orders, start};

#[test]
fn keys_are_read_and_changed_from_outside() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[("set k one", "ok"), ("in other", "ok"), ("set k two", "ok")]);
    let ask = |args: &[&str]| server.ask(&[&["store"], args].concat());
    assert_eq!(ask(&["get", "k"]).success(), "one");
    assert_eq!(ask(&["get", "k", "--bucket", "other"]).success(), "two");
    assert_eq!(ask(&["list", "--bucket", "other"]).success(), "k\n");
    let file = server.path("value");
    fs::write(&file, b"a\0\xff\n").expect("a file");
    let file = file.display().to_string();
    assert_eq!(
        ask(&["set", "bin", &file, "--bucket", "other", "--ttl", "1h"]).success(),
        "set\n"
    );
    a.orders(&[("life bin", "3600 s"), ("exists bin", "yes")]);
    let ran = ask(&["get", "bin", "--bucket", "other", "--json"]);
    assert_eq!(
        ran.success(),
        "{\"answer\":\"value\",\"value\":\"6100ff0a\"}\n"
    );
    assert_eq!(ask(&["delete", "k"]).success(), "deleted\n");
    assert_eq!(ask(&["delete", "k"]).success(), "there was nothing\n");
    assert_eq!(ask(&["get", "k"]).failure(1), "the key has no value");
    a.orders(&[("get k", "two"), ("fill 2500 n", "ok")]);
    let listed = ask(&["list", "n", "--bucket", "other"]).success();
    assert_eq!(listed.lines().count(), 2500);
}

/// Names of buckets are never given back.
#[test]
fn to_ask_for_a_bucket_takes_no_place() {
    let server = start(&[]);
    let ask = |args: &[&str]| server.ask(&[&["store"], args].concat());
    assert_eq!(ask(&["list", "--bucket", "typo1"]).success(), "");
    let value = ask(&["get", "k", "--bucket", "typo2"]);
    assert_eq!(value.failure(1), "the key has no value");
    let deleted = ask(&["delete", "k", "--bucket", "typo3"]);
    assert_eq!(deleted.success(), "there was nothing\n");
    // Nor does the default bucket, which `listening` opens and cannot change.
    let mut a = server.connect();
    a.orders(&[
        ("open-many 500 a", "500"),
        ("open-many 500 b", "500"),
        ("in c", "error: the store has 1000 buckets already"),
    ]);
}

#[test]
fn what_is_wrong_is_said() {
    let server = start(&["--max-store-size", "1K"]);
    let ask = |args: &[&str]| server.ask(&[&["store"], args].concat()).failure(1);
    assert_eq!(ask(&["get", ""]), "a key has from 1 to 1,024 bytes");
    let long = "b".repeat(65);
    assert!(ask(&["get", "k", "--bucket", &long]).starts_with("no such bucket"));
    let file = server.path("value");
    fs::write(&file, vec![b'x'; 2000]).expect("a file");
    let error = ask(&["set", "k", &file.display().to_string()]);
    assert_eq!(
        error,
        "the store is full: it may have 1K (--max-store-size)"
    );
    fs::write(&file, vec![b'x'; (1 << 20) + 1]).expect("a file");
    let error = ask(&["set", "k", &file.display().to_string()]);
    assert!(
        error.starts_with("the value is too large: 1048577 bytes"),
        "{error}"
    );
}
