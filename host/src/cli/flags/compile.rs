//! The flags of commands that compile components: of a server and of
//! `hotsocket test`.

use std::time::Duration;

use hotsocket_sandbox::Compiler;

use super::limits::LIMITS;
use crate::limits::Limits;
use crate::{duration, size};

/// See the module's documentation.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CompileFlags {
    /// Time that compiling a component may take
    #[arg(long, value_name = "TIME", default_value = duration::show(Limits::default().compile_timeout), value_parser = duration::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(in crate::cli) compile_timeout: Duration,

    /// Memory (address space) of the process that compiles a component
    #[arg(long, value_name = "SIZE", default_value = size::show(Limits::default().compile_memory), value_parser = size::parse, help_heading = LIMITS, hide_short_help = true)]
    pub(in crate::cli) compile_memory: usize,

    /// Compile in this process, where none can be started: without a limit on memory, and a
    /// compilation that takes too long is not stopped
    #[arg(long, help_heading = LIMITS, hide_short_help = true)]
    compile_inside: bool,
}

impl CompileFlags {
    pub(in crate::cli) fn compiler(&self) -> Compiler {
        match self.compile_inside {
            true => Compiler::Inside,
            false => Compiler::this_program(),
        }
    }
}
