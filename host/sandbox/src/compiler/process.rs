//! The server's side of a compilation: starts the process, gives it the
//! component, and takes its answer or its end. What comes and goes through the pipes
//! meanwhile is [`super::running`]'s.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZero;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::process::Signal;

use super::job::{Job, Reason, Strategy};
use super::running::{NoEnd, Running};
use super::{CompileLimits, Compiler};
use crate::checked_file::CheckedFile;
use crate::component::LoadError;
use crate::fault::one_line;

/// Bytes that are kept of what the process prints to standard error, and read of
/// a reason.
const MAX_TEXT: usize = 4096;
/// Lines of it that are logged.
const MAX_LINES: usize = 4;
/// Fewer arenas in glibc's allocator: each takes 64 MiB of addresses (mallopt(3)).
const MALLOC_ARENAS: &str = "4";
/// Begins the message with which Rust's runtime aborts.
const ALLOCATION_FAILED: &str = "memory allocation of ";

/// A compilation in a process of its own.
pub struct Process<'a> {
    pub compiler: &'a Compiler,
    pub limits: CompileLimits,
    pub strategy: Strategy,
    /// Stack of a guest, in bytes.
    pub max_stack: usize,
    /// Name of the code's file in the cache.
    pub name: &'a str,
    /// Where functions of large components are kept.
    pub functions: Option<PathBuf>,
}

impl Process<'_> {
    /// Compile a component. Returns the code in a file that exists in memory only,
    /// checked and sealed. Blocks the thread, for no longer than the limit of time
    /// and some seconds.
    ///
    /// # Errors
    /// What is wrong with the component, or which limit was reached.
    pub fn compile(&self, bytes: &[u8]) -> Result<CheckedFile, LoadError> {
        let Compiler::Child { program, args } = self.compiler else {
            return Err(LoadError::NoCompiler("none is configured".to_owned()));
        };
        let no_compiler = |error: io::Error| LoadError::NoCompiler(error.to_string());
        let answer = memory_file().map_err(no_compiler)?;
        let stdout = answer.try_clone().map_err(no_compiler)?;
        let mut command = Command::new(program);
        command
            .arg0("hotsocket")
            .args(args)
            .args(self.job(bytes.len()).to_args())
            .env("MALLOC_ARENA_MAX", MALLOC_ARENAS)
            .env_remove("RUST_BACKTRACE")
            // Ctrl-C is for the server, which ends it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::piped());
        let begun = Instant::now();
        let child = command.spawn().map_err(no_compiler)?;
        let mut running = Running::new(child, begun + self.limits.time, MAX_TEXT);
        let status = running.run(bytes);
        self.result(status, running.printed(), answer)
    }

    fn job(&self, length: usize) -> Job {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let seconds = self.limits.time.as_secs().saturating_add(1);
        Job {
            parent: std::process::id(),
            length: length as u64,
            memory: self.limits.memory,
            cpu_seconds: seconds.saturating_mul(processors as u64),
            strategy: self.strategy,
            max_stack: self.max_stack,
            name: self.name.to_owned(),
            functions: self.functions.clone(),
        }
    }

    fn result(
        &self,
        status: Result<ExitStatus, NoEnd>,
        printed: &[u8],
        answer: File,
    ) -> Result<CheckedFile, LoadError> {
        let timeout = LoadError::CompileTimeout {
            time: self.limits.time,
        };
        let memory = LoadError::CompileMemory {
            limit: self.limits.memory,
        };
        let status = match status {
            Ok(status) => status,
            Err(NoEnd::Late) => return Err(timeout),
            Err(NoEnd::Lost(error)) => return Err(LoadError::NoCompiler(error.to_string())),
        };
        let printed = String::from_utf8_lossy(printed);
        if status.success() {
            for line in printed.lines().take(MAX_LINES) {
                tracing::warn!("{}", one_line(line));
            }
            return self.answer(answer);
        }
        match status.signal().and_then(Signal::from_named_raw) {
            Some(Signal::XCPU) => Err(timeout),
            Some(Signal::XFSZ) => Err(memory),
            _ if printed.contains(ALLOCATION_FAILED) => Err(memory),
            Some(Signal::KILL) => Err(LoadError::CompilerEnded(
                "it was killed, as when the machine has no memory left".to_owned(),
            )),
            _ => Err(LoadError::CompilerEnded(match printed.trim() {
                "" => status.to_string(),
                text => format!("{status}: {}", one_line(text)),
            })),
        }
    }

    /// What a process that has succeeded has written.
    pub(crate) fn answer(&self, mut answer: File) -> Result<CheckedFile, LoadError> {
        let ended = |reason: &str| LoadError::CompilerEnded(reason.to_owned());
        let failed = |error: io::Error| ended(&error.to_string());
        // Nobody can change it from now on, so what is checked is what is used.
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        rustix::fs::fcntl_add_seals(&answer, seals).map_err(|error| failed(error.into()))?;
        let mut begin = Vec::new();
        answer.seek(SeekFrom::Start(0)).map_err(failed)?;
        let head = (&answer).take(MAX_TEXT as u64).read_to_end(&mut begin);
        head.map_err(failed)?;
        let Some((first, text)) = begin.split_first() else {
            return Err(ended("without an answer"));
        };
        let Some(reason) = Reason::from_byte(*first) else {
            return CheckedFile::check(answer, self.name, self.limits.memory)
                .map_err(|error| ended(&error.to_string()));
        };
        let text = one_line(&String::from_utf8_lossy(text));
        Err(match reason {
            Reason::Truncated => LoadError::Truncated,
            Reason::Compile => LoadError::Compile(text),
            Reason::Memory => LoadError::CompileMemory {
                limit: self.limits.memory,
            },
            Reason::Other => LoadError::Rejected(text),
        })
    }
}

