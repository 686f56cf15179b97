//! Limits on sizes and numbers: memory, tables, stack, queues, snapshots, timers,
//! components.

use std::fs;

use crate::guests::{FLOOD, guest, obeying};
use crate::harness::{Scene, serve};

/// Take memory until it is refused, touch all of it, and say so.
const GORGE: &str = r#"(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
    (memory.fill (i32.const 65536) (i32.const 1)
      (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 65536)))
    (call $say "full")"#;

#[test]
fn memory_beyond_the_limit_is_refused_and_the_host_stays_within_the_sum() {
    const EACH: usize = 4 << 20;
    let mut scene = Scene::start(&obeying(&[('g', GORGE)]), &["--max-memory", "4M"]);
    let before = scene.server.resident();
    let mut client = scene.client();
    client.ask("g", "full");
    client.ask("g", "full");
    // One line for each connection.
    let line = scene.server.stderr.wait("(--max-memory)");
    let (_, line) = line.split_once("WARN ").expect("a warning");
    scene.reached("max-memory", 2, line);
    // It lives on.
    client.ask("x", "x");
    let mut others: Vec<_> = (0..20).map(|_| scene.client()).collect();
    others.iter_mut().for_each(|other| other.ask("g", "full"));
    let grown = scene.server.resident().saturating_sub(before);
    assert!(
        grown < 21 * EACH + (8 << 20),
        "the server grew by {grown} bytes"
    );
    drop((client, others));
    scene.server.wait_open(1);
    scene.counted("max-memory", 22);
}

#[test]
fn a_guest_that_begins_with_too_much_memory_fails_its_trial() {
    let told = serve(guest().build())
        .args(&["--max-memory", "128K"])
        .fail()
        .failure(1);
    assert!(
        told.contains("failed its trial") && told.contains("--max-memory"),
        "{told}"
    );
}

#[test]
fn a_table_beyond_the_limit_is_refused() {
    let tables = obeying(&[(
        't',
        r#"(loop $more (br_if $more
             (i32.ne (table.grow $t (ref.null func) (i32.const 100)) (i32.const -1))))
           (call $say "full")"#,
    )])
    .change("(global $state", "(table $t 10 funcref) (global $state");
    let mut scene = Scene::start(&tables, &["--max-table", "5000"]);
    scene.client().ask("t", "full");
    scene.reached("max-table", 1, "(--max-table)");
}

#[test]
fn a_stack_overflow_is_counted() {
    // Some host function is called from as deep as it goes.
    let deep = obeying(&[('r', "(drop (call $recurse (i32.const 0)))")]).change(
        "(i32.add (i32.const 1) (call $recurse",
        "(call $say (i32.const 0) (i32.const 0)) (i32.add (i32.const 1) (call $recurse",
    );
    let mut scene = Scene::start(&deep, &["--max-stack", "64K"]);
    let mut client = scene.client();
    client.send("r");
    client.expect_rest("");
    scene.reached("max-stack", 1, "--max-stack");
}

#[test]
fn the_stack_is_as_large_without_a_fiber() {
    let deep = obeying(&[('r', "(drop (call $recurse (i32.const 0)))")]);
    let mut scene = Scene::start(&deep, &["--max-stack", "16M", "--log-level", "debug"]);
    scene.earn_direct_calls();
    let mut client = scene.client();
    client.send("r");
    client.expect_rest("");
    scene.reached("max-stack", 1, "--max-stack");
}

#[test]
fn a_full_queue_is_counted_and_logged_once() {
    let flood = obeying(&[('f', FLOOD)]);
    let mut scene = Scene::start(&flood, &["--max-queue", "256K"]);
    let mut client = scene.client();
    for _ in 0..2 {
        client.send("f");
        client.read(4 << 16);
    }
    scene.counted("max-queue", 2);
    scene.reached("max-queue", 2, "(--max-queue)");
    client.ask("x", "x");
}

