//! The process that compiles one component, from its first instruction to its
//! last.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use super::job::{Job, Reason};
use crate::checked_file;
use crate::code_cache;
use crate::component::{self, LoadError};
use crate::engine;
use crate::fault::one_line;
use crate::function_cache::FunctionCache;
use crate::priority;

/// Threads that compile, at most: each has a stack and an arena of the
/// allocator's in the address space.
const MAX_THREADS: usize = 16;
/// Stack of the thread that validates, in bytes. Nesting in a component is
/// bounded by the validator; this holds what it allows.
const STACK: usize = 16 << 20;

/// Compile one component for another process, which has given these arguments
/// (see [`Compiler::Child`](super::Compiler::Child)). Returns the code to exit
/// with. Call it before anything else in the program: it lowers the limits of the
/// process.
pub fn compile_child(args: impl Iterator<Item = OsString>) -> ExitCode {
    let done = Job::from_args(args)
        .ok_or_else(|| io::Error::other("this command is for hotsocket itself"))
        .and_then(|job| confine(&job).map(|()| job))
        .and_then(|job| {
            let thread = std::thread::Builder::new().name("compile".to_owned());
            let thread = thread.stack_size(STACK).spawn(move || run(&job))?;
            thread.join().map_err(|_| io::Error::other("a panic"))?
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Lower the limits of this process, before it reads anything.
fn confine(job: &Job) -> io::Result<()> {
    // It dies with the thread that started it, and so with the server.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // If that has died before, there is nobody to compile for.
    if getppid().is_none_or(|parent| parent.as_raw_pid().unsigned_abs() != job.parent) {
        return Err(io::Error::other("the server has ended"));
    }
    // The first to go when the machine is out of memory.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    // Code dumps are not limited where they go to a program (core(5)).
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    limit(Resource::Core, 0, 0)?;
    limit(Resource::As, job.memory, job.memory)?;
    limit(Resource::Fsize, job.memory, job.memory)?;
    // SIGXCPU at the first, which says why it ends; SIGKILL at the second.
    limit(
        Resource::Cpu,
        job.cpu_seconds,
        job.cpu_seconds.saturating_add(1),
    )?;
    priority::lower_priority();
    Ok(())
}

/// Lower a limit; one that is lower already stays.
fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let before = getrlimit(resource);
    let least = |limit: Option<u64>, to: u64| Some(limit.map_or(to, |limit| limit.min(to)));
    let new = Rlimit {
        current: least(before.current, soft),
        maximum: least(before.maximum, hard),
    };
    Ok(setrlimit(resource, new)?)
}

fn run(job: &Job) -> io::Result<()> {
    let mut bytes = Vec::new();
    let length = usize::try_from(job.length).map_err(io::Error::other)?;
    bytes.try_reserve_exact(length).map_err(io::Error::other)?;
    io::stdin()
        .lock()
        .take(job.length)
        .read_to_end(&mut bytes)?;
    if bytes.len() != length {
        return Err(io::Error::other("the component is incomplete"));
    }
    // Standard output without its buffer.
    let mut answer = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    match compile(job, &bytes) {
        Ok(code) => {
            drop(bytes);
            let trailer = checked_file::trailer(&job.name, &code);
            answer.write_all(&code)?;
            answer.write_all(&trailer)
        }
        Err(error) => {
            let (reason, text) = match error {
                LoadError::Truncated => (Reason::Truncated, String::new()),
                LoadError::Compile(text) if is_out_of_memory(&text) => {
                    (Reason::Memory, String::new())
                }
                LoadError::Compile(text) => (Reason::Compile, text),
                other => (Reason::Other, other.to_string()),
            };
            answer.write_all(&[reason.byte()])?;
            answer.write_all(text.as_bytes())
        }
    }
}

/// Whether an error is that of a system call without memory.
fn is_out_of_memory(text: &str) -> bool {
    text.contains("os error 12") || text.contains("Cannot allocate memory")
}

fn compile(job: &Job, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    validate(bytes)?;
    let functions = job.functions.as_ref().map(|path| {
        let functions = Arc::<FunctionCache>::default();
        functions.keep_in(path.clone());
        functions
    });
    let engine = engine::for_compiling(job.strategy, job.max_stack, functions.as_ref());
    let engine = engine.map_err(|error| LoadError::NoEngine(one_line(&format!("{error:#}"))))?;
    if !job.name.ends_with(&code_cache::engine_name(&engine)) {
        return Err(LoadError::NoEngine(
            "the compiler's is configured differently".to_owned(),
        ));
    }
    let compilation = functions.as_ref().map(|kept| kept.begin(bytes.len()));
    if let Some(damage) = compilation.as_ref().and_then(|begun| begun.damage()) {
        // The server logs it.
        let _ = writeln!(io::stderr(), "{damage}");
    }
    let code = match threads() {
        Ok(threads) => threads.install(|| engine.precompile_component(bytes)),
        Err(error) => return Err(LoadError::NoEngine(error.to_string())),
    };
    code.map_err(|error| LoadError::Compile(one_line(&format!("{error:#}"))))
}

/// The threads to compile on: one for each processor, or this one alone where there
/// can't be more.
fn threads() -> Result<ThreadPool, ThreadPoolBuildError> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    ThreadPoolBuilder::new()
        .num_threads(processors.min(MAX_THREADS))
        .build()
        .or_else(|_| {
            let alone = ThreadPoolBuilder::new().num_threads(1);
            alone.use_current_thread().build()
        })
}

/// Check a component before it is compiled: that it is small enough in the numbers
/// of its parts, valid, and a guest.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn validate(bytes: &[u8]) -> Result<(), LoadError> {
    component::describe(bytes)?.check_world()
}
