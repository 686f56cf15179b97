//! Compiles components, in a process of its own.
//!
//! What the compiler does with a component can't be bounded from outside of it:
//! one function of 150 KB may take a gigabyte and minutes, and a thread can't be
//! stopped. So a server has it done by a child process, the same program again,
//! which is killed when it reaches a limit. The server's own memory does not grow
//! meanwhile. Validation belongs to it, too: it also takes what the component
//! makes it take.
//!
//! ```text
//! server                            child
//! spawn /proc/self/exe compile-child JOB
//!                                   lower its limits, before it reads anything
//! stdin: the component's bytes  ──▶ count parts, validate, check the world, compile
//! memfd: code with a checksum   ◀── or the reason why there is none
//! check it, put it into the cache, map it
//! ```
//!
//! - [`process`]: the server's side; [`running`]: its pipes, deadline and end
//! - [`child`]: the other side
//! - [`job`]: what the one asks of the other
//!
//! Whoever is not hotsocket's binary decides what is run: see [`Compiler`].

mod child;
mod job;
mod process;
mod running;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub use child::{compile_child, validate};
pub use job::Strategy;
pub use process::Process;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use process::memory_file;

/// The argument with which hotsocket's binary compiles and does nothing else. A
/// program of your own can do the same: see [`compile_child`].
pub const COMPILE_CHILD: &str = "compile-child";

/// Where components are compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Compiler {
    /// In this process, on the calling thread and the compiler's own. Memory is
    /// not limited, and a compilation that takes too long is not stopped.
    ///
    /// The default, as only the program knows whether it may be run again.
    #[default]
    Inside,
    /// In a process of its own, with limits.
    Child {
        program: PathBuf,
        /// Arguments that make the program call [`compile_child`] with the others.
        args: Vec<OsString>,
    },
}

impl Compiler {
    /// A child that runs this program again. Only for programs that begin with
    ///
    /// ```no_run
    /// use hotsocket_sandbox::{COMPILE_CHILD, compile_child};
    ///
    /// fn main() -> std::process::ExitCode {
    ///     let mut args = std::env::args_os().skip(1);
    ///     if args.next().is_some_and(|first| first == COMPILE_CHILD) {
    ///         return compile_child(args);
    ///     }
    ///     // All else.
    /// #   std::process::ExitCode::SUCCESS
    /// }
    /// ```
    pub fn this_program() -> Self {
        Compiler::Child {
            // The very file that runs, also after its path names another one:
            // https://man7.org/linux/man-pages/man5/proc_pid_exe.5.html
            program: PathBuf::from("/proc/self/exe"),
            args: vec![COMPILE_CHILD.into()],
        }
    }
}

/// What one compilation may use, in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileLimits {
    /// Address space, in bytes: the program, the component, and what the compiler
    /// needs.
    pub memory: u64,
    /// On the clock. CPU time is limited to as much on every processor.
    pub time: Duration,
}
