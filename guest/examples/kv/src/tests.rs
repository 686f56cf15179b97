//! The guest in unit tests, without a server.

use std::time::Duration;

use hotsocket_guest::testing::Session;

use super::*;

fn asked(session: &mut Session<Kv>, commands: &str) -> String {
    let answer = session.data(commands.replace('\n', "\r\n"));
    String::from_utf8(answer)
        .expect("text")
        .replace("\r\n", "|")
}

#[test]
fn commands_on_keys() {
    let mut session = Session::<Kv>::open();
    for (command, reply) in [
        ("GET k", "$-1|"),
        ("set k v", "+OK|"),
        ("GET k", "$1|v|"),
        ("SET k w NX", "$-1|"),
        ("SET k w XX EX 10", "+OK|"),
        ("TTL k", ":10|"),
        ("SET k w EX 0", "-ERR invalid expire time in 'set' command|"),
        ("SET k w NX XX", "-ERR syntax error|"),
        ("SET k x KEEPTTL", "+OK|"),
        ("PTTL k", ":10000|"),
        ("PERSIST k", ":1|"),
        ("PERSIST k", ":0|"),
        ("TTL k", ":-1|"),
        ("TTL nothing", ":-2|"),
        ("INCR k", "-ERR value is not an integer or out of range|"),
        ("INCR n", ":1|"),
        ("INCRBY n 41", ":42|"),
        ("DECRBY n 50", ":-8|"),
        (
            "INCRBY n x",
            "-ERR value is not an integer or out of range|",
        ),
        ("MSET a 1 b 2", "+OK|"),
        (
            "MSET a 1 b",
            "-ERR wrong number of arguments for 'mset' command|",
        ),
        ("MGET a b c", "*3|$1|1|$1|2|$-1|"),
        ("EXISTS a b c a", ":3|"),
        ("KEYS [ab]", "*2|$1|a|$1|b|"),
        ("SCAN 0 MATCH a* COUNT 100", "*2|$1|0|*1|$1|a|"),
        ("SCAN 77", "-ERR invalid cursor|"),
        ("DEL a b c", ":2|"),
        ("EXPIRE k -1", ":1|"),
        ("EXISTS k", ":0|"),
        ("TYPE n", "+string|"),
        ("SET 'two words' \"a b\"", "+OK|"),
        ("GET 'two words'", "$3|a b|"),
        ("FLY away", "-ERR unknown command 'FLY'|"),
        ("GET", "-ERR wrong number of arguments for 'get' command|"),
    ] {
        assert_eq!(
            asked(&mut session, &format!("{command}\n")),
            reply,
            "{command}"
        );
    }
    asked(&mut session, "SET k v PX 1500\n");
    session.advance(Duration::from_millis(1500));
    assert_eq!(asked(&mut session, "GET k\n"), "$-1|");
}

#[test]
fn commands_come_in_any_pieces_and_survive_a_swap_between_them() {
    let commands =
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\na\r\nb\r\n\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
    for at in 0..commands.len() {
        let mut session = Session::<Kv>::open();
        let mut answer = session.data(&commands[..at]);
        let mut session = session.swap::<Kv>().expect("the same code");
        answer.extend(session.data(&commands[at..]));
        assert_eq!(answer, b"+OK\r\n+PONG\r\n$6\r\na\r\nb\r\n\r\n", "{at}");
    }
}

#[test]
fn sets_in_a_row_are_as_sets_one_by_one() {
    let mut session = Session::<Kv>::open();
    let set = |key: &str, value: &str| {
        format!("*3|$3|SET|${}|{key}|${}|{value}|", key.len(), value.len())
    };
    let sets: String = (0..250).map(|n: u32| set(&n.to_string(), "v")).collect();
    let get = "*2|$3|GET|$3|249|".to_owned();
    let ask = |session: &mut Session<Kv>, text: String| asked(session, &text.replace('|', "\n"));
    assert_eq!(ask(&mut session, sets + &get), "+OK|".repeat(250) + "$1|v|");
    let bad = set("a", "1") + &set("b", "2") + &set("", "3") + &set("c", "4") + &set("d", "5");
    let error = "-ERR a key is UTF-8 of 1 to 1,024 bytes here|";
    assert_eq!(ask(&mut session, bad), format!("+OK|+OK|{error}+OK|+OK|"));
    assert_eq!(
        asked(&mut session, "MGET a b c d\n"),
        "*4|$1|1|$1|2|$1|4|$1|5|"
    );
}

