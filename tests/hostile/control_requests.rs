//! The control socket: requests of any kind, from clients of any kind.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::process::Signal;

use crate::guests::obeying;
use crate::harness::{PATIENCE, Scene, Server, wait_for};

fn connect(server: &Server) -> UnixStream {
    let stream = UnixStream::connect(server.control_socket()).expect("its socket");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Send this and nothing more; the answer.
fn request(server: &Server, bytes: &[u8]) -> String {
    let mut stream = connect(server);
    // It may have been refused before all of it was sent.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The line that asks for a swap to a component of this name and length, which
/// follows.
fn swap_request(name: &str, length: usize) -> String {
    format!("{{\"request\":\"swap\",\"name\":\"{name}\",\"length\":{length},\"policy\":null}}\n")
}

fn is_refused(answer: &str) -> bool {
    let json: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    json["answer"] == "error" && answer.ends_with('\n') && answer.len() < 4096
}

/// Something like a request.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let words = prop::sample::select(vec![
        "status", "swap", "rollback", "history", "stop", "", "\\u0000", "é",
    ]);
    let field = prop::sample::select(vec![
        r#""name":"x""#,
        r#""name":7"#,
        r#""length":10"#,
        r#""length":-1"#,
        r#""length":18446744073709551615"#,
        r#""length":1e99"#,
        r#""policy":"never""#,
        r#""policy":null"#,
        r#""policy":[[[[[[]]]]]]"#,
        r#""request":"status""#,
    ]);
    let alike = (
        words,
        prop::collection::vec(field, 0..4),
        any::<Option<prop::sample::Index>>(),
    )
        .prop_map(|(word, fields, cut)| {
            let fields: String = fields.iter().map(|field| format!(",{field}")).collect();
            let mut line = format!("{{\"request\":\"{word}\"{fields}}}\n").into_bytes();
            if let Some(cut) = cut {
                line.truncate(cut.index(line.len()));
            }
            line
        });
    prop_oneof![
        3 => alike,
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => (1_usize..60_000).prop_map(|deep| vec![b'['; deep]),
    ]
}

#[test]
fn any_request_is_answered_and_changes_nothing() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let mut runner = TestRunner::new(Config {
        cases: 150,
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(
        &(line(), prop::collection::vec(any::<u8>(), 0..50)),
        |(line, body)| {
            let answer = request(&scene.server, &[line.clone(), body].concat());
            let known = ["status", "history"]
                .iter()
                .any(|known| answer.starts_with(&format!("{{\"answer\":\"{known}\"")));
            prop_assert!(
                known || is_refused(&answer),
                "{:?}: {answer:?}",
                String::from_utf8_lossy(&line)
            );
            Ok(())
        },
    );
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scene.server.status()["generation"], 1);
    scene.undisturbed();
}

#[test]
fn a_body_that_ends_too_soon_is_refused() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let component = obeying(&[('z', "")]).build();
    let line = swap_request("n", component.len());
    for part in [0, 1, 8, component.len() / 2, component.len() - 1] {
        let answer = request(
            &scene.server,
            &[line.as_bytes(), &component[..part]].concat(),
        );
        assert!(answer.contains(&format!("only {part} of ")), "{answer}");
    }
    // And what comes after it is not looked at.
    let answer = request(
        &scene.server,
        &[line.as_bytes(), &component, b"more"].concat(),
    );
    assert!(answer.contains("\"swapped\""), "{answer}");
    scene.undisturbed();
}

#[test]
fn a_name_cannot_fake_a_line_of_the_log() {
    let scene = Scene::start(&obeying(&[]), &[]);
    let body = b"no component";
    let line = swap_request(r"a\nERROR faked\u001b[2J", body.len());
    assert!(is_refused(&request(
        &scene.server,
        &[line.as_bytes(), body].concat()
    )));
    scene.server.stderr.wait("not swapped");
    let log = scene.end().stderr;
    assert!(!log.contains("\nERROR faked"), "{log}");
    assert!(!log.contains('\u{1b}'), "{log}");
}

/// As many as there may be at once, short of one.
#[test]
fn clients_that_hang_block_no_other() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let hanging: Vec<_> = (0..60)
        .map(|number| {
            let mut stream = connect(&scene.server);
            let part: &[u8] = match number % 3 {
                0 => b"",
                1 => b"{\"request\":",
                _ => b"{\"request\":\"swap\",\"name\":\"n\",\"length\":1000,\"policy\":null}\nabc",
            };
            stream.write_all(part).expect("taken");
            stream
        })
        .collect();
    assert_eq!(scene.server.status()["generation"], 1);
    scene.server.overwrite(obeying(&[('z', "")]).build(), 2);
    // Nor do those that take no answer.
    for mut stream in hanging {
        let _ = stream.set_read_timeout(Some(Duration::from_millis(1)));
        let _ = stream.write_all(b"\n");
        let _ = stream.shutdown(Shutdown::Read);
    }
    assert_eq!(scene.server.status()["generation"], 2);
    scene.undisturbed();
}

