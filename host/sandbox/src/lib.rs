//! The sandbox: compiles guests, makes instances of them and calls their events.
//!
//! This crate owns everything that names wasmtime. Whoever depends on it sees
//! no type of wasmtime's: [`Sandbox`] compiles bytes to a [`CompiledGuest`] and
//! makes [`Instance`]s of it, an instance is called for each event of its
//! connection, and what the event asked for comes back as [`Effects`]. What ends
//! an instance is a [`Fault`].
//!
//! It owns no socket. A session may lend its [`Transport`] to an instance for
//! the time of one event, so that large writes need no copy.
//!
//! # Layout
//! - [`sandbox`]: the entry point, one for each service
//! - [`engine_pool`], [`engine`]: where instances come from, one for a process
//! - [`contract`]: every version of every interface that guests may export or
//!   import, in one table; [`imports`], [`hibernation`], [`text`], [`environment`], [`key_value`], [`peer`],
//!   [`start_tls`], [`bindings`], [`bounded_text`]: what it refers to
//! - [`component`], [`declared_imports`], [`part_count`], [`typecheck`]: check a file and the types of
//!   its exports
//! - [`compiler`]: compiles in a process of its own
//! - [`compiled`], [`code_cache`], [`function_cache`], [`checked_file`]: compiled
//!   code
//! - [`instance`]: one instance and its events; [`lifecycle`]: why it begins and ends;
//!   [`reclaim`]: what is left of it
//! - [`call_mode`]: on a fiber or directly; [`fairness`], [`proof`], [`cpu_budget`],
//!   [`epoch_ticker`]: how an event gives way, what it may cost, what interrupts it
//! - [`store_data`], [`effects`], [`memory_limit`], [`guest_output`], [`wasi`]:
//!   what a store holds
//! - [`fault`]: why an event failed
//! - [`limit_counters`]: which limits were reached, how often; [`measures`]: how many events
//!   there were, and how long they took
//! - [`log`]: how the log names a connection

mod bindings;
mod bounded_text;
mod call_mode;
mod checked_file;
mod code_cache;
mod compiled;
mod compiler;
pub mod component;
mod contract;
mod cpu_budget;
mod declared_imports;
mod effects;
mod endpoint;
mod engine;
mod engine_pool;
mod environment;
mod epoch_ticker;
mod fairness;
mod fault;
mod function_cache;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guest_output;
mod hash;
mod hibernation;
mod imports;
mod instance;
pub mod key_value;
mod lifecycle;
pub mod limit_counters;
mod limits;
mod log;
pub mod measures;
mod memory_limit;
mod part_count;
mod peer;
mod priority;
mod proof;
mod reclaim;
#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
mod sandbox;
mod start_tls;
mod store_data;
mod text;
mod thread;
pub mod topics;
mod transport;
mod typecheck;
mod wasi;
mod write_whole;

pub use code_cache::CodeCacheDir;
pub use compiled::CompiledGuest;
pub use compiler::{COMPILE_CHILD, Compiler, compile_child};
pub use component::LoadError;
pub use effects::{
    ConnectionInfo, Effects, HIGH_WATER, LOW_WATER, ServedConnection, SessionRequests, Window,
    recycle,
};
pub use endpoint::{Endpoint, UnixPeer};
pub use engine::prepare_thread;
pub use engine_pool::{EnginePool, LinkWasi};
pub use environment::{Environment, MAX_SETTINGS, SettingError, Settings, check_setting};
pub use fairness::let_others_run;
pub use fault::{Cause, Event, Fault, one_line};
pub use guest_output::{FieldValue, GuestRecord, LineSink, StandardStream};
pub use hash::{ComponentBytes, Hash};
pub use instance::Instance;
pub use lifecycle::{CloseReason, Origin, Succession};
pub use limits::{Limits, PoolLimits};
pub use log::LoggedConnection;
pub use peer::{PeerFacts, ProxyFacts, TlsFacts};
pub use priority::lower_priority;
pub use sandbox::Sandbox;
pub use store_data::StoreData;
pub use thread::run_on_thread;
pub use topics::{CountSubscribers, Delivery, Publication, TopicRequest, WhenFull};
pub use transport::{SLICE, Stream, Transport, write_slice};
pub use wasi::Grants;
pub use write_whole::write_whole;