#[test]
fn gets_in_a_row_are_as_gets_one_by_one() {
    let mut session = Session::<Kv>::open();
    let get = |key: &str| format!("*2|$3|GET|${}|{key}|", key.len());
    let ask = |session: &mut Session<Kv>, text: String| asked(session, &text.replace('|', "\n"));
    let large = "x".repeat(20_000);
    for (key, value) in [("a", "1"), ("empty", "''"), ("large", &large)] {
        assert_eq!(asked(&mut session, &format!("SET {key} {value}\n")), "+OK|");
    }
    let round = ["a", "nothing", "empty", "large", ""];
    let error = "-ERR a key is UTF-8 of 1 to 1,024 bytes here|";
    let answers = format!("$1|1|$-1|$0||$20000|{large}|{error}");
    let gets = |keys: &[&str]| keys.iter().map(|key| get(key)).collect::<String>();
    assert_eq!(
        ask(&mut session, gets(&round).repeat(60)),
        answers.repeat(60)
    );
    // More in one call than are sent at once.
    let all = gets(&["large"; 9]) + &gets(&["a"; 120]);
    let answers = format!("$20000|{large}|").repeat(9) + &"$1|1|".repeat(120);
    assert_eq!(ask(&mut session, all), answers);
}

#[test]
fn what_is_no_command_ends_the_connection() {
    for (bytes, why) in [
        ("*x\n", "invalid multibulk length"),
        ("*1\n+1\n", "expected '$'"),
        (
            "*1\n$9999999999\n",
            "invalid bulk length: a command has at most 1,000,000 bytes",
        ),
        ("*10001\n", "invalid multibulk length"),
        ("get 'x\n", "unbalanced quotes in request"),
        (&"x".repeat(65536), "too big inline request"),
    ] {
        let mut session = Session::<Kv>::open();
        let answer = asked(&mut session, bytes);
        assert_eq!(answer, format!("-ERR Protocol error: {why}|"));
        assert!(session.has_ended());
    }
}

#[test]
fn channels_and_patterns() {
    let mut session = Session::<Kv>::open();
    assert_eq!(
        asked(&mut session, "SUBSCRIBE a.b a.b\nPSUBSCRIBE a.*\n"),
        "*3|$9|subscribe|$3|a.b|:1|*3|$9|subscribe|$3|a.b|:1|*3|$10|psubscribe|$3|a.*|:2|"
    );
    assert_eq!(session.subscriptions(), ["c.a.>", "c.a.b"]);
    assert!(asked(&mut session, "GET k\n").starts_with("-ERR Can't execute 'get'"));
    assert_eq!(asked(&mut session, "PING\n"), "*2|$4|pong|$0||");
    let mut session = session.swap::<Kv>().expect("the same code");
    let message = |topic| Message {
        topic,
        sender: 7,
        bytes: b"hi",
    };
    let got = session.message(message("c.a.b"));
    let both = "*3|$7|message|$3|a.b|$2|hi|*4|$8|pmessage|$3|a.*|$3|a.b|$2|hi|";
    assert_eq!(got, both.replace('|', "\r\n").as_bytes());
    assert_eq!(session.message(message("c.other")), b"");
    assert_eq!(
        asked(&mut session, "UNSUBSCRIBE\nPUNSUBSCRIBE a.*\nUNSUBSCRIBE\n"),
        "*3|$11|unsubscribe|$3|a.b|:1|*3|$12|punsubscribe|$3|a.*|:0|*3|$11|unsubscribe|$-1|:0|"
    );
    assert!(session.subscriptions().is_empty());
    assert_eq!(asked(&mut session, "PUBLISH x hello\n"), ":0|");
    assert_eq!(session.published(), [("c.x".to_owned(), b"hello".to_vec())]);
}

