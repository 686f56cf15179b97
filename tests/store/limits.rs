//! What there is at most, and what happens then.

use super::{Orders, start};

#[test]
fn keys_and_values_have_a_greatest_size() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("set *1024 x", "ok"),
        ("get *1024", "x"),
        ("set *1025 x", "error: a key has from 1 to 1,024 bytes"),
        ("get *1025", "error: a key has from 1 to 1,024 bytes"),
        ("get ", "error: a key has from 1 to 1,024 bytes"),
        ("set k *1048576", "ok"),
        ("get k", "1048576 bytes"),
        ("set k *1048577", "error: a value has at most 1 MiB"),
        ("get k", "1048576 bytes"),
        ("in *64", "ok"),
        ("in *65", "error: no such bucket: its name is too long"),
    ]);
}

#[test]
fn a_full_store_takes_no_more() {
    let server = start(&["--max-store-size", "64K"]);
    let mut a = server.connect();
    let full = "error: the store is full: it may have 64K (--max-store-size)";
    a.orders(&[
        ("set k *40000", "ok"),
        ("set k *60000", "ok"),
        ("set l *10000", full),
        ("get l", "none"),
        ("set k *70000", full),
        ("get k", "60000 bytes"),
        ("append k *10000", full),
        ("get k", "60000 bytes"),
        ("delete k", "yes"),
        ("set l *10000", "ok"),
    ]);
    assert_eq!(server.limit_reached("max-store-size"), 3);
    a.orders(&[("delete l", "yes")]);
    assert_eq!(server.status()["store"]["bytes"], 0);
}

#[test]
fn there_are_only_so_many_keys() {
    let server = start(&["--max-store-keys", "3"]);
    let mut a = server.connect();
    let many = "error: the store has 3 keys already (--max-store-keys)";
    a.orders(&[
        ("set-many a 1 b 2 c 3", "ok"),
        ("set d 4", many),
        ("add e 1", many),
        ("absent f 1", many),
        ("set c 4", "ok"),
        ("delete a", "yes"),
        ("set-many d 4 e 5", many),
        ("keys", "b c d"),
    ]);
    assert_eq!(server.limit_reached("max-store-keys"), 4);
}

#[test]
fn there_are_only_so_many_buckets() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("in ", "ok"),
        ("open-many 500 a", "500"),
        // The default bucket is one, too.
        ("open-many 499 b", "499"),
        ("open-many 1 c", "error: the store has 1000 buckets already"),
        ("in a7", "ok"),
        ("set k x", "ok"),
    ]);
}

#[test]
fn an_instance_has_only_so_many_handles() {
    let server = start(&[]);
    let (mut a, mut b) = (server.connect(), server.connect());
    b.orders(&[("set k x", "ok")]);
    a.send("open-many 1001 a\n");
    a.expect_over();
    server.stderr.wait("WASI handles");
    assert_eq!(server.limit_reached("wasi-handles"), 1);
    // Those that were given back do not count.
    b.orders(&[
        ("open-many 900 a", "900"),
        ("open-many 900 a", "900"),
        ("get k", "x"),
    ]);
}

#[test]
fn one_call_takes_only_so_many_keys() {
    let server = start(&["--max-memory", "128M"]);
    let mut a = server.connect();
    a.orders(&[
        ("fill 1500 k", "ok"),
        ("get-filled 1000 k", "1000"),
        (
            "get-filled 1001 k",
            "error: one call takes at most 1,000 keys",
        ),
        ("fill 16 big 1000000", "ok"),
        ("set big16 *1000000", "ok"),
        ("get-filled 16 big", "16"),
        (
            "get-filled 17 big",
            "error: the values have more than 16 MiB together",
        ),
        (
            "fill 17 new 1000000",
            "error: the values have more than 16 MiB together",
        ),
        ("get new0", "none"),
    ]);
}
