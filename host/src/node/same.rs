//! What of the options that a node is reloaded with is what it has already: the place of a
//! listener, the whole of one, a guest.

use std::net::SocketAddr;

use super::running::RunningListener;
use super::{Guest, Place, ServiceListener};
use crate::listener::ListenAddress;

/// For each wanted listener the place of the running one that listens where it wants to.
pub(super) fn same_places(
    running: &[RunningListener],
    wanted: &[ServiceListener],
) -> Vec<Option<usize>> {
    let mut taken = vec![false; running.len()];
    let find = |wanted: &ServiceListener| {
        let mut candidates = running.iter().zip(&mut taken).enumerate();
        candidates.find_map(|(at, (listener, taken))| {
            let found = !*taken && is_same_place(listener, &wanted.place);
            *taken |= found;
            found.then_some(at)
        })
    };
    wanted.iter().map(find).collect()
}

fn is_same_place(running: &RunningListener, wanted: &Place) -> bool {
    match (&running.options.place, wanted) {
        (Place::OfGuest, Place::OfGuest) => true,
        (Place::Inherited(one), Place::Inherited(other)) => one.is(other),
        (Place::At(one), Place::At(other)) => one.is_place_of(other),
        (_, Place::At(other)) => running.address.is_place_of(other) && !takes_a_free_port(other),
        _ => false,
    }
}

fn takes_a_free_port(address: &ListenAddress) -> bool {
    let address = address.socket_addr();
    address.is_some_and(|address: SocketAddr| address.port() == 0)
}

/// Whether a listener that listens there already is as it is wanted.
pub(super) fn is_same(running: &ServiceListener, wanted: &ServiceListener) -> bool {
    let mode = |place: &Place| match place {
        Place::At(address) => address.mode(),
        Place::OfGuest | Place::Inherited(_) => None,
    };
    running.sockets == wanted.sockets
        && running.layers == wanted.layers
        && running.name == wanted.name
        && mode(&running.place) == mode(&wanted.place)
}

pub(super) fn is_same_guest(before: &Guest, now: &Guest) -> bool {
    match (before, now) {
        (Guest::BuiltIn, Guest::BuiltIn) => true,
        (Guest::File(before), Guest::File(now)) => before == now,
        (
            Guest::Built { component, .. },
            Guest::Built {
                component: other, ..
            },
        ) => component.hash() == other.hash(),
        _ => false,
    }
}