#[test]
fn a_pattern_of_many_parts_counts_as_several() {
    let mut session = Session::<Kv>::open();
    let rest = ".p".repeat(14) + ".*";
    for number in 0..50 {
        let answer = asked(&mut session, &format!("PSUBSCRIBE {number}{rest}\n"));
        assert!(answer.ends_with(&format!("|:{}|", number + 1)), "{answer}");
    }
    let refused = "-ERR a client may have 100 subscriptions; \
                   a pattern of many parts counts as several|";
    let answer = asked(&mut session, &format!("PSUBSCRIBE 50{rest} x\n"));
    assert_eq!(answer, refused.repeat(2));
    // As the host counts them.
    let weight = |pattern: &String| pattern.split('.').count().div_ceil(16);
    assert_eq!(
        session.subscriptions().iter().map(weight).sum::<usize>(),
        100
    );
}

#[test]
fn the_largest_state_fits_into_a_snapshot() {
    let mut session = Session::<Kv>::open();
    let long = "k".repeat(1023);
    asked(&mut session, &format!("MSET {long}1 x {long}2 x\n"));
    asked(&mut session, &format!("CLIENT SETNAME {long}\n"));
    for number in 1..=16 {
        let answer = asked(&mut session, "SCAN 0 COUNT 1\n");
        let cursor = number.to_string();
        let expected = format!("*2|${}|{cursor}|*1|$1024|{long}1|", cursor.len());
        assert_eq!(answer, expected);
    }
    let long = "x".repeat(252);
    let answer = asked(&mut session, &format!("PSUBSCRIBE *{long}0000\n"));
    assert_eq!(answer, "-ERR a channel or pattern has at most 256 bytes|");
    for number in 0..100 {
        let answer = asked(&mut session, &format!("PSUBSCRIBE *{number:03}{long}\n"));
        assert!(answer.starts_with("*3|$10|psubscribe|$256|"), "{answer}");
    }
    let half = "*2|$4|ECHO|$999970|".replace('|', "\r\n") + &"x".repeat(999_970);
    for piece in half.as_bytes().chunks(60_000) {
        assert_eq!(session.data(piece), b"");
    }
    let snapshot = session.handler.snapshot().state;
    assert!(snapshot.len() > 1_000_000 + 100 * 256 + 16 * 1024);
    // At a server the cursors and the version take some bytes more.
    assert!(snapshot.len() + 100 <= 1 << 20, "{}", snapshot.len());
}

#[test]
fn too_many_bytes_of_keys_are_an_error() {
    let mut session = Session::<Kv>::open();
    let bucket = Bucket::open(BUCKET).expect("a bucket");
    let long = "k".repeat(1020);
    for number in 0..4097 {
        bucket.set(&format!("{long}{number:04}"), "").expect("set");
    }
    let answer = asked(&mut session, "KEYS *\nPING\n");
    assert_eq!(
        answer,
        "-ERR the reply has more than 4 MiB; use SCAN|+PONG|"
    );
    let answer = asked(&mut session, "KEYS *0000\n");
    assert_eq!(answer, format!("*1|$1024|{long}0000|"));
}

#[test]
fn resp3_has_its_own_nulls_maps_and_pushes() {
    let mut session = Session::<Kv>::open();
    let hello = asked(&mut session, "HELLO 3 SETNAME me\n");
    assert!(hello.starts_with("%6|$6|server|$5|redis|"), "{hello}");
    assert_eq!(session.label(), "me");
    assert_eq!(
        asked(&mut session, "GET k\nCONFIG GET save\n"),
        "_|%1|$4|save|$0||"
    );
    assert_eq!(
        asked(&mut session, "SUBSCRIBE a\nGET k\n"),
        ">3|$9|subscribe|$1|a|:1|_|"
    );
    // A client gets its own messages.
    assert_eq!(
        asked(&mut session, "PUBLISH a hi\n"),
        ":1|>3|$7|message|$1|a|$2|hi|"
    );
    assert!(asked(&mut session, "HELLO 4\n").starts_with("-NOPROTO"));
}
