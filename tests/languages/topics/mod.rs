//! Topics in every language: one guest, `messenger`, does in C, JavaScript and Python what
//! it does in Rust, and subscriptions go along from one language to the next.
//!
//! `tests/topics` tries the host's part, with the one in Rust.

use super::{component_of, javascript, serve_large};
use crate::guests::{differing, messenger};
use crate::harness::{Server, hotsocket, kept, repo, run, wait_for};
use crate::topics::{Orders, STUCK, connect, stuck};

const LANGUAGES: [&str; 4] = ["rs", "c", "js", "py"];

/// The messenger in a language; `None` if it cannot be built here.
fn messenger_in(language: &str) -> Option<Vec<u8>> {
    match language {
        "rs" => Some(messenger()),
        _ => component_of(&repo(&format!(
            "tests/languages/topics/messenger.{language}"
        ))),
    }
}

/// Have this conversation with the messenger in every language.
fn in_each_language(args: &[&str], talk: impl Fn(&Server, &[u8])) {
    for language in LANGUAGES {
        if let Some(component) = messenger_in(language) {
            println!("in {language}");
            talk(&serve_large(&component).args(args).start(), &component);
        }
    }
}

#[test]
fn messages_reach_subscribers_in_either_way() {
    in_each_language(&[], |server, _| {
        let [mut a, mut b, mut c] = connect(server);
        a.order("event rooms.*");
        b.order("direct rooms.lobby");
        c.order("publish rooms.lobby hello there");
        a.expect_line("1 rooms.lobby 3 hello there");
        b.expect("hello there");
        c.ask("count rooms.lobby\n", "2\n");
        // Bytes that are no text, from outside.
        let path = kept("message.bin");
        std::fs::write(&path, b"\xff\0\x80").expect("written");
        let path = path.to_string_lossy();
        assert_eq!(server.ask(&["publish", "rooms.x", &path]).code, 0);
        a.expect("2 rooms.x 0 ");
        // As text some languages show it otherwise; the direct way leaves bytes alone.
        while a.read(1) != b"\n" {}
        assert_eq!(server.ask(&["publish", "rooms.lobby", &path]).code, 0);
        b.expect(b"\xff\0\x80");
        a.expect("3 rooms.lobby 0 ");
        while a.read(1) != b"\n" {}
        a.order("leave rooms.*");
        c.ask("count rooms.lobby\n", "1\n");
        c.order("publish rooms.lobby again");
        b.expect("again");
        a.ask("?\n", "what?\n");
    });
}

#[test]
fn what_an_event_asks_for_is_dropped_with_it() {
    in_each_language(&[], |server, _| {
        let [mut a, mut b] = connect(server);
        a.order("event t");
        b.send("publish t lost!\n");
        b.expect_over();
        let [mut c] = connect(server);
        c.order("publish t kept");
        a.expect_line("1 t 3 kept");
    });
}

#[test]
fn a_will_is_published_unless_it_is_taken_back() {
    in_each_language(&[], |server, _| {
        let [mut a, mut b, mut c, mut d] = connect(server);
        a.order("event t");
        b.order("will t b is gone");
        c.order("will t never");
        c.order("no-will");
        c.send("end\n");
        c.expect_rest("");
        b.reset();
        a.expect_line("1 t 2 b is gone");
        d.order("will t d is gone");
        d.send("trap\n");
        d.expect_over();
        a.expect_line("2 t 4 d is gone");
    });
}

#[test]
fn a_subscriber_hears_how_many_messages_it_has_missed() {
    in_each_language(&["--max-mailbox", "128K"], |server, _| {
        let mut stuck = stuck(server, "event-drop t");
        let mut sender = server.connect();
        sender.ask("?\n", "what?\n");
        wait_for("messages to be dropped", || {
            sender.order("many t 4 50000");
            server.ask_topics()["dropped"].as_u64() > Some(10)
        });
        let dropped = server.ask_topics()["dropped"].as_u64().expect("a number");
        stuck.read(STUCK);
        stuck.expect_line(&format!("lagged {dropped}"));
        stuck.expect("1 t 2 0000");
    });
}

#[test]
fn errors_are_those_of_the_contract() {
    in_each_language(&[], |server, _| {
        let [mut a] = connect(server);
        for order in ["publish a..b x", "event a.>.b", "will > x"] {
            a.ask(format!("{order}\n"), "Invalid\n");
        }
        a.ask("many t 1 65537\n", "TooLarge\n");
        a.ask("many t 17 65536\n", "TooMuch\n");
        a.ask("count a..b\n", "0\n");
        a.ask("?\n", "what?\n");
    });
}

/// A swap to the same language, sleep, and a restart after a trap.
#[test]
fn subscriptions_outlive_the_instance() {
    in_each_language(
        &["--on-trap", "restart", "--hibernate-after", "100ms"],
        |server, component| {
            let [mut a, mut b, mut c] = connect(server);
            a.order("event t");
            b.order("direct t");
            b.order("will t farewell");
            wait_for("all to sleep", || server.connections("asleep") == 3);
            // It wakes, and still knows its number.
            c.order("publish t one");
            a.expect_line("1 t 3 one");
            b.expect("one");
            let next = differing(component.to_vec());
            assert_eq!(server.swap(next, &[])["migrated"], 3);
            c.order("publish t two");
            a.expect_line("2 t 3 two");
            b.expect("two");
            a.send("trap\n");
            server.stderr.wait("restarted");
            c.order("publish t three");
            a.expect_line("3 t 3 three");
            b.expect("three");
            c.ask("count t\n", "2\n");
            b.reset();
            a.expect_line("4 t 2 farewell");
        },
    );
}

