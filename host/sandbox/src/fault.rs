//! Why an instance failed before its connection was over, for the log.
//!
//! A *fault* is what the host knows of it. What a guest may know of an error is
//! in the contract's own result types, and the two never mix.

use std::fmt;
use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::{I32Exit, ResourceTableError};

use crate::limit_counters::Limit;
use crate::store_data::StoreData;
use crate::wasi::MAX_HANDLES;

/// The exported function that an instance was in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Making the instance, which may run a start function.
    Start,
    Listening,
    Open,
    Data,
    Drained,
    End,
    Timer,
    Message,
    Lagged,
    Close,
    Save,
}

impl Event {
    pub(crate) const ALL: &[Event] = &[
        Event::Start,
        Event::Listening,
        Event::Open,
        Event::Data,
        Event::Drained,
        Event::End,
        Event::Timer,
        Event::Message,
        Event::Lagged,
        Event::Close,
        Event::Save,
    ];

    /// The one that `event as u8` has come from.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The function's name, for programs that read the log.
    pub fn name(self) -> &'static str {
        match self {
            Event::Start => "start",
            Event::Listening => "listening",
            Event::Open => "open",
            Event::Data => "data",
            Event::Drained => "drained",
            Event::End => "end",
            Event::Timer => "timer",
            Event::Message => "message",
            Event::Lagged => "lagged",
            Event::Close => "close",
            Event::Save => "save",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Start => f.write_str("its start"),
            event => write!(f, "`{}`", event.name()),
        }
    }
}

/// An event failed; see [`Fault::is_fatal`] for whether the instance can go on.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", .cause.describe(*.event))]
pub struct Fault {
    pub event: Event,
    pub cause: Cause,
}

/// Why an event failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The guest passed a message to `panic` before it trapped.
    #[error("{message}{}", in_function(.function.as_ref()))]
    Panic {
        message: String,
        function: Option<String>,
    },
    #[error("{what}{}", in_function(.function.as_ref()))]
    Trap {
        what: String,
        function: Option<String>,
    },
    #[error("stack overflow (raise --max-stack){}", in_function(.function.as_ref()))]
    StackOverflow { function: Option<String> },
    #[error("used more than {} of CPU time (raise {flag})", human(*.budget))]
    CpuBudget {
        budget: Duration,
        flag: &'static str,
    },
    #[error("timed out after {} (raise --event-timeout)", human(*.0))]
    EventTimeout(Duration),
    #[error("set too many timers (raise --max-timers)")]
    TooManyTimers,
    #[error("opened more than {MAX_HANDLES} WASI handles")]
    TooManyHandles,
    /// `open` returned an error.
    #[error("{0}")]
    Refused(String),
    /// The guest called WASI's `exit`.
    #[error("exited with code {0}")]
    Exit(i32),
    /// `save` returned more than a snapshot may hold.
    #[error("returned a snapshot of {size} bytes; --max-snapshot allows {max}")]
    SnapshotTooLarge { size: usize, max: usize },
    /// What the host must allocate for the instance, in bytes.
    #[error("its globals and tables need {0} bytes beside its memory (raise --max-memory)")]
    TooMuchMemory(usize),
    /// It passed more to the host in one call, or as its result, than it may.
    #[error("passed too much in one call (raise --max-queue; for `save`, --max-snapshot)")]
    TooMuchAtOnce,
    /// The session has no instance: a bug of this program.
    #[error("internal error: no instance to call")]
    NoInstance,
    /// No instance could be created: the pool is full, or the machine is out of
    /// memory.
    #[error("no room for another instance: {0}")]
    NoRoom(String),
}

impl Cause {
    pub(crate) fn into_error(self) -> wasmtime::Error {
        wasmtime::Error::from(self)
    }

    /// Why `open` has returned an error. A guest whose language cannot trap where a
    /// function may return an error, as JavaScript's, has called `panic` before: that
    /// is no refusal.
    pub(crate) fn of_refusal(panic_message: Option<String>, reason: &str) -> Self {
        match panic_message {
            Some(message) => Cause::Panic {
                message: one_line(&message),
                function: None,
            },
            None => Cause::Refused(one_line(reason)),
        }
    }

    /// All that [`Self::name`] returns.
    pub const NAMES: &[&str] = &[
        "panic",
        "trap",
        "stack-overflow",
        "cpu-budget",
        "event-timeout",
        "too-many-timers",
        "too-many-handles",
        "refused",
        "exit",
        "snapshot-too-large",
        "too-much-memory",
        "too-much-at-once",
        "no-instance",
        "no-room",
    ];

    /// A word for programs that read the log.
    pub fn name(&self) -> &'static str {
        match self {
            Cause::Panic { .. } => "panic",
            Cause::Trap { .. } => "trap",
            Cause::StackOverflow { .. } => "stack-overflow",
            Cause::CpuBudget { .. } => "cpu-budget",
            Cause::EventTimeout(_) => "event-timeout",
            Cause::TooManyTimers => "too-many-timers",
            Cause::TooManyHandles => "too-many-handles",
            Cause::Refused(_) => "refused",
            Cause::Exit(_) => "exit",
            Cause::SnapshotTooLarge { .. } => "snapshot-too-large",
            Cause::TooMuchMemory(_) => "too-much-memory",
            Cause::TooMuchAtOnce => "too-much-at-once",
            Cause::NoInstance => "no-instance",
            Cause::NoRoom(_) => "no-room",
        }
    }

    /// The guest's function that it happened in, if the component has names.
    pub fn function(&self) -> Option<&str> {
        match self {
            Cause::Panic { function, .. }
            | Cause::Trap { function, .. }
            | Cause::StackOverflow { function } => function.as_deref(),
            _ => None,
        }
    }

    fn describe(&self, event: Event) -> String {
        match self {
            Cause::Panic { .. } => format!("guest panicked in {event}: {self}"),
            Cause::Trap { .. } | Cause::StackOverflow { .. } => {
                format!("guest trapped in {event}: {self}")
            }
            Cause::Refused(reason) => format!("guest refused the connection: {reason}"),
            Cause::NoRoom(_) | Cause::NoInstance => self.to_string(),
            _ => format!("guest failed in {event}: {self}"),
        }
    }
}

