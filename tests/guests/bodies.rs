//! Bodies of functions, and whole guests, that several tests use.

use super::{Guest, guest};

/// In `data`: answer with what came.
pub const ECHO: &str = "(call $say (local.get $at) (local.get $count))";
/// Write until the queue is full.
pub const FLOOD: &str = "(loop $more (br_if $more
    (i32.lt_u (call $send (i32.const 0) (i32.const 65536)) (i32.const 2))))";

/// In `open`: go on with the predecessor's count.
pub const RESTORE: &str =
    "(if (local.get $has) (then (global.set $state (i32.load (local.get $at)))))";
/// Count events.
pub const COUNT: &str = "(global.set $state (i32.add (global.get $state) (i32.const 1)))";
/// In `save`: the count as a snapshot.
pub const SAVE: &str = "(i32.store (i32.const 900) (global.get $state))
    (call $some (i32.const 900) (i32.const 4))";

/// Write so many blocks of 64 KiB, and never mind whether to wait.
pub fn blocks(count: usize) -> String {
    format!(
        "(loop $more
           (drop (call $send (i32.const 0) (i32.const 65536)))
           {COUNT}
           (br_if $more (i32.lt_u (global.get $state) (i32.const {count}))))"
    )
}

/// A guest that answers each `data` with this.
pub fn saying(word: &str) -> Vec<u8> {
    guest().data(&format!("(call $say {word:?})")).build()
}

/// A guest that answers each `data` with its name and how many there were, and
/// hands the count on to its successor.
pub fn counting(name: &str) -> Guest {
    guest()
        .body("open", &format!("{RESTORE} (call $ok)"))
        .data(&format!(
            "{COUNT} (call $say-digit {name:?} (global.get $state))"
        ))
        .body("save", SAVE)
}

/// The same, but in `open(migrated)` it does this, and restores nothing if that
/// ends the event.
pub fn opening(name: &str, body: &str) -> Guest {
    counting(name).body(
        "open",
        &format!("(if (local.get $origin) (then {body})) {RESTORE} (call $ok)"),
    )
}

/// A guest that does something of its own for each letter that begins what it
/// gets, and answers everything else with itself. `$n` is a local of theirs.
pub fn obeying(orders: &[(char, &str)]) -> Guest {
    let body = orders.iter().rev().fold(ECHO.to_owned(), |rest, order| {
        let (letter, body) = (u32::from(order.0), order.1);
        format!(
            "(if (i32.eq (i32.load8_u (local.get $at)) (i32.const {letter}))
               (then {body}) (else {rest}))"
        )
    });
    guest().data(&format!("(local $n i32) {body}"))
}

/// A guest of which no instance can be made.
pub fn failing_its_trial() -> Vec<u8> {
    guest()
        .change(
            "(func (export \"done\")",
            "(start $trap) (func (export \"done\")",
        )
        .build()
}

/// A guest with fifteen memories more, each declared like this.
pub fn with_spare_memories(guest: Guest, memory: &str) -> Guest {
    let instances = "(core instance (instantiate $spare))".repeat(15);
    guest
        .change(
            "(core module $guest",
            &format!("{instances} (core module $guest"),
        )
        .change(
            "(core module $heap",
            &format!("(core module $spare {memory}) (core module $heap"),
        )
}

/// A component that differs from this one and does the same: with one more
/// custom section.
pub fn differing(mut component: Vec<u8>) -> Vec<u8> {
    component.extend_from_slice(b"\0\x05\x04note");
    component
}

/// `wayward.rs`, the guest that does what needs WASI: it exits, sleeps and
/// panics when told to.
pub fn wayward() -> Vec<u8> {
    include_bytes!("wayward.wasm").to_vec()
}

/// `messenger.rs`, the guest that uses topics as it is told to.
pub fn messenger() -> Vec<u8> {
    include_bytes!("messenger.wasm").to_vec()
}

/// `keeper.rs`, the guest that uses the store as its peer says.
pub fn keeper() -> Vec<u8> {
    include_bytes!("keeper.wasm").to_vec()
}

/// `forgetful.rs`, which takes over a connection and dies of its first message.
pub fn forgetful() -> Vec<u8> {
    include_bytes!("forgetful.wasm").to_vec()
}

