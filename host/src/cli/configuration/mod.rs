//! The configuration file: what flags say, for several services and their listeners.
//!
//! There is no list of keys here. Each flag of `hotsocket serve` is a key of the same
//! name ([`keys`] walks clap's own description of them), and a table of the file becomes
//! an argument list that the flags' parsers read. So names, ranges, defaults and help
//! cannot differ between the two.
//!
//! - [`keys`]: which keys there are, and in which table each belongs
//! - [`document`]: from the text of a file to tables of checked keys
//! - [`value`]: from a TOML value to what a flag takes
//! - [`table`]: the values that hold for one service or listener, and whence they come
//! - [`mod@load`]: a file and flags become a [`Config`](super::flags::Config)
//! - [`watch`]: notices that the file has changed; [`changes`]: what differs then
//! - [`problem`]: what is wrong, where, and what to do
//! - [`mod@show`]: what is in force, as TOML; the reference in `docs/configuration.md`

mod changes;
mod document;
mod keys;
mod load;
mod problem;
mod show;
mod table;
mod value;
mod watch;

pub(in crate::cli) use changes::{Changes, InForce};
pub(in crate::cli) use load::{Given, Loaded, load};
pub(in crate::cli) use problem::{Problem, Problems};
pub(in crate::cli) use show::{reference, show};
pub(in crate::cli) use watch::{FileWatch, Stamps};

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use load::parse;
