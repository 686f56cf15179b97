//! The CPU budget: a loop in any exported function is stopped.

use crate::guests::{guest, obeying, wayward};
use crate::harness::{Scene, serve, wait_for};

const BUDGET: [&str; 2] = ["--cpu-budget", "20ms"];

/// Write until the host says that it is enough for now.
const FILL: &str = "(loop $more
    (br_if $more (i32.eqz (call $send (i32.const 0) (i32.const 65536)))))";

/// Loop if the client has ordered it for this event.
fn spin_if(number: u32) -> String {
    format!("(if (i32.eq (global.get $state) (i32.const {number})) (then (call $spin)))")
}

fn order(number: u32, then: &str) -> String {
    format!("(global.set $state (i32.const {number})) {then}")
}

#[test]
fn a_loop_in_each_event_ends() {
    let spinner = obeying(&[
        ('a', "(call $spin)"),
        ('b', &order(1, FILL)),
        ('c', &order(2, "")),
        (
            'd',
            &order(3, "(call $set-timer (i32.const 1) (i64.const 1))"),
        ),
        ('e', &order(4, "")),
    ])
    .body("drained", &spin_if(1))
    .body("end", &spin_if(2))
    .body("timer", &spin_if(3))
    .body("close", &spin_if(4));
    let mut scene = Scene::start(&spinner, &BUDGET);
    for (times, (letter, event)) in [
        ("a", "data"),
        ("b", "drained"),
        ("c", "end"),
        ("d", "timer"),
        ("e", "close"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = scene.client();
        client.send(letter);
        if "ce".contains(letter) {
            client.end();
        }
        client.rest().expect("FIN");
        drop(client);
        scene.reached(
            "cpu-budget",
            times as u64 + 1,
            &format!(
                "guest failed in `{event}`: used more than 20 ms of CPU time (raise --cpu-budget)"
            ),
        );
    }
    scene.total("faults", 5);
}

/// What takes longer than an event may when an instance starts.
#[test]
fn a_start_has_a_budget_of_its_own() {
    // Some hundred milliseconds of work when it opens; an endless loop at the order `s`.
    let work = "(local $turn i64)
        (loop $more
            (local.set $turn (i64.add (local.get $turn) (i64.const 1)))
            (br_if $more (i64.lt_u (local.get $turn) (i64.const 400000000))))
        (call $ok)";
    let slow = obeying(&[('s', "(call $spin)")]).body("open", work);
    let budgets = ["--cpu-budget", "20ms", "--start-budget", "60s"];
    let mut scene = Scene::start(&slow, &[&budgets[..], &["--event-timeout", "60s"]].concat());
    let mut client = scene.client();
    client.ask("x", "x");
    client.send("s");
    client.rest().expect("FIN");
    scene.reached(
        "cpu-budget",
        1,
        "guest failed in `data`: used more than 20 ms of CPU time (raise --cpu-budget)",
    );
    let server = serve(slow.build())
        .args(&["--cpu-budget", "60s", "--start-budget", "20ms"])
        .start();
    server.connect().expect_rest("");
    let line = "guest failed in `open`: used more than 20 ms of CPU time (raise --start-budget)";
    server.stderr.wait(line);
}

#[test]
fn a_loop_without_a_fiber_ends_and_costs_the_direct_calls() {
    let spinner = obeying(&[('s', "(call $spin)")]);
    let args = ["--cpu-budget", "50ms", "--log-level", "debug"];
    let mut scene = Scene::start(&spinner, &args);
    scene.earn_direct_calls();
    for times in 1..=2 {
        let mut client = scene.client();
        client.send("s");
        client.expect_rest("");
        scene.counted("cpu-budget", times);
        scene.undisturbed();
        // Once: the second is on a fiber.
        scene.once("events are long");
    }
}

/// Before, each serving thread was held for the whole budget.
#[test]
fn a_loop_without_a_fiber_leaves_its_thread_to_others() {
    let spinner = obeying(&[('s', "(call $spin)")]).build();
    // Longer than a test waits for anything.
    let args = ["--cpu-budget", "1h", "--log-level", "debug"];
    let server = serve(spinner).args(&args).start();
    let mut neighbour = server.connect();
    // It earns direct calls.
    (0..1200).for_each(|_| neighbour.ask("x", "x"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut spinning: Vec<_> = (0..2 * threads).map(|_| server.connect()).collect();
    spinning.iter_mut().for_each(|client| client.ask("x", "x"));
    spinning.iter_mut().for_each(|client| client.send("s"));
    server.stderr.wait("events are long");
    for _ in 0..10 {
        neighbour.ask("x", "x");
        server.connect().ask("x", "x");
    }
}

/// It meets no tick, as there is neither a loop nor a function, and is one of many short ones.
#[test]
fn one_long_instruction_costs_the_direct_calls_too() {
    let fill = r#"(memory.fill (i32.const 65536) (i32.const 1) (i32.const 60000000))
        (call $say "filled")"#;
    let filler =
        obeying(&[('f', fill)]).body("open", "(drop (memory.grow (i32.const 930))) (call $ok)");
    let server = serve(filler.build())
        .args(&["--log-level", "debug"])
        .start();
    let mut client = server.connect();
    (0..1200).for_each(|_| client.ask("x", "x"));
    assert!(!server.stderr.has("events are long"));
    wait_for("a long event to be found", || {
        client.ask("f", "filled");
        (0..10).for_each(|_| client.ask("x", "x"));
        server.stderr.has("events are long")
    });
}

/// What it computes between two waits is its own, also when none of it meets a tick.
#[test]
fn an_event_that_waits_again_and_again_has_a_budget_too() {
    let args = ["--cpu-budget", "20ms", "--event-timeout", "60s"];
    let mut scene = Scene::start(wayward(), &args);
    let mut client = scene.client();
    // It computes for 40 ms at least, of which it meets few ticks.
    client.send("doze 800");
    client.expect_rest("");
    scene.reached(
        "cpu-budget",
        1,
        "guest failed in `data`: used more than 20 ms of CPU time (raise --cpu-budget)",
    );
}

#[test]
fn a_loop_in_open_ends() {
    let spinner = guest().body("open", "(call $spin) (call $ok)");
    let server = serve(spinner.build()).args(&BUDGET).start();
    server.connect().expect_rest("");
    server.stderr.wait("guest failed in `open`");
    server.settle();
    assert_eq!(server.limit_reached("cpu-budget"), 1);
}

#[test]
fn a_loop_in_listening_ends_the_start() {
    let spinner = guest().body("listening", "(call $spin)");
    let told = serve(spinner.build()).args(&BUDGET).fail().failure(1);
    assert!(told.contains("raise --start-budget"), "{told}");
    assert!(told.contains("`listening`"), "{told}");
}

#[test]
fn a_loop_in_the_start_function_fails_the_trial() {
    let spinner = guest().change("(func $spin (loop", "(start $spin) (func $spin (loop");
    let told = serve(spinner.build()).args(&BUDGET).fail().failure(1);
    assert!(told.contains("failed its trial"), "{told}");
    assert!(told.contains("raise --start-budget"), "{told}");
}

#[test]
fn a_loop_in_save_costs_the_snapshot_and_is_counted() {
    let spinner = obeying(&[]).body("save", "(call $spin) (call $none)");
    let mut scene = Scene::start(&spinner, &BUDGET);
    scene.server.overwrite(obeying(&[('z', "")]).build(), 2);
    scene.reached("cpu-budget", 1, "no snapshot: guest failed in `save`: used");
}

/// What counts is the guest's own time, not that of a machine that is busy
/// with others: these all need less than their budget, together much more.
#[test]
fn honest_events_are_not_charged_for_their_neighbours() {
    let honest = obeying(&[(
        'w',
        "(loop $work
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $work (i32.lt_u (local.get $n) (i32.const 5000000))))
         (call $say (local.get $at) (local.get $count))",
    )]);
    let mut scene = Scene::start(
        &honest,
        &["--cpu-budget", "400ms", "--event-timeout", "60s"],
    );
    let mut workers: Vec<_> = (0..60).map(|_| scene.client()).collect();
    workers.iter_mut().for_each(|worker| worker.send("w"));
    scene.undisturbed();
    workers.iter_mut().for_each(|worker| worker.expect("w"));
    scene.total("faults", 0);
}
