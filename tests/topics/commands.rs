//! `hotsocket publish` and `hotsocket topics`.

use std::fs;

use serde_json::Value;

use super::{Orders, connect, start};
use crate::harness::{Server, repo};

impl Server {
    /// What `hotsocket topics --json` prints.
    pub fn ask_topics(&self) -> Value {
        let ran = self.ask(&["topics", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.stdout).expect("JSON")
    }
}

#[test]
fn a_message_from_outside() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event t.*");
    b.order("event t.x");
    let file = server.path("message");
    fs::write(&file, "from a file").expect("written");
    let ran = server.ask(&["publish", "t.x", &file.display().to_string()]);
    assert_eq!(ran.stdout, "published to 2 connections\n");
    a.expect_line("1 t.x 0 from a file");
    b.expect_line("1 t.x 0 from a file");
    // Standard input is empty here.
    let ran = server.ask(&["publish", "t.y", "--json"]);
    let answer: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(answer["receivers"], 1);
    a.expect_line("2 t.y 0 ");
}

#[test]
fn what_cannot_be_published_is_said() {
    let server = start(&[]);
    let large = server.path("large");
    fs::write(&large, vec![0; 65_537]).expect("written");
    let large = large.display().to_string();
    for (args, message) in [
        (["publish", "a.*"], "\"a.*\" is no topic to publish under"),
        (["publish", "a..b"], "\"a..b\" is no topic to publish under"),
    ] {
        let told = server.ask(&args).failure(1);
        assert!(told.contains(message), "{told}");
    }
    let told = server.ask(&["publish", "a", &large]).failure(1);
    assert!(told.contains("has more than 65536 bytes"), "{told}");
    let told = server.ask(&["publish", "a", "/nowhere/file"]).failure(1);
    assert!(told.contains("cannot read /nowhere/file"), "{told}");
    assert!(repo("wit/topics/topics.wit").exists());
}

#[test]
fn topics_are_listed_with_subscribers_and_messages() {
    let server = start(&[]);
    let [mut a, mut b] = connect(&server);
    a.order("event rooms.>");
    b.order("direct rooms.lobby");
    b.order("publish rooms.lobby x");
    a.expect_line("1 rooms.lobby 2 x");
    let answer = server.ask_topics();
    assert_eq!(answer["count"], 2);
    assert_eq!(answer["topics"][0]["pattern"], "rooms.>");
    assert_eq!(answer["topics"][1]["subscribers"], 1);
    assert_eq!(
        (&answer["published"], &answer["delivered"]),
        (&1.into(), &1.into())
    );
    let text = server.ask(&["topics"]).stdout;
    let row = text
        .lines()
        .find(|line| line.starts_with("rooms.lobby"))
        .expect("a row");
    let row: Vec<_> = row.split_whitespace().collect();
    assert_eq!(row, ["rooms.lobby", "1", "1", "0.0"], "{text}");
    assert!(text.ends_with("1 published, 1 delivered (0.0 a second), 0 dropped since the start\n"));
    drop(a);
    server.wait_open(1);
    assert_eq!(server.ask_topics()["count"], 1);
}