/// A file without a name, which only exists in memory.
pub(crate) fn memory_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    Ok(rustix::fs::memfd_create("hotsocket code", flags)?.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::checked_file;

    /// What becomes of a compilation whose process does this, in the shell.
    fn compile(
        script: &str,
        limits: CompileLimits,
        bytes: &[u8],
    ) -> Result<CheckedFile, LoadError> {
        let process = Process {
            compiler: &Compiler::Child {
                program: "/bin/sh".into(),
                args: vec!["-c".into(), script.into(), "sh".into()],
            },
            limits,
            strategy: Strategy::Pooled,
            max_stack: 1,
            name: "name",
            functions: None,
        };
        process.compile(bytes)
    }

    const LIMITS: CompileLimits = CompileLimits {
        memory: 1 << 30,
        time: Duration::from_secs(60),
    };
    const SHORT: CompileLimits = CompileLimits {
        memory: 1 << 30,
        time: Duration::from_millis(50),
    };

    fn error(script: &str, limits: CompileLimits) -> LoadError {
        // More than fits into a pipe.
        compile(script, limits, &vec![0; 1 << 20]).expect_err("no code")
    }

    #[test]
    fn its_answer_is_checked() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("name");
        checked_file::write(&path, b"\x7fELF of a kind").expect("writable");
        let whole = format!("cat > /dev/null; cat {}", path.display());
        let code = compile(&whole, LIMITS, b"bytes").expect("code");
        assert_eq!(code.content().expect("readable"), b"\x7fELF of a kind");
        let damaged = format!("cat > /dev/null; head -c 50 {}", path.display());
        let ended = error(&damaged, LIMITS).to_string();
        assert!(ended.contains("checksum"), "{ended}");
        assert!(matches!(error(":", LIMITS), LoadError::CompilerEnded(_)));
    }

    #[test]
    fn its_reasons_are_told() {
        for (answer, reason) in [
            ("T", LoadError::Truncated),
            ("Cno", LoadError::Compile("no".to_owned())),
            (
                "M",
                LoadError::CompileMemory {
                    limit: LIMITS.memory,
                },
            ),
            ("Oa\nb", LoadError::Rejected("a | b".to_owned())),
        ] {
            assert_eq!(error(&format!("printf '{answer}'"), LIMITS), reason);
        }
    }

    #[test]
    fn one_that_takes_too_long_is_killed() {
        let late = LoadError::CompileTimeout { time: SHORT.time };
        // Reads nothing; reads all; closes what it was given; minds no signal.
        for script in [
            "exec sleep 1000",
            "cat > /dev/null; exec sleep 1000",
            "exec sleep 1000 < /dev/null > /dev/null 2>&1",
            "trap '' TERM INT HUP; while :; do :; done",
            "while :; do echo much >&2; done",
        ] {
            assert_eq!(error(script, SHORT), late, "{script}");
        }
    }

    #[test]
    fn one_that_fails_is_described_in_one_line() {
        let failed = |script: &str| error(script, LIMITS);
        let memory = LoadError::CompileMemory {
            limit: LIMITS.memory,
        };
        assert_eq!(
            failed("echo memory allocation of 7 bytes failed >&2; kill -ABRT $$"),
            memory
        );
        assert_eq!(failed("kill -XFSZ $$"), memory);
        let time = LoadError::CompileTimeout { time: LIMITS.time };
        assert_eq!(failed("kill -XCPU $$"), time);
        let told = failed("echo one >&2; echo two >&2; kill -SEGV $$").to_string();
        assert!(
            told.contains("signal: 11") && told.contains("one | two"),
            "{told}"
        );
        let told = failed("exec 0<&-; head -c 100000 /dev/zero >&2; exit 3").to_string();
        assert!(
            told.contains("exit status: 3") && told.len() < 5000,
            "{told}"
        );
    }

    #[test]
    fn one_that_cannot_be_started_is_an_error() {
        let process = Process {
            compiler: &Compiler::Child {
                program: "/nowhere/at/all".into(),
                args: Vec::new(),
            },
            limits: LIMITS,
            strategy: Strategy::Pooled,
            max_stack: 1,
            name: "name",
            functions: None,
        };
        let told = process.compile(b"").expect_err("no process").to_string();
        assert!(told.contains("--compile-inside"), "{told}");
    }
}
