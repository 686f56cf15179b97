//! Long text is written and read, within ten times the default CPU budget: a cost that
//! grows faster than the text exceeds that, and a busy machine does not.

use super::serve_text;
use crate::harness::Server;

/// Each question asks for some megabytes of text, and is answered with their length.
const SCRIPT: &str = r#"
const net = require('net');
const answers = {
  ascii: (s) => s.write('x'.repeat(5e6)),
  latin: (s) => s.write('\u00e1'.repeat(2.5e6)),
  wide: (s) => s.write('\u20ac\u{1f600}'.repeat(4e5)),
  half: (s) => s.write('x'.repeat(262143) + '\ud83d\ude00' + '\ud83d'),
  binary: (s) => s.write('\u00ff'.repeat(4e6), 'latin1'),
  read: (s) => s.write(String(Buffer.alloc(4e6, '\u00e1').toString().length)),
  cut: (s) => s.write(String(Buffer.alloc(4e6, 'x\u20ac').toString().length)),
  broken: (s) => s.write(String(Buffer.alloc(3e6, Buffer.from([0x78, 0xe2, 0x82])).toString().length)),
  length: (s) => s.write(String(Buffer.byteLength('\u00e1'.repeat(2e6)))),
  utf16: (s) => s.write('x'.repeat(1e6), 'utf16le'),
  bytes: (s) => s.write(String(Buffer.alloc(8e6, 0xe1).toString('latin1').length)),
  plain: (s) => s.write(String(Buffer.alloc(2e6, 0x78).toString('ascii').length)),
  repeat: (s) => s.write(String(['ab'.repeat(1e7), 'abc'.repeat(1000), 'x'.repeat(0)].map((text) => text.length))),
  large: (s) => s.write('x'.repeat(2e7)),
  hex: (s) => s.write('0a'.repeat(1e6), 'hex'),
  memory: () => { const kept = []; for (;;) kept.push(Buffer.alloc(4e6)); },
};
net.createServer((s) => s.on('data', (data) => answers[data](s))).listen(3000);
"#;

#[test]
fn long_text_is_written_and_read() {
    // Node's queue has no end. How long it takes is in docs/javascript.md.
    let Some(server) = start(&["--max-queue", "32M", "--cpu-budget", "1s"]) else {
        return;
    };
    for (question, expected) in [
        ("ascii", "x".repeat(5_000_000)),
        ("latin", "\u{e1}".repeat(2_500_000)),
        ("wide", "\u{20ac}\u{1f600}".repeat(400_000)),
        ("half", "x".repeat(262_143) + "\u{1f600}\u{fffd}"),
        ("read", "2000000".to_owned()),
        ("cut", "2000000".to_owned()),
        ("broken", "2000000".to_owned()),
        ("length", "4000000".to_owned()),
        ("hex", "\n".repeat(1_000_000)),
        ("utf16", "x\0".repeat(1_000_000)),
        ("bytes", "8000000".to_owned()),
        ("plain", "2000000".to_owned()),
        ("repeat", "20000000,3000,0".to_owned()),
    ] {
        assert!(
            answer(&server, question, expected.len()) == expected.as_bytes(),
            "{question}"
        );
    }
    let bytes = answer(&server, "binary", 4_000_000);
    assert!(bytes.iter().all(|byte| *byte == 0xff));
    assert!(!server.stop().stderr.contains("ERROR"));
}

/// It takes most of the default CPU budget, and all of it on a busy machine.
#[test]
fn the_longest_text_that_fits_into_the_memory_is_written() {
    let Some(server) = start(&["--max-queue", "32M", "--cpu-budget", "5s"]) else {
        return;
    };
    assert!(answer(&server, "large", 20_000_000) == "x".repeat(20_000_000).as_bytes());
}

fn start(args: &[&str]) -> Option<Server> {
    Some(serve_text("long_text", SCRIPT)?.args(args).start())
}

fn answer(server: &Server, question: &str, length: usize) -> Vec<u8> {
    let mut client = server.connect();
    client.send(question);
    client.read(length)
}

#[test]
fn an_error_of_memory_names_the_flag() {
    let Some(server) = start(&[]) else {
        return;
    };
    let mut client = server.connect();
    client.send("memory");
    client.expect_over();
    let line = server.stderr.wait("out of memory");
    assert!(line.contains("after exceeding --max-memory"), "{line}");
}
