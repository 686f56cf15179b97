//! What each call does.

use super::{Orders, start};

#[test]
fn keys_are_shared_by_all_connections() {
    let server = start(&[]);
    let (mut a, mut b) = (server.connect(), server.connect());
    a.orders(&[
        ("get k", "none"),
        ("exists k", "no"),
        ("set k one", "ok"),
        ("exists k", "yes"),
    ]);
    b.orders(&[
        ("get k", "one"),
        ("set k two", "ok"),
        ("delete k", "yes"),
        ("delete k", "no"),
    ]);
    a.orders(&[("get k", "none"), ("keys", "")]);
    drop((a, b));
    server.wait_open(0);
    let mut c = server.connect();
    c.orders(&[
        ("set empty ", "ok"),
        ("get empty", ""),
        ("exists empty", "yes"),
    ]);
    drop(c);
    server.wait_open(0);
    server.connect().orders(&[("keys", "empty")]);
}

#[test]
fn buckets_are_name_spaces() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("set k default", "ok"),
        ("in other", "ok"),
        ("get k", "none"),
        ("set k other", "ok"),
        ("in default", "ok"),
        ("get k", "default"),
        ("keys", "k"),
        ("in ", "ok"),
        ("get k", "default"),
        ("in other", "ok"),
        ("get k", "other"),
    ]);
}

#[test]
fn values_are_set_if_a_condition_holds() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("present k 1 ever", "no"),
        ("exists k", "no"),
        ("absent k 2", "yes"),
        ("absent k 3", "no"),
        ("get k", "2"),
        ("present k 4 ever", "yes"),
        ("get k", "4"),
    ]);
}

#[test]
fn several_keys_in_one_call() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("set-many a 1 b 2 c 3", "ok"),
        ("get-many c x a", "3 none 1"),
        ("get-values 100 c x a", "3 none 1"),
        ("delete-many a x b", "ok"),
        ("get-many a b c", "none none 3"),
    ]);
}

#[test]
fn values_are_given_as_far_as_they_fit() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("set a *60", "ok"),
        ("set b *50", "ok"),
        (
            "get-values 110 a b none",
            &format!("{} {} none", "x".repeat(60), "x".repeat(50)),
        ),
        ("get-values 109 a b", &"x".repeat(60)),
        ("get-values 0 none none a", "none none"),
        // One in any case.
        ("get-values 0 b none", &"x".repeat(50)),
        ("get-values 0", ""),
        (
            "get-values 9 a *1025",
            "error: a key has from 1 to 1,024 bytes",
        ),
    ]);
}

#[test]
fn keys_are_listed_by_prefix_and_in_parts() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("set-many a 1 ab 2 abc 3 b 4 é 5 ab: 6", "ok"),
        ("keys", "a ab ab: abc b é"),
        ("keys a", "a ab ab: abc"),
        ("keys abc", "abc"),
        ("keys c", ""),
        ("fill 5000 n:", "ok"),
        ("keys n:", "5000"),
        ("keys", "5006"),
        ("page n: nonsense", "error: not a cursor"),
        ("page n: 99:n:1", "error: not a cursor"),
    ]);
    // A key that stays comes once, whatever happens to others.
    let (mut seen, mut cursor) = (0, String::new());
    let mut b = server.connect();
    for round in 0.. {
        b.orders(&[(&format!("set more:{round} x"), "ok")]);
        let delete = format!("delete n:{round}");
        b.orders(&[(delete.as_str(), "yes")]);
        a.send(format!("page a {cursor}\n"));
        let line = line(&mut a);
        let (count, next) = line.split_once(' ').expect("two words");
        seen += count.parse::<usize>().expect("a number");
        cursor = next.to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(seen, 4);
}

fn line(client: &mut crate::harness::Client) -> String {
    let mut line = String::new();
    loop {
        match client.read(1)[0] {
            b'\n' => return line,
            byte => line.push(char::from(byte)),
        }
    }
}
