//! From the bytes of a component to a guest that has been compiled and tried
//! out, on a thread of its own that yields to those that serve.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hotsocket_sandbox::limit_counters::Limit;
use hotsocket_sandbox::{
    CompiledGuest, ComponentBytes, LoadError, Sandbox, lower_priority, run_on_thread,
};
use tokio::sync::OwnedSemaphorePermit;

use super::Registry;
use crate::rollout::Source;

/// A compilation that takes longer than this is logged, for silence looks like a
/// standstill.
const QUIET: Duration = Duration::from_secs(1);

/// More than it takes to end a process that compiles.
const KILL_TIME: Duration = Duration::from_secs(10);

/// Stack of a compiling thread, in bytes. Nesting in a component is bounded by
/// the validator; this holds what it allows.
const COMPILE_STACK: usize = 16 << 20;

/// Why a swap or a way back did not happen. Then nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    #[error("{guest} {error}")]
    Load { guest: String, error: LoadError },
    #[error("cannot compile {guest}: {error}")]
    Thread {
        guest: String,
        error: std::io::Error,
    },
    #[error(
        "{guest} has several memories or many tables: there is room for {room} connections, \
         and {open} are open (raise --max-connections)"
    )]
    NoRoom {
        guest: String,
        room: usize,
        open: usize,
    },
    #[error("no earlier generation is kept")]
    NoPrevious,
    #[error("generation {from} is not active any more")]
    NotActive { from: u64 },
    #[error("{failed} connections failed on generation {generation}, and no earlier one is kept")]
    NotUndone { generation: u64, failed: usize },
}

impl SwapError {
    /// Whether the same bytes may be accepted later: the machine, or the instance
    /// pool, was short of something.
    pub fn may_pass(&self) -> bool {
        match self {
            SwapError::Load { error, .. } => error.may_pass(),
            SwapError::Thread { .. } | SwapError::NoRoom { .. } => true,
            SwapError::NoPrevious | SwapError::NotActive { .. } | SwapError::NotUndone { .. } => {
                false
            }
        }
    }

    /// What did not happen, for the line that tells why.
    pub fn what(&self) -> &'static str {
        match self {
            SwapError::NoPrevious | SwapError::NotActive { .. } => "not rolled back",
            SwapError::NotUndone { .. } => "not undone",
            _ => "not swapped",
        }
    }
}

impl Registry {
    /// Compile, then make one instance to see that others can be made. A kept
    /// generation's code is not compiled again.
    pub(super) async fn compile(
        &self,
        component: ComponentBytes,
        source: &Source,
    ) -> Result<Arc<CompiledGuest>, SwapError> {
        if let Some(compiled) = self.kept.lock().compiled(component.hash()) {
            return Ok(compiled);
        }
        let guest = source.to_string();
        let Ok(permit) = Arc::clone(&self.compilers).try_acquire_owned() else {
            let error = LoadError::CompilerBusy;
            return Err(SwapError::Load { guest, error });
        };
        compile(&self.sandbox, component, &guest, Some(permit)).await
    }
}

/// Compile and try out a guest, and log it when that takes a while. With a
/// `permit` the compilation yields to the threads that serve.
///
/// It ends in time: a process that compiles is killed at the limit. A thread of
/// this process can't be stopped; it is not waited for any longer.
///
/// # Errors
/// When the bytes are not a guest that can be served.
pub async fn compile(
    sandbox: &Arc<Sandbox>,
    component: ComponentBytes,
    guest: &str,
    permit: Option<OwnedSemaphorePermit>,
) -> Result<Arc<CompiledGuest>, SwapError> {
    let begun = Instant::now();
    let size = component.bytes().len();
    let mut compiling = std::pin::pin!(compile_in_time(sandbox, component, permit));
    let quick = tokio::time::timeout(QUIET, &mut compiling).await;
    let slow = quick.is_err();
    let compiled = match quick {
        Ok(compiled) => compiled,
        Err(_) => {
            let cached = match sandbox.caches_code() {
                true => "; the result will be cached",
                false => "",
            };
            tracing::info!(
                kind = "compiling",
                guest,
                bytes = size,
                "compiling {guest} ({:.1} MB){cached}",
                size as f64 / 1e6
            );
            compiling.await
        }
    };
    let name = || guest.to_owned();
    let compiled = compiled
        .map_err(|error| SwapError::Thread {
            guest: name(),
            error,
        })?
        .map_err(|error| SwapError::Load {
            guest: name(),
            error,
        })?;
    if slow {
        let took = begun.elapsed();
        tracing::info!(
            kind = "compiled",
            guest,
            elapsed_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "compiled {guest} in {:.1} s",
            took.as_secs_f64()
        );
    }
    match sandbox.try_out(&compiled).await {
        Ok(()) => Ok(compiled),
        Err(error) => Err(SwapError::Load {
            guest: name(),
            error,
        }),
    }
}

/// Compile, and wait for it only so long.
async fn compile_in_time(
    sandbox: &Arc<Sandbox>,
    component: ComponentBytes,
    permit: Option<OwnedSemaphorePermit>,
) -> std::io::Result<Result<Arc<CompiledGuest>, LoadError>> {
    let compiling = compile_on_thread(Arc::clone(sandbox), component, permit);
    let time = sandbox.compile_timeout();
    let patience = match sandbox.compiles_inside() {
        true => time,
        // The thread waits for its turn, and then for the process.
        false => time.saturating_mul(2).saturating_add(KILL_TIME),
    };
    tokio::time::timeout(patience, compiling)
        .await
        .unwrap_or_else(|_| {
            sandbox.limit_counters().count(Limit::CompileTimeout);
            Ok(Err(LoadError::CompileTimeout { time }))
        })
}

/// A thread can't be cancelled: one that is not waited for any more holds
/// its permit until it ends.
async fn compile_on_thread(
    sandbox: Arc<Sandbox>,
    component: ComponentBytes,
    permit: Option<OwnedSemaphorePermit>,
) -> std::io::Result<Result<Arc<CompiledGuest>, LoadError>> {
    run_on_thread("compile", Some(COMPILE_STACK), move || {
        // At the start nobody is served yet.
        if permit.is_some() {
            lower_priority();
        }
        let compiled = sandbox.compile(&component);
        drop(permit);
        compiled
    })
    .await
}
