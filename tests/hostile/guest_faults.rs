//! A guest that traps, loops, exits or waits costs its own connection and no other,
//! and the log says what it did.

use crate::guests::{guest, obeying, wayward};
use crate::harness::{Scene, count_lines, serve, wait_for};

/// Serve a guest that does this for `y`.
fn start(body: &str, args: &[&str]) -> Scene {
    Scene::start(&obeying(&[('y', body)]), args)
}

/// The client whose guest dies is closed, with one line in the log that says
/// all of this; the neighbour goes on, and so do new ones.
fn costs_one(mut scene: Scene, order: &str, words: &[&str]) {
    let mut client = scene.client();
    let from = client.stream.local_addr().expect("an address").to_string();
    client.send(order);
    client.expect_over();
    drop(client);
    let line = scene.server.stderr.wait("ERROR");
    assert!(line.contains(&format!(" from {from}: ")), "{line}");
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    scene.undisturbed();
    scene.client();
    scene.total("faults", 1);
    let log = scene.end().stderr;
    let mut lines = log
        .lines()
        .skip_while(|line| !line.contains("ready in "))
        .skip(1)
        // That a limit was met is worth a line by itself: the guest may live on.
        .filter(|line| !line.contains("was refused (--max-"))
        // What the stop itself says.
        .filter(|line| !line.contains(" draining: ") && !line.ends_with(" drained"));
    assert_eq!(lines.next(), Some(&*line), "{log}");
    assert!(
        lines.next().is_some_and(|line| line.contains("stopped")),
        "{log}"
    );
    assert_eq!(lines.next(), None, "{log}");
}

#[test]
fn a_trap_costs_one_connection() {
    let scene = start("(call $trap)", &[]);
    costs_one(
        scene,
        "y",
        &["guest trapped in `data`", "unreachable", "in function trap"],
    );
}

#[test]
fn a_panic_message_is_logged_with_its_trap() {
    let scene = start(r#"(call $panic "lost heart") (call $trap)"#, &[]);
    costs_one(
        scene,
        "y",
        &["guest panicked in `data`: lost heart", "in function trap"],
    );
}

#[test]
fn an_endless_loop_costs_one_connection() {
    let scene = start("(call $spin)", &["--cpu-budget", "50ms"]);
    costs_one(
        scene,
        "y",
        &["used more than 50 ms of CPU time", "--cpu-budget", "`data`"],
    );
}

#[test]
fn endless_recursion_costs_one_connection() {
    let scene = start("(drop (call $recurse (i32.const 0)))", &[]);
    costs_one(
        scene,
        "y",
        &[
            "guest trapped in `data`",
            "stack overflow",
            "--max-stack",
            "in function recurse",
        ],
    );
}

/// Each instance has run on a stack of its own, which goes on to the next one.
#[test]
fn the_stacks_of_deep_recursion_are_given_back() {
    const MANY: usize = 100;
    const STACK: usize = 512 << 10;
    let scene = start("(drop (call $recurse (i32.const 0)))", &[]);
    let mut clients: Vec<_> = (0..MANY).map(|_| scene.client()).collect();
    let before = scene.server.anonymous();
    for client in &mut clients {
        client.send("y");
        client.expect_over();
    }
    drop(clients);
    scene.server.wait_open(1);
    let mut after = 0;
    wait_for("the stacks' memory to be back", || {
        after = scene.server.anonymous();
        after < before + MANY * STACK / 4
    });
}

#[test]
fn growing_memory_without_end_costs_one_connection() {
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) (call $trap)";
    let scene = start(grow, &["--max-memory", "8M"]);
    costs_one(scene, "y", &["guest trapped in `data`", "--max-memory"]);
}

#[test]
fn a_write_from_outside_its_memory_costs_one_connection() {
    let scene = start("(call $say (i32.const -8) (i32.const 100))", &[]);
    costs_one(scene, "y", &["guest trapped in `data`"]);
}

#[test]
fn too_many_timers_cost_one_connection() {
    let many = "(loop $more
        (call $set-timer (global.get $state) (i64.const 1000000))
        (global.set $state (i32.add (global.get $state) (i32.const 1)))
        (br $more))";
    let scene = start(many, &[]);
    costs_one(scene, "y", &["too many timers"]);
}

#[test]
fn what_a_dying_event_wrote_is_not_sent() {
    let scene = start(r#"(call $say "half a reply") (call $trap)"#, &[]);
    costs_one(scene, "y", &["guest trapped in `data`"]);
}

#[test]
fn a_trap_is_logged_with_the_name_of_its_event() {
    let trap = |function| {
        guest().body(
            function,
            if function == "open" {
                "(call $trap) (call $ok)"
            } else {
                "(call $trap)"
            },
        )
    };
    let set_timer = "(call $set-timer (i32.const 1) (i64.const 1)) (call $ok)";
    for (guest, event) in [
        (trap("open"), "`open`"),
        (trap("end"), "`end`"),
        (trap("close"), "`close`"),
        (trap("timer").body("open", set_timer), "`timer`"),
    ] {
        let server = serve(guest.build()).start();
        let mut client = server.connect();
        if event != "`timer`" {
            client.end();
        }
        client.expect_over();
        drop(client);
        server.stderr.wait(&format!("guest trapped in {event}: "));
        server.settle();
        assert_eq!(count_lines(&server.stop().stderr, "guest trapped"), 1);
    }
}

fn stray() -> Scene {
    Scene::start(wayward(), &["--event-timeout", "300ms"])
}

#[test]
fn a_rust_panic_is_logged_with_message_place_and_function() {
    let scene = stray();
    let words = [
        "guest panicked in `data`: panicked at ",
        "wayward.rs:",
        "stumbled over xyz | and fell",
        "(in function wayward::stumble)",
    ];
    costs_one(scene, "panic xyz", &words);
}

#[test]
fn waiting_too_long_costs_one_connection() {
    let scene = stray();
    costs_one(
        scene,
        "sleep 100000",
        &["timed out after 300 ms", "--event-timeout"],
    );
}

#[test]
fn guests_that_wait_delay_nobody_else() {
    let server = serve(wayward()).start();
    let mut sleepers: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for sleeper in &mut sleepers {
        sleeper.send("sleep 500");
    }
    // Far more sleepers than threads; the others are served meanwhile.
    let mut awake = server.connect();
    for _ in 0..50 {
        awake.ask("x", "x");
    }
    for sleeper in &mut sleepers {
        sleeper.expect("slept");
    }
}

#[test]
fn a_guest_that_exits_ends_its_connection() {
    let mut scene = stray();
    let mut client = scene.client();
    client.send("exit 0");
    client.expect_rest("");
    drop(client);
    scene.undisturbed();
    // That is no fault, and not worth a line; with another code it is.
    costs_one(scene, "exit 3", &["exited with code 1", "`data`"]);
}
