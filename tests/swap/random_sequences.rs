//! Random sequences of swaps, rollbacks, traps and data: the client sees what a
//! simple model says. The server runs in this process.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use hotsocket::limits::{Limits, OnTrap};
use hotsocket::node::{Control, Node, Options, ServiceOptions};
use hotsocket::output::{GuestLines, Output};
use hotsocket::registry::{Outcome, Rules, SwapError};
use hotsocket::rollout::{Policy, Source};
use hotsocket_sandbox::{CodeCacheDir, ComponentBytes};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use crate::guests::{COUNT, RESTORE, SAVE, guest};
use crate::harness::{Client, temp_dir, wait_for};

/// What can be done.
#[derive(Clone, Copy, Debug)]
enum Do {
    /// Send so many bytes, and wait for their answers or not.
    Data(usize, bool),
    Swap(Kind),
    Rollback,
    /// A byte that kills whoever gets it.
    Trap,
    End,
    Reset,
}

/// A guest answers each byte with its name, a letter for the number of bytes
/// so far, and the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Does so.
    Good(u8),
    /// Dies of the first byte.
    Dies,
    /// Will not take over.
    Refuses,
}

fn component(kind: Kind) -> Vec<u8> {
    let (name, first) = match kind {
        Kind::Good(name) => (name, ""),
        Kind::Dies => (b'?', r#"(call $say "of the dead") (call $trap)"#),
        Kind::Refuses => (b'?', ""),
    };
    let refuses = match kind {
        Kind::Refuses => r#"(if (local.get $origin) (then (return (call $refuse "no"))))"#,
        _ => "",
    };
    guest()
        .body(
            "open",
            &format!(
                r#"{refuses} (if (i32.eq (local.get $origin) (i32.const 3)) (then (call $say "^")))
                   {RESTORE} (call $ok)"#
            ),
        )
        .data(&format!(
            "(local $i i32) {first}
             (block $done (loop $next
               (br_if $done (i32.ge_u (local.get $i) (local.get $count)))
               (i32.store8 (i32.const 602) (i32.load8_u (i32.add (local.get $at) (local.get $i))))
               (if (i32.eq (i32.load8_u (i32.const 602)) (i32.const 33)) (then (call $trap)))
               {COUNT}
               (i32.store8 (i32.const 600) (i32.const {name}))
               (i32.store8 (i32.const 601) (i32.add (i32.const 97) (i32.rem_u (global.get $state) (i32.const 26))))
               (call $say (i32.const 600) (i32.const 3))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br $next)))"
        ))
        .body("end", r#"(call $say-digit "end" (i32.rem_u (global.get $state) (i32.const 10)))"#)
        .body("save", SAVE)
        .build()
}

/// A generation, as the model knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Generation {
    number: u64,
    kind: Kind,
}

/// What the client must see.
struct Model {
    /// The generations that were active one after the other.
    trail: Vec<Generation>,
    /// The one the connection is on.
    on: Generation,
    /// The one it goes back to if that dies in its first event.
    before: Option<Generation>,
    count: u32,
    /// Bytes not answered yet.
    sent: Vec<u8>,
}

impl Model {
    /// Who would answer now.
    fn answers(&self) -> Generation {
        match (self.on.kind, self.before) {
            (Kind::Dies, Some(before)) => before,
            _ => self.on,
        }
    }

    /// An event has come and gone.
    fn passed(&mut self) {
        self.on = self.answers();
        self.before = None;
    }

    /// This generation is active now.
    fn follow(&mut self, to: Generation) {
        if to.number != self.on.number && to.kind != Kind::Refuses {
            self.before = Some(self.before.unwrap_or(self.on));
            self.on = to;
        }
    }
}

/// A server with one connection.
struct Stage {
    runtime: Runtime,
    server: Node,
    client: Client,
    model: Model,
}