impl Guest {
    /// It may call `$pause`, `$resume`, `$checkpoint` and `$label`.
    pub fn with_session(self) -> Self {
        const FUNCTIONS: [&str; 4] = ["pause", "resume", "checkpoint", "label"];
        let each = |one: fn(&str) -> String| FUNCTIONS.map(one).concat();
        let params = |name: &str| {
            if name == "label" {
                "(param i32 i32)"
            } else {
                ""
            }
        };
        let lowered = FUNCTIONS.map(|name| {
            let memory = if name == "label" {
                "(memory $memory)"
            } else {
                ""
            };
            format!(r#"(core func ${name} (canon lower (func $the-session "{name}") {memory}))"#)
        });
        let imported = FUNCTIONS.map(|name| {
            let params = params(name);
            format!(r#"(import "host" "{name}" (func ${name} {params}))"#)
        });
        let exported = each(|name| format!(r#"(export "{name}" (func ${name}))"#));
        self.change(
            ";; further imports",
            r#"(import "hotsocket:session/session@0.1.0" (instance $the-session
                 (export "pause" (func)) (export "resume" (func)) (export "checkpoint" (func))
                 (export "label" (func (param "name" string)))))"#,
        )
        .change(
            "(core module $guest",
            &format!("{}\n(core module $guest", lowered.concat()),
        )
        .change(
            r#"(import "host" "end" (func $end))"#,
            &format!(r#"(import "host" "end" (func $end)){}"#, imported.concat()),
        )
        .change(
            r#"(export "panic" (func $panic))"#,
            &format!(r#"(export "panic" (func $panic)){exported}"#),
        )
    }

    /// It may call `$can-start-tls`, and `$secure`, which gives 0 where TLS begins and
    /// otherwise the number of the error, from 1.
    pub fn with_start_tls(self) -> Self {
        self.change(
            ";; further imports",
            r#"(import "hotsocket:tls/upgrade@0.1.0" (instance $the-upgrade
                 (type $error' (enum "unavailable" "already-secure" "pending" "closed"))
                 (export "start-tls-error" (type $error (eq $error')))
                 (type $started (result (error $error)))
                 (export "can-start-tls" (func (result bool)))
                 (export "start-tls" (func (result $started)))))"#,
        )
        .change(
            "(core module $guest",
            r#"(core func $can-start-tls (canon lower (func $the-upgrade "can-start-tls")))
               (core func $start-tls (canon lower (func $the-upgrade "start-tls") (memory $memory)))
               (core module $guest"#,
        )
        .change(
            r#"(import "host" "end" (func $end))"#,
            r#"(import "host" "end" (func $end))
               (import "host" "can-start-tls" (func $can-start-tls (result i32)))
               (import "host" "start-tls" (func $start-tls (param i32)))"#,
        )
        .change(
            ";; Burn CPU for ever.",
            "(func $secure (result i32)
               (call $start-tls (i32.const 0))
               (if (result i32) (i32.load8_u (i32.const 0))
                 (then (i32.add (i32.load8_u (i32.const 1)) (i32.const 1)))
                 (else (i32.const 0))))",
        )
        .change(
            r#"(export "panic" (func $panic))"#,
            r#"(export "panic" (func $panic))
               (export "can-start-tls" (func $can-start-tls))
               (export "start-tls" (func $start-tls))"#,
        )
    }

    /// It may call `$random` and `$log`.
    pub fn with_environment(self) -> Self {
        self.change(
            ";; further imports",
            r#"(import "hotsocket:environment/environment@0.1.0" (instance $the-environment
                 (export "random" (func (param "count" u32) (result (list u8))))
                 (type $a-level (enum "debug" "info" "warn" "error"))
                 (export "level" (type $level (eq $a-level)))
                 (type $a-value (variant (case "text" string) (case "integer" s64)
                   (case "number" f64) (case "boolean" bool)))
                 (export "value" (type $value (eq $a-value)))
                 (type $a-field (record (field "name" string) (field "value" $value)))
                 (export "field" (type $field (eq $a-field)))
                 (export "log" (func (param "level" $level) (param "message" string)
                   (param "fields" (list $field))))))"#,
        )
        .change(
            "(core module $guest",
            r#"(core func $random (canon lower (func $the-environment "random")
                 (memory $memory) (realloc $realloc)))
               (core func $log (canon lower (func $the-environment "log") (memory $memory)))
               (core module $guest"#,
        )
        .change(
            r#"(import "host" "end" (func $end))"#,
            r#"(import "host" "end" (func $end))
               (import "host" "random" (func $random (param i32 i32)))
               (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))"#,
        )
        .change(
            r#"(export "panic" (func $panic))"#,
            r#"(export "panic" (func $panic)) (export "random" (func $random))
               (export "log" (func $log))"#,
        )
    }
}
