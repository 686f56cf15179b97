//! Many bad guests at once, beside one that wants to work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::guests::{guest, obeying};
use crate::harness::{Client, Scene, count_lines, serve};

#[test]
fn hundreds_that_spin_leave_a_neighbour_its_answers() {
    const MANY: usize = 300;
    let mut scene = Scene::start(
        &obeying(&[('s', "(call $spin)")]),
        &["--cpu-budget", "10ms", "--event-timeout", "60s"],
    );
    let mut spinners: Vec<_> = (0..MANY).map(|_| scene.client()).collect();
    spinners.iter_mut().for_each(|spinner| spinner.send("s"));
    // It is answered while they spin, and so is a new one.
    let mut answers = 0;
    while scene.server.limit_reached("cpu-budget") < MANY as u64 {
        scene.neighbour.ask("x", "x");
        scene.client().ask("y", "y");
        answers += 1;
    }
    assert!(answers > 2, "{answers} answers");
    spinners
        .iter_mut()
        .for_each(|spinner| spinner.expect_rest(""));
    scene.undisturbed();
    scene.total("faults", MANY as u64);
}

#[test]
fn a_storm_of_traps_leaves_a_neighbour_its_answers() {
    let mut scene = Scene::start(&obeying(&[('t', "(call $trap)")]), &["--linger", "50ms"]);
    let over = Arc::new(AtomicBool::new(false));
    let storm: Vec<_> = (0..4)
        .map(|_| {
            let (address, over) = (scene.server.addresses[0], Arc::clone(&over));
            thread::spawn(move || {
                let mut died = 0;
                while !over.load(Ordering::Relaxed) {
                    let mut client = Client::connect(address);
                    client.send("t");
                    client.expect_over();
                    died += 1;
                }
                died
            })
        })
        .collect();
    for _ in 0..300 {
        scene.neighbour.ask("x", "x");
    }
    while scene.server.connections("faults") < 500 {
        scene.neighbour.ask("x", "x");
    }
    over.store(true, Ordering::Relaxed);
    let died: usize = storm
        .into_iter()
        .map(|one| one.join().expect("it ends"))
        .sum();
    scene.server.wait_open(1);
    scene.undisturbed();
    scene.total("faults", died as u64);
    let log = scene.end().stderr;
    assert_eq!(count_lines(&log, "guest trapped in `data`"), died);
}

#[test]
fn a_guest_that_traps_in_every_event_harms_nobody_but_its_clients() {
    let bad = guest()
        .body("open", "(call $trap) (call $ok)")
        .data("(call $trap)")
        .body("end", "(call $trap)")
        .body("close", "(call $trap)")
        .body("save", "(call $trap) (call $none)");
    let mut server = serve(bad.build()).start();
    for round in 0..200 {
        let mut client = server.connect();
        match round % 3 {
            0 => client.expect_rest(""),
            1 => client.reset(),
            _ => drop(client),
        }
    }
    server.settle();
    assert!(server.is_well());
    assert_eq!(server.connections("faults"), 200);
    // And it is replaced as any other.
    server.overwrite(obeying(&[]).build(), 2);
    server.connect().ask("x", "x");
}

/// Timers without a pause between them are events like others.
#[test]
fn timers_without_a_pause_leave_a_neighbour_its_answers() {
    let ringing = obeying(&[('r', "(call $set-timer (i32.const 1) (i64.const 0))")])
        .body("timer", "(call $set-timer (i32.const 1) (i64.const 0))");
    let mut scene = Scene::start(&ringing, &[]);
    let mut ringers: Vec<_> = (0..50).map(|_| scene.client()).collect();
    ringers.iter_mut().for_each(|ringer| ringer.send("r"));
    for _ in 0..200 {
        scene.neighbour.ask("x", "x");
    }
    ringers.iter_mut().for_each(|ringer| ringer.ask("x", "x"));
}
