//! What lasts from one step to the next: the time, what peers read meanwhile, which faults
//! were expected, which code serves, and what a script leaves to the one after it.

use super::Desk;
use crate::guests::{COUNT, guest, obeying, saying};
use crate::harness::{hotsocket, run};

#[test]
fn a_wait_begins_when_the_step_before_it_is_over() {
    let desk = Desk::new();
    let slow = guest()
        .data(
            "(call $set-timer (i32.const 1) (i64.const 4000))
             (call $set-timer (i32.const 2) (i64.const 6000))",
        )
        .body(
            "timer",
            "(if (i32.eq (local.get $id) (i32.const 1))
               (then (call $say \"one\") (call $print \"one\"))
               (else (call $say \"two\")))",
        )
        .build();
    desk.put("slow.wasm", slow);
    // Two seconds after "one" comes "two".
    for one in ["expect \"one\"", "print \"one\""] {
        let script = format!("send \"x\"\n{one}\nwait 3s\nexpect nothing");
        desk.fails("slow.wasm", &script, 4, &["received bytes: ", "two\""]);
    }
    desk.succeeds(
        "slow.wasm",
        "send \"x\"\nexpect \"one\"\nwait 1s\nexpect nothing\nwait 1500ms\nexpect \"two\"",
    );
}

#[test]
fn what_a_peer_has_read_is_not_lost_with_a_later_reset() {
    let desk = Desk::new();
    let heart = guest()
        .body(
            "open",
            "(call $ok) (call $set-timer (i32.const 1) (i64.const 20000))",
        )
        .body(
            "timer",
            &format!(
                "{COUNT}
                 (if (i32.eq (global.get $state) (i32.const 3))
                   (then (call $abort))
                   (else
                     (call $say \"ping\n\")
                     (call $set-timer (i32.const 1) (i64.const 20000))))"
            ),
        )
        .build();
    desk.put("heart.wasm", heart);
    desk.fails(
        "heart.wasm",
        "open\nwait 61s\nexpect reset",
        3,
        &["expected a reset, received bytes: \"ping\\nping\\n\""],
    );
    desk.succeeds(
        "heart.wasm",
        "open\nwait 61s\nexpect \"ping\\nping\\n\"\nexpect reset",
    );
    desk.succeeds("heart.wasm", "stall\nwait 61s\nexpect reset");
}

#[test]
fn a_peer_that_has_not_stalled_is_not_waited_for() {
    let desk = Desk::new();
    // 1 MiB of zeros, four times what a connection holds.
    let much = format!(
        "(loop $more
           (drop (call $send (i32.const 131072) (i32.const 65536)))
           {COUNT}
           (br_if $more (i32.lt_u (global.get $state) (i32.const 16))))"
    );
    let at_once = guest().body("open", &format!("{much} (call $ok)")).build();
    desk.put("at_once.wasm", at_once)
        .put("asked.wasm", guest().data(&much).build());
    desk.succeeds("at_once.wasm", "open\nwait 31s\nexpect hex 00 * 1048576");
    desk.succeeds(
        "asked.wasm",
        "send \"x\"\nwait 31s\nexpect hex 00 * 1048576",
    );
    desk.succeeds("asked.wasm", "stall\nsend \"x\"\nwait 31s\nexpect reset");
}

#[test]
fn a_fault_is_found_in_lines_of_its_own() {
    let desk = Desk::new();
    let failing = obeying(&[('1', "unreachable"), ('2', "(call $spin)")]).build();
    desk.put("failing.wasm", failing);
    for first in ["fault \"unreachable\"", "fault"] {
        let script = format!("a: send \"1\"\n{first}\nb: send \"2\"\nfault");
        desk.fails(
            "failing.wasm",
            &format!("{script} \"unreachable\""),
            4,
            &["no new line of the log contains \"unreachable\""],
        );
        desk.succeeds("failing.wasm", &format!("{script} \"--cpu-budget\""));
    }
}

#[test]
fn a_swap_without_a_file_is_to_the_code_that_serves() {
    let desk = Desk::new();
    desk.put("one.wasm", saying("one"))
        .put("two.wasm", saying("two"));
    for (before, word) in [("swap two.wasm\nrollback", "one"), ("swap two.wasm", "two")] {
        let script = format!("open\n{before}\nswap\nsend \"x\"\nexpect \"{word}\"");
        desk.succeeds("one.wasm", &script);
    }
}

/// It still runs, and all scripts share the output, the settings and the store.
#[test]
fn after_a_script_that_takes_too_long_none_is_run() {
    let desk = Desk::new();
    let set = "(call $set-timer (i32.const 1) (i64.const 1))";
    let busy = guest()
        .body("open", &format!("(call $ok) {set}"))
        .body("timer", set)
        .build();
    desk.put("busy.wasm", busy)
        .put("long.test", "open\nwait 24h")
        .put("next.test", "# The next one.\nopen");
    let ran = run(hotsocket()
        .args(["test", "--time-limit", "500ms"])
        .args(["busy.wasm", "long.test", "next.test"])
        .current_dir(desk.0.path()));
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    assert!(
        lines[0].starts_with("failed  long.test:2: timed out after 500ms"),
        "{ran:?}"
    );
    assert!(
        lines[1].starts_with("failed  next.test:2: not run: an earlier script has timed out"),
        "{ran:?}"
    );
    assert_eq!(lines[2], "2 of 2 conversations failed");
}