/// `100 ms`, `1.5 s`.
pub(crate) fn human(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{} s", duration.as_secs_f64())
    }
}

fn in_function(function: Option<&String>) -> String {
    function.map_or_else(String::new, |name| format!(" (in function {name})"))
}

impl Fault {
    /// Describe an error of wasmtime's by its root cause, and count the limit
    /// that was reached.
    pub(crate) fn new(event: Event, error: &wasmtime::Error, data: &mut StoreData) -> Self {
        let message = data.panic_message.take();
        let rejected = data.count_rejected_growth();
        let cause = if let Some(cause) = error.downcast_ref::<Cause>() {
            cause.clone()
        } else if let Some(exit) = error.downcast_ref::<I32Exit>() {
            Cause::Exit(exit.0)
        } else if let Some(ResourceTableError::Full) = error.downcast_ref() {
            Cause::TooManyHandles
        } else if is_too_much_at_once(error) {
            Cause::TooMuchAtOnce
        } else if let Some(message) = message {
            let mut message = one_line(&message);
            // An engine that gets no more memory throws an exception of its own.
            if let Some(limit) = rejected {
                message.push_str(&format!(" | after exceeding --{}", limit.name()));
            }
            Cause::Panic {
                message,
                function: faulting_function(error),
            }
        } else if let Some(Trap::StackOverflow) = error.downcast_ref::<Trap>() {
            let function = faulting_function(error);
            Cause::StackOverflow { function }
        } else if error.is::<wasmtime::PoolConcurrencyLimitError>() || is_out_of_memory(error) {
            Cause::NoRoom(one_line(&error.root_cause().to_string()))
        } else {
            let mut what = match error.downcast_ref::<Trap>() {
                Some(trap) => trap.to_string().replace("wasm trap: ", ""),
                None => one_line(&format!("{:#}", error.root_cause())),
            };
            if let Some(limit) = rejected {
                what.push_str(&format!(" after exceeding --{}", limit.name()));
            }
            Cause::Trap {
                what,
                function: faulting_function(error),
            }
        };
        let fault = Fault { event, cause };
        if let Some(limit) = fault.limit() {
            data.warnings.count(limit);
        }
        fault
    }
}

/// Whether a call has passed more than the store's hostcall fuel. wasmtime has no
/// type for that error.
fn is_too_much_at_once(error: &wasmtime::Error) -> bool {
    let root = error.root_cause().to_string();
    root.contains("fuel allocated for hostcalls has been exhausted")
}

/// Whether the system has no memory left for an instance.
fn is_out_of_memory(error: &wasmtime::Error) -> bool {
    let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::OutOfMemory;
    let mut chain = error.chain().filter_map(|cause| cause.downcast_ref());
    chain.any(refused)
        || error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<rustix::io::Errno>())
            .any(|errno| *errno == rustix::io::Errno::NOMEM)
}

/// The most of a guest's text that one line of the log holds, in bytes.
const MAX_LINE: usize = 4096;

/// A guest's text as one line of the log, so that it cannot fake a second line.
pub fn one_line(text: &str) -> String {
    String::from_utf8_lossy(crate::guest_output::truncate(text.as_bytes(), MAX_LINE))
        .trim_end()
        .split(['\n', '\r'])
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" | ")
}

/// The innermost function that is not the language's own panic code. `None` if
/// the component has no names.
fn faulting_function(error: &wasmtime::Error) -> Option<String> {
    let trace = error.downcast_ref::<WasmBacktrace>()?;
    trace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name())
        .map(|name| format!("{:#}", rustc_demangle::demangle(name)))
        // The export's own name would only repeat the event.
        .filter(|name| !name.contains('#'))
        .find(|name| !PANIC_CODE.iter().any(|prefix| name.starts_with(prefix)))
}

/// Functions that Rust, its SDK and the C guests' header run between a panic and its
/// trap.
const PANIC_CODE: [&str; 11] = [
    "core::",
    "std::",
    "alloc::",
    "rust_",
    "__rust",
    "abort",
    "<std::",
    "hotsocket_guest::panic",
    "hotsocket_guest::connection::not_taken",
    "hs_panic",
    "__assert_fail",
];

impl Fault {
    /// For a session that has no instance to deliver an event to.
    pub fn no_instance() -> Self {
        Fault {
            event: Event::Start,
            cause: Cause::NoInstance,
        }
    }

    /// The limit that the instance reached, if it was one.
    pub fn limit(&self) -> Option<Limit> {
        match self.cause {
            Cause::CpuBudget { .. } => Some(Limit::CpuBudget),
            Cause::EventTimeout(_) => Some(Limit::EventTimeout),
            Cause::TooManyTimers => Some(Limit::Timers),
            Cause::TooManyHandles => Some(Limit::Handles),
            Cause::SnapshotTooLarge { .. } => Some(Limit::Snapshot),
            Cause::StackOverflow { .. } => Some(Limit::Stack),
            Cause::TooMuchAtOnce => Some(Limit::Transfer),
            Cause::NoRoom(_) => Some(Limit::Room),
            _ => None,
        }
    }

    /// Whether the instance can no longer be used.
    pub fn is_fatal(&self) -> bool {
        !matches!(self.cause, Cause::SnapshotTooLarge { .. })
    }
}