/// More than there are places: those that have waited longest lose theirs.
#[test]
fn any_number_of_clients_that_hang_blocks_no_other() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let mut hanging: Vec<_> = (0..100).map(|_| connect(&scene.server)).collect();
    let begun = Instant::now();
    assert_eq!(scene.server.status()["generation"], 1);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "answered after {took:?}");
    // The first was told why; the last still has its place.
    let mut told = String::new();
    hanging[0].read_to_string(&mut told).expect("an answer");
    assert!(is_refused(&told) && told.contains("evicted"), "{told}");
    let mut last = hanging.pop().expect("a hundred");
    last.write_all(b"{\"request\":\"status\"}\n")
        .expect("taken");
    let mut answer = String::new();
    last.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("{\"answer\":\"status\""), "{answer}");
    scene.undisturbed();
}

/// Places are for whoever the server waits for; a swap under way keeps its own.
#[test]
fn clients_that_hang_disturb_no_swap() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let component = obeying(&[('z', "")]).build();
    let line = swap_request("n", component.len());
    let mut swap = connect(&scene.server);
    swap.write_all(&[line.as_bytes(), &component].concat())
        .expect("taken");
    let _hanging: Vec<_> = (0..100).map(|_| connect(&scene.server)).collect();
    let mut answer = String::new();
    swap.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("\"swapped\""), "{answer}");
    scene.undisturbed();
}

/// Who has said all the server needs is not waited for, though the server sees
/// it at the same time as a crowd that says nothing.
#[test]
fn a_request_that_waits_to_be_read_keeps_its_place() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    scene.server.freeze();
    let asking: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = connect(&scene.server);
            stream
                .write_all(b"{\"request\":\"status\"}\n")
                .expect("taken");
            stream
        })
        .collect();
    let _hanging: Vec<_> = (0..100).map(|_| connect(&scene.server)).collect();
    scene.server.signal(Signal::CONT);
    for mut stream in asking {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("{\"answer\":\"status\""), "{answer}");
    }
    scene.undisturbed();
}

/// What hanging clients have sent is held for them, but only so much of it.
#[test]
fn the_memory_of_all_requests_together_is_limited() {
    let mut scene = Scene::start(&obeying(&[]), &["--max-component", "1M"]);
    let line = swap_request("n", 1 << 20);
    // Just short of a whole component, each.
    let part = [line.as_bytes(), &[0; 1_000_000]].concat();
    let mut hanging: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = connect(&scene.server);
            stream.write_all(&part).expect("taken");
            stream
        })
        .collect();
    let component = obeying(&[('z', "")]).build();
    let swap = [
        swap_request("n", component.len()).as_bytes(),
        component.as_slice(),
    ]
    .concat();
    // They may not have been read yet.
    let mut refused = 0;
    wait_for("a request to be refused", || {
        let answer = request(&scene.server, &swap);
        refused = u64::from(answer.contains("other requests hold almost 2097152 bytes already"));
        refused > 0
    });
    assert_eq!(scene.server.limit_reached("request-bytes"), 1);
    // Those without a component go on, and the others when there is room again.
    assert!(scene.server.status()["generation"].as_u64() >= Some(1));
    hanging.pop();
    wait_for("room", || {
        request(&scene.server, &swap).contains("\"answer\":\"swap\"")
    });
    scene.undisturbed();
}

/// What is announced and not sent takes no memory.
#[test]
fn announced_components_take_no_memory() {
    let mut scene = Scene::start(&obeying(&[]), &[]);
    let line = swap_request("n", 256 << 20);
    let _hanging: Vec<_> = (0..60)
        .map(|_| {
            let mut stream = connect(&scene.server);
            stream
                .write_all(&[line.as_bytes(), &[0; 1000]].concat())
                .expect("taken");
            stream
        })
        .collect();
    let component = obeying(&[('z', "")]).build();
    let line = swap_request("n", component.len());
    let answer = request(&scene.server, &[line.as_bytes(), &component].concat());
    assert!(answer.contains("\"swapped\""), "{answer}");
    scene.undisturbed();
}
