//! Noticing that files have changed.
//!
//! An event of the kernel only says that it is time to look: whether something
//! has changed is decided by comparing [`Stamp`]s. So watching also works, at a
//! second's delay, on file systems without events, and whatever an editor does
//! on the way to a saved file.
//!
//! - [`signal`]: waits until something happens in watched directories
//! - [`stamp`]: compares two states of a file without reading it
//! - [`file_thread`]: does what may hang on a file system
//! - [`mod@settle`]: waits until files stop changing
//! - [`symlinks`]: which directories to watch for one file
//!
//! Which files are watched, and what happens when they change, is up to the
//! users of this module.

mod file_thread;
mod settle;
mod signal;
mod stamp;
mod symlinks;

pub use file_thread::FileThread;
pub use settle::settle;
pub use signal::ChangeSignal;
pub use stamp::Stamp;
pub use symlinks::directories_of;
