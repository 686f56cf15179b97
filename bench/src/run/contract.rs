//! The names and types of the contract (`wit/`) that [`raw`](super::raw) needs.
//! wasmtime checks the types against the component.

use wasmtime::component::{ComponentType, Lower};

pub const HANDLER: &str = "hotsocket:socket/handler@0.1.0";
pub const CONNECTION: &str = "hotsocket:socket/connection@0.1.0";

#[derive(Clone, ComponentType, Lower)]
#[component(record)]
pub struct Succession {
    snapshot: Option<Vec<u8>>,
    #[component(name = "peer-ended")]
    peer_ended: bool,
}

/// Why an instance begins; here always `accepted`.
#[derive(Clone, ComponentType, Lower)]
#[component(variant)]
pub enum Origin {
    #[component(name = "accepted")]
    Accepted,
    #[component(name = "migrated")]
    _Migrated(Succession),
    #[component(name = "woken")]
    _Woken(Succession),
    #[component(name = "restarted")]
    _Restarted(Succession),
}

/// Why `write` failed; here it never does.
#[derive(ComponentType, Lower)]
#[component(variant)]
pub enum WriteError {
    #[component(name = "closed")]
    _Closed,
    #[component(name = "full")]
    _Full,
    #[component(name = "other")]
    _Other(String),
}
