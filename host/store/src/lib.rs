//! What a store holds beside its guest's memory, and what that needs: where
//! lines are printed, and which limits were reached.
//!
//! It makes no instance and calls no guest; that is `hotsocket::runtime`, for
//! which this is private. A crate of its own, so that WASI can be linked to
//! [`state::State`] in another one, which is compiled without optimisation.
//!
//! - [`state`]: the effects of the event under way, and its room
//! - [`sink`]: where the bytes go that a guest writes
//! - [`voice`], [`output`]: where its lines go
//! - [`meter`], [`clock`], [`calls`]: what an event may cost, what interrupts
//!   it, and how it may be called
//! - [`wasi`]: what it may see of the machine
//! - [`reached`]: which limits were reached, how often

pub mod calls;
pub mod clock;
pub mod meter;
pub mod output;
pub mod reached;
pub mod sink;
pub mod state;
pub mod voice;
pub mod wasi;