impl Stage {
    fn set(dir: &Path) -> Self {
        let kind = Kind::Good(b'A');
        let path = dir.join("guest.wasm");
        std::fs::write(&path, component(kind)).expect("writable");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build();
        let runtime = runtime.expect("threads");
        let output =
            Output::to(io::sink(), io::sink(), (false, false), GuestLines::Plain).expect("threads");
        let service = ServiceOptions {
            guest: path.into(),
            listeners: vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()],
            limits: Limits {
                max_connections: 4,
                on_trap: OnTrap::Restart,
                max_restarts: 1000,
                ..Limits::default()
            },
            rules: Rules {
                policy: Policy::Migrate,
                rollback_after: None,
                keep: 100,
            },
            ..ServiceOptions::default()
        };
        let options = Options {
            control: Control::None,
            code_cache: CodeCacheDir::At(dir.join("code")),
            ..service.into()
        };
        let server = runtime
            .block_on(Node::start(options, output, Instant::now()))
            .expect("it starts");
        let client = Client::connect(server.listeners()[0].socket_addr().expect("TCP"));
        let first = Generation { number: 1, kind };
        let model = Model {
            trail: vec![first],
            on: first,
            before: None,
            count: 0,
            sent: Vec::new(),
        };
        let stage = Stage {
            runtime,
            server,
            client,
            model,
        };
        wait_for("the connection", || stage.server.connections() == 1);
        stage
    }

    /// Read all answers that are due; those to bytes that were on their way
    /// during a swap may come from either generation. Gives the last name.
    fn sync(&mut self, also: Option<Generation>) -> Option<Generation> {
        let mut last = None;
        for byte in std::mem::take(&mut self.model.sent) {
            self.model.count += 1;
            let letter = b'a' + (self.model.count % 26) as u8;
            let answer = self.client.read(3);
            let of = |generation: Generation| matches!(generation.kind, Kind::Good(name) if answer == [name, letter, byte]);
            let expected = self.model.answers();
            last = [Some(expected), also]
                .into_iter()
                .flatten()
                .find(|generation| of(*generation));
            assert!(
                last.is_some(),
                "{:?} to byte {} {byte}: {expected:?} or {also:?}",
                answer,
                self.model.count
            );
        }
        last
    }

    /// All sent bytes are answered by whoever the connection is on.
    fn rest(&mut self) {
        if self.sync(None).is_some() {
            self.model.passed();
        }
    }

    fn swapped(&mut self, to: Generation) {
        // What was on its way was answered before the swap or after it.
        let mut moved = Model {
            trail: Vec::new(),
            sent: Vec::new(),
            ..self.model
        };
        moved.follow(to);
        match self.sync(Some(moved.answers())) {
            // Before: then that was proven when the swap came.
            Some(last) if last == self.model.answers() && last != moved.answers() => {
                self.model.passed();
                self.model.follow(to);
            }
            Some(_) if self.model.answers() == moved.answers() => {
                // Both would have answered the same; so will both from now on.
                self.model.passed();
                self.model.follow(to);
            }
            Some(_) => {
                moved.passed();
                (self.model.on, self.model.before) = (moved.on, moved.before);
            }
            None => self.model.follow(to),
        }
    }

    /// False if the connection is over.
    fn act(&mut self, what: Do) -> bool {
        match what {
            Do::Data(count, waits) => {
                let bytes: Vec<u8> = (0..count).map(|at| b'a' + (at % 26) as u8).collect();
                self.client.send(&bytes);
                self.model.sent.extend(bytes);
                if waits {
                    self.rest();
                }
            }
            Do::Swap(kind) => {
                let swapping = self.server.registry().swap(
                    ComponentBytes::new(component(kind)),
                    Source::Sent("it".to_owned()),
                    None,
                );
                let report = self.runtime.block_on(swapping).expect("a guest");
                if report.outcome == Outcome::Swapped {
                    let to = Generation {
                        number: report.generation,
                        kind,
                    };
                    self.model.trail.push(to);
                    self.swapped(to);
                }
            }
            Do::Rollback => match self
                .runtime
                .block_on(self.server.registry().roll_back(None, None))
            {
                Ok(report) => {
                    self.model.trail.pop();
                    let to = *self.model.trail.last().expect("a generation");
                    assert_eq!(report.generation, to.number);
                    self.swapped(to);
                }
                Err(error) => {
                    assert!(matches!(error, SwapError::NoPrevious), "{error}");
                    assert_eq!(self.model.trail.len(), 1);
                }
            },
            Do::Trap => {
                self.rest();
                self.client.send("!");
                self.client.expect("^");
                // A successor that had not stood its first event has not stood
                // this one either.
                self.model.on = self.model.before.take().unwrap_or(self.model.on);
            }
            Do::End => {
                self.client.end();
                self.rest();
                self.client
                    .expect_rest(format!("end{}", self.model.count % 10));
                return false;
            }
            Do::Reset => {
                let other = Client::connect(self.server.listeners()[0].socket_addr().expect("TCP"));
                std::mem::replace(&mut self.client, other).reset();
                return false;
            }
        }
        true
    }
}

fn play(script: &[Do], dir: &Path) {
    let mut stage = Stage::set(dir);
    let goes_on = script.iter().all(|what| stage.act(*what));
    if goes_on {
        stage.act(Do::End);
    }
    drop(stage.client);
    wait_for("the end of all connections", || {
        stage.server.connections() == 0
    });
    stage
        .runtime
        .block_on(stage.server.shut_down(Duration::MAX));
    stage.runtime.shutdown_background();
}

fn anything() -> impl Strategy<Value = Do> {
    let kind = prop_oneof![
        3 => prop::sample::select(vec![b'A', b'B', b'C']).prop_map(Kind::Good),
        1 => Just(Kind::Dies),
        1 => Just(Kind::Refuses),
    ];
    prop_oneof![
        6 => (1_usize..300, any::<bool>()).prop_map(|(count, waits)| Do::Data(count, waits)),
        5 => kind.prop_map(Do::Swap),
        3 => Just(Do::Rollback),
        2 => Just(Do::Trap),
        1 => Just(Do::End),
        1 => Just(Do::Reset),
    ]
}

#[test]
fn the_client_sees_what_the_model_says() {
    let dir = temp_dir();
    let config = ProptestConfig {
        cases: 40,
        failure_persistence: None,
        max_shrink_iters: 60,
        ..ProptestConfig::default()
    };
    proptest!(config, |(script in prop::collection::vec(anything(), 1..14))| play(&script, dir.path()));
}
