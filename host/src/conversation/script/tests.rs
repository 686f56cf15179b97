use hotsocket_sandbox::UnixPeer;

use super::*;
use crate::conversation::facts::TlsVersion;

fn actions(text: &str) -> Vec<Action> {
    let steps = parse(text).unwrap_or_else(|error| panic!("{error:?}"));
    steps.into_iter().map(|step| step.action).collect()
}

#[test]
fn every_step_is_understood() {
    let text = "# a comment\n\n  send \"a\\n\" hex 0d0A ff \"b\" * 3   # another\nsend split 2 \"abc\"\n\
                expect \"# no comment\"\nexpect nothing\nstall\nresume\nend\nexpect end\nswap\nswap new.wasm\n\
                swap \"a b.wasm\"\nrollback\nwait 1.5s\nprint \"\"\nerror \"oh\"\nfault\nfault \"boom\"\n\
                publish a.b \"hi\" hex 00\npublished a \"x\"\nstop\n";
    let send = |bytes: &[u8], piece| Action::Send {
        bytes: bytes.to_vec(),
        piece,
    };
    let expected = [
        send(b"a\n\r\n\xffbbb", usize::MAX),
        send(b"abc", 2),
        Action::Expect(b"# no comment".to_vec()),
        Action::ExpectNothing,
        Action::Stall,
        Action::Resume,
        Action::End,
        Action::ExpectEnd,
        Action::Swap(None),
        Action::Swap(Some("new.wasm".to_owned())),
        Action::Swap(Some("a b.wasm".to_owned())),
        Action::Rollback,
        Action::Wait(Duration::from_millis(1500)),
        Action::Print(String::new()),
        Action::Error("oh".to_owned()),
        Action::Fault(None),
        Action::Fault(Some("boom".to_owned())),
        Action::Publish("a.b".to_owned(), b"hi\0".to_vec()),
        Action::Published("a".to_owned(), b"x".to_vec()),
        Action::Stop,
    ];
    assert_eq!(actions(text), expected);
}

#[test]
fn what_is_known_of_a_peer_is_said_before_it_connects() {
    let text = "peer address 192.0.2.1:7\npeer unix 1 2 3\npeer unix 1 2\npeer listener \"in\"\n\
                peer tls\npeer tls TLSv1.2\npeer server-name \"a\"\npeer protocol \"h2\"\n\
                peer certificate \"x\" * 3\npeer proxy [::1]:9\npeer extension 0xe0 hex 00\n\
                peer extension 5 \"id\"\npeer start-tls\nopen\nstart-tls";
    let address = |text: &str| text.parse().expect("an address");
    let unix = |pid| UnixPeer {
        uid: 1,
        gid: 2,
        pid,
    };
    let mut expected: Vec<_> = [
        Fact::Address(address("192.0.2.1:7")),
        Fact::Unix(unix(Some(3))),
        Fact::Unix(unix(None)),
        Fact::Listener("in".to_owned()),
        Fact::Tls(TlsVersion::V1_3),
        Fact::Tls(TlsVersion::V1_2),
        Fact::ServerName("a".to_owned()),
        Fact::Protocol(b"h2".to_vec()),
        Fact::Certificate(b"xxx".to_vec()),
        Fact::Proxy(address("[::1]:9")),
        Fact::Extension(0xe0, vec![0]),
        Fact::Extension(5, b"id".to_vec()),
        Fact::MayStartTls,
    ]
    .map(Action::Peer)
    .into();
    expected.extend([Action::Open, Action::StartTls]);
    assert_eq!(actions(text), expected);
    for (text, part) in [
        ("peer", "`peer` takes address IP:PORT"),
        ("peer address 192.0.2.1", "no address such as"),
        ("peer unix root 0", "\"root\" is no number"),
        ("peer tls SSLv3", "neither TLSv1.3 nor TLSv1.2"),
        ("peer extension 256 \"x\"", "0 to 255"),
        ("open\npeer tls", "after the connection was opened"),
        ("end\nstart-tls", "the peer has closed its side"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error:?}");
    }
}

#[test]
fn connections_have_names() {
    let steps = parse("a: open\nb: send \"x\"\na: expect reset\nabort").expect("a script");
    let names: Vec<_> = steps
        .iter()
        .map(|step| (step.line, &*step.connection))
        .collect();
    assert_eq!(names, [(1, "a"), (2, "b"), (3, "a"), (4, "")]);
}

#[test]
fn errors_name_their_line() {
    for (text, line, part) in [
        ("", 1, "no steps"),
        (
            "\n\nsned \"x\"",
            3,
            "unknown step \"sned\"; the steps are send,",
        ),
        ("send", 1, "needs at least one byte"),
        ("send x", 1, "takes \"text\" in quotes or hex 48 65, not x"),
        ("send hex 4", 1, "not 4"),
        ("send \"x", 1, "closing \" is missing"),
        ("send split 0 \"x\"", 1, "a number of at least 1"),
        ("send \"x\" * 99999999", 1, "may have 16777216"),
        ("expect", 1, "`expect` takes \"text\", hex"),
        ("end of it", 1, "unexpected text after `end`: of it"),
        ("end\nsend \"x\"", 2, "`send` after `end`"),
        ("expect end\nexpect \"x\"", 2, "nothing more can arrive"),
        ("abort\nend", 2, "after `abort`"),
        ("a: wait 1s", 1, "`wait` takes no connection name"),
        ("é: end", 1, "invalid connection name"),
        ("wait 1d", 1, "not a time"),
        ("wait 25h", 1, "24h at most"),
        ("print \"a\\nb\"", 1, "a single line of UTF-8 text"),
        ("print x", 1, "takes a \"line\" in quotes"),
        ("stop\nsend \"x\"", 2, "the server has shut down"),
        ("publish \"x\"", 1, "\"\" is no topic"),
        ("publish a.* \"x\"", 1, "\"a.*\" is no topic: tokens"),
        ("publish a \"x\" * 65537", 1, "a message may have 65536"),
        ("published a", 1, "`published` needs at least one byte"),
        ("a: publish a \"x\"", 1, "takes no connection name"),
        ("a:", 1, "missing step"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.line, line, "{text}");
        assert!(error.message.contains(part), "{text}: {}", error.message);
    }
}

#[test]
fn all_steps_together_have_a_limit() {
    let step = "send \"x\" * 16777216\n";
    assert!(parse(&step.repeat(8)).is_ok());
    let error = parse(&step.repeat(9)).expect_err("too many bytes");
    assert_eq!(error.line, 9);
    assert!(error.message.contains("134217728 together"), "{error:?}");
}
