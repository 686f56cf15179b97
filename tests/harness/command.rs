//! Programs that run to their end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{PATIENCE, Process};

/// The binary under test.
pub fn hotsocket() -> Command {
    let known = option_env!("CARGO_BIN_EXE_hotsocket").map(PathBuf::from);
    Command::new(known.unwrap_or_else(|| {
        // Examples are not told. They lie one directory below it.
        let example = std::env::current_exe().expect("a path");
        example.with_file_name("../hotsocket")
    }))
}

/// What a program did.
#[derive(Debug)]
pub struct Ran {
    /// 128 and the signal's number, as a shell has it, if one ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// Run a program to its end.
pub fn run(command: &mut Command) -> Ran {
    run_within(PATIENCE, command)
}

/// Run a program to its end, which it must reach in this time.
pub fn run_within(time: Duration, command: &mut Command) -> Ran {
    Process::start("the program", command).end_within(time)
}

impl Ran {
    /// It failed with this code and one line on standard error, which is given
    /// without its `error: `. A panic of the host would show here.
    #[track_caller]
    pub fn failure(&self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        let lines: Vec<_> = self.stderr.lines().collect();
        let [line] = lines.as_slice() else {
            panic!("one line, not {}:\n{}", lines.len(), self.stderr)
        };
        assert_eq!(self.stdout, "");
        line.strip_prefix("error: ")
            .unwrap_or_else(|| panic!("an error, not {line:?}"))
            .to_owned()
    }

    /// The last line on standard error.
    pub fn last_line(&self) -> &str {
        self.stderr.lines().last().unwrap_or_default()
    }

    /// It succeeded and had nothing to complain about; what it printed.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        assert_eq!(self.stderr, "");
        self.stdout
    }
}

/// The outcome of `hotsocket` with these arguments, for a server that has this
/// runtime directory.
pub fn ask(runtime_dir: &Path, args: &[&str]) -> Ran {
    run(hotsocket().args(args).env("XDG_RUNTIME_DIR", runtime_dir))
}