#[test]
fn a_write_of_everything_at_once_is_refused_as_a_whole() {
    // All of 60 MB of memory in one call.
    let gulp = obeying(&[(
        'w',
        r#"(drop (memory.grow (i32.const 900)))
           (call $say-digit "answer " (call $send (i32.const 0) (i32.const 59000000)))"#,
    )]);
    let mut scene = Scene::start(&gulp, &[]);
    scene.client().ask("w", "answer 3");
    scene.undisturbed();
}

#[test]
fn a_snapshot_that_is_too_large_is_counted() {
    let large = obeying(&[]).body("save", "(call $some (i32.const 0) (i32.const 2000))");
    let mut scene = Scene::start(&large, &["--max-snapshot", "1999"]);
    scene.server.overwrite(obeying(&[('z', "")]).build(), 2);
    scene.reached("max-snapshot", 1, "--max-snapshot allows");
}

#[test]
fn timers_of_all_events_count_towards_the_limit() {
    let timers = obeying(&[(
        't',
        r#"(global.set $state (i32.add (global.get $state) (i32.const 1)))
           (call $set-timer (global.get $state) (i64.const 1000000))
           (call $say "set")"#,
    )]);
    let mut scene = Scene::start(&timers, &["--max-timers", "3"]);
    let mut client = scene.client();
    (0..3).for_each(|_| client.ask("t", "set"));
    client.send("t");
    client.expect_rest("");
    scene.reached("max-timers", 1, "too many timers");
}

#[test]
fn a_component_that_is_too_large_is_not_taken() {
    let small = obeying(&[]).build();
    let mut large = small.clone();
    large.extend_from_slice(b"\0\x80\x80\x80\x01\x04note");
    large.resize(small.len() + 5 + (2 << 20), 0);
    let told = serve(&large)
        .args(&["--max-component", "1M"])
        .fail()
        .failure(1);
    assert!(told.contains("--max-component"), "{told}");

    let mut scene = Scene::start(&obeying(&[]), &["--max-component", "1M"]);
    let told = scene.server.try_swap(&large[..], &[]).failure(1);
    assert!(told.contains("--max-component"), "{told}");
    scene.counted("max-component", 1);
    scene.undisturbed();
    // The same over the watched file.
    fs::write(scene.server.path("guest.wasm"), &large).expect("written");
    scene.reached("max-component", 2, "at most 1048576 bytes are accepted");
    // One that would fill the memory is not read to its end.
    let huge = fs::File::create(scene.server.path("guest.wasm")).expect("made");
    huge.set_len(2 << 30).expect("a sparse file");
    scene.counted("max-component", 3);
    scene.undisturbed();
    assert!(scene.server.peak_resident() < 1 << 30);
    assert_eq!(scene.server.status()["generation"], 1);
}

/// `full` says to wait for `drained`, also where less is queued than the high-water
/// mark.
#[test]
fn a_full_queue_is_followed_by_drained_however_small_it_is() {
    let flood = "(loop $more (br_if $more
        (i32.lt_u (call $send (i32.const 0) (i32.const 1024)) (i32.const 2))))";
    let guest = obeying(&[('f', flood)]).body("drained", r#"(call $say "drained")"#);
    let server = serve(guest.build()).args(&["--max-queue", "32K"]).start();
    let mut client = server.connect();
    client.send("f");
    client.read(32 << 10);
    client.expect("drained");
    assert_eq!(server.limit_reached("max-queue"), 1);
    client.ask("x", "x");
}

/// What can never fit is not asked for again and again.
#[test]
fn nothing_is_drained_when_nothing_was_queued() {
    let flood = "(drop (call $send (i32.const 0) (i32.const 65536)))";
    let guest = obeying(&[('f', flood)]).body("drained", r#"(call $say "drained")"#);
    let server = serve(guest.build()).args(&["--max-queue", "32K"]).start();
    let mut client = server.connect();
    client.send("f");
    server.stderr.wait("--max-queue");
    client.ask("x", "x");
}