/// Members of a room whose code goes through all languages and back.
#[test]
fn subscriptions_go_from_language_to_language() {
    let mut all = Vec::new();
    for language in LANGUAGES {
        let Some(component) = messenger_in(language) else {
            return;
        };
        all.push(component);
    }
    // Compiled once before, so that the swaps below are not timed out.
    for component in &all {
        serve_large(component).start().stop();
    }
    let server = serve_large(&all[0]).start();
    let [mut a, mut b, mut c] = connect(&server);
    a.order("event t");
    b.order("direct t");
    b.order("will t farewell");
    for (round, which) in [1, 2, 3, 2, 1, 3, 0].into_iter().enumerate() {
        assert_eq!(server.swap(all[which].clone(), &[])["migrated"], 3);
        c.order(&format!("publish t round {round}"));
        a.expect_line(&format!("{} t 3 round {round}", round + 1));
        b.expect(format!("round {round}"));
    }
    b.reset();
    a.expect_line("8 t 2 farewell");
}

/// Without a function that is called with messages, `event` is refused; and a guest that
/// uses nothing of the package has nothing of it.
#[test]
fn a_guest_has_of_topics_what_it_uses() {
    let dir = kept("topics");
    std::fs::create_dir_all(&dir).expect("a directory");
    for (name, text, told) in MUTE {
        let source = dir.join(name);
        std::fs::write(&source, text).expect("written");
        let Some(component) = component_of(&source) else {
            continue;
        };
        let path = dir.join(format!("{name}.wasm"));
        std::fs::write(&path, &component).expect("written");
        let inspected = run(hotsocket().arg("inspect").arg(&path)).success();
        assert!(
            inspected.contains("hotsocket:topics/topics@"),
            "{inspected}"
        );
        assert!(
            !inspected.contains("hotsocket:topics/subscriber@"),
            "{inspected}"
        );
        let server = serve_large(component).start();
        let mut client = server.connect();
        client.send("x\n");
        client.expect(format!("{told}\n"));
    }
    for name in ["echo.c", "echo.js", "echo.py"] {
        let Some(component) = component_of(&super::example(name)) else {
            continue;
        };
        let path = dir.join(format!("{name}.wasm"));
        std::fs::write(&path, &component).expect("written");
        let inspected = run(hotsocket().arg("inspect").arg(&path)).success();
        assert!(
            !inspected.contains("hotsocket:topics"),
            "{name}: {inspected}"
        );
    }
}

const MUTE: [(&str, &str, &str); 3] = [
    (
        "mute.c",
        r#"
#include <hotsocket.h>
#include <string.h>
void on_data(const uint8_t *data, size_t size) {
    (void)data, (void)size;
    const char *why = hs_why(hs_subscribe("t", HS_EVENT, HS_CLOSE));
    hs_write(why, strlen(why));
    hs_write("\n", 1);
}
"#,
        "define on_message to subscribe with HS_EVENT",
    ),
    (
        "mute.js",
        r"
require('net').createServer((socket) => socket.on('data', () => {
  try {
    socket.hotsocket.join('t');
  } catch ({ code, message }) {
    socket.write(`${code} ${message}\n`);
  }
})).listen(3000);
",
        "ERR_HOTSOCKET_TOPIC_NO_SUBSCRIBER \"t\" is joined with delivery 'event', and the script names no listener of 'message'",
    ),
    (
        "mute.py",
        r#"
from hotsocket import Handler, topics

class Mute(Handler):
    def data(self, conn, data):
        try:
            topics.subscribe("t")
        except topics.NoSubscriber as error:
            return f"{error}\n".encode()
"#,
        "`Delivery.EVENT` needs a handler that derives from `hotsocket.topics.Subscriber`.",
    ),
];

/// What a script asks for in its connection callback holds, and is not done twice.
#[test]
fn a_script_that_is_swapped_asks_for_what_is_new_in_it() {
    let script = |joined: &str| {
        format!(
            "require('net').createServer((socket) => {{\n\
               socket.hotsocket.save(() => 'x');\n\
               socket.hotsocket.join('{joined}');\n\
               socket.hotsocket.publish('news', 'came');\n\
               socket.hotsocket.will('news', 'left {joined}');\n\
               socket.on('message', (topic, bytes) => socket.write(`${{topic}} ${{bytes}}\\n`));\n\
               socket.on('data', (data) => {{\n\
                 if (String(data) === 'leave') socket.hotsocket.leave('{joined}');\n\
                 socket.write('ok\\n');\n\
               }});\n\
             }}).listen(3000);\n"
        )
    };
    let component =
        |joined: &str| javascript::component_of(&format!("joins_{joined}"), &script(joined));
    let (Some(first), Some(second)) = (component("news"), component("more")) else {
        return;
    };
    let server = serve_large(first)
        .args(&["--hibernate-after", "100ms"])
        .start();
    let mut a = server.connect();
    a.ask("x", "ok\n");
    let mut b = server.connect();
    a.expect("news came\n");
    b.ask("x", "ok\n");
    a.ask("leave", "ok\n");
    wait_for("both to sleep", || server.connections("asleep") == 2);
    // Woken, it does not join again what it has left.
    a.ask("x", "ok\n");
    publish(&server, "news");
    b.expect("news \n");
    a.ask("x", "ok\n");
    // New code joins something else; nobody hears that it has come.
    server.swap(second, &[]);
    a.ask("x", "ok\n");
    b.ask("x", "ok\n");
    publish(&server, "more");
    a.expect("more \n");
    b.expect("more \n");
    publish(&server, "news");
    b.expect("news \n");
    a.reset();
    b.expect("news left more\n");
    b.ask("x", "ok\n");
}

fn publish(server: &Server, topic: &str) {
    let ran = server.ask(&["publish", topic]);
    assert_eq!(ran.code, 0, "{ran:?}");
}
