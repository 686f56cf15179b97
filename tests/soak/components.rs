//! The components that are swapped in: the one guest (`tests/guests/soak.rs`), with
//! its `NATURE` changed to a good one, or to one with a flaw; and hostile ones, which
//! must never become active for long.

use crate::guests::{bomb, doubling, guest, with_spare_memories};

const GUEST: &[u8] = include_bytes!("../guests/soak.wasm");
const MARK: &[u8] = b"soak-nature:";

/// How a component misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    OpenFails,
    OpenTraps,
    OpenLoops,
    /// In the first event after a migration.
    FirstEventTraps,
    SaveTraps,
    SaveLoops,
    SaveTooLarge,
    CloseTraps,
}

/// A guest without fault; another component for each serial number.
pub fn good(serial: u32) -> Vec<u8> {
    component('g', 1, serial)
}

/// One that misbehaves on one connection out of so many.
pub fn bad(flaw: Flaw, every: u32, serial: u32) -> Vec<u8> {
    let letter = match flaw {
        Flaw::OpenFails => 'e',
        Flaw::OpenTraps => 't',
        Flaw::OpenLoops => 'l',
        Flaw::FirstEventTraps => 'f',
        Flaw::SaveTraps => 's',
        Flaw::SaveLoops => 'v',
        Flaw::SaveTooLarge => 'b',
        Flaw::CloseTraps => 'c',
    };
    component(letter, every, serial)
}

/// Components that mean harm. None of them opens a connection, so each is refused, or
/// undone by itself: were one to stay, the clients would notice at once.
pub fn hostile() -> [Vec<u8>; 6] {
    let traps = guest().body("open", "(call $trap) (call $ok)");
    let spins = guest().body("open", "(call $spin) (call $ok)");
    let fails = guest().body("open", r#"(call $refuse "no")"#);
    [
        doubling(40),
        doubling(7),
        // More memory for the compiler than the server allows it.
        bomb(2000, 20_000),
        // More of the pool than there is.
        with_spare_memories(fails, "(memory 1)").build(),
        traps.build(),
        spins.build(),
    ]
}

fn component(letter: char, every: u32, serial: u32) -> Vec<u8> {
    let mut component = GUEST.to_vec();
    let places: Vec<_> = component
        .windows(MARK.len())
        .enumerate()
        .filter_map(|(at, window)| (window == MARK).then_some(at + MARK.len()))
        .collect();
    let [at] = places.as_slice() else {
        panic!("the guest has its nature in {} places", places.len())
    };
    let nature = format!("{letter}/{:03}/{serial:06}", every.clamp(1, 999));
    component[*at..at + nature.len()].copy_from_slice(nature.as_bytes());
    component
}
