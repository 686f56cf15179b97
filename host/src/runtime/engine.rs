//! wasmtime's engine: its configuration, and the pool that instances come
//! from.
//!
//! The pool's shape is fixed when the server starts. It is generous where that
//! costs only address space; what one guest may use is enforced elsewhere, by
//! [`Allowance`](super::state::Allowance).

use std::fs;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::functions::FunctionCache;
use crate::limits::Limits;

/// A fiber holds the guest's stack and that of the host functions called from
/// it, which need no more than this.
const HOST_STACK: usize = 512 * 1024;
/// Memory mappings of one live instance, as measured.
const MAPS_PER_INSTANCE: u64 = 4;
/// Memory mappings of one stack in the pool, used or not.
const MAPS_PER_STACK: u64 = 2;
/// Mappings left to everything else in the process.
const MAPS_RESERVED: u64 = 2000;
/// Linux' own default for `vm.max_map_count`.
const MAPS_DEFAULT: u64 = 65_530;
/// Instances beyond one per connection: trials, and successors made before
/// their predecessors go.
const SPARE_INSTANCES: u32 = 128;
/// Stacks where few instances need one. Each takes some 3 µs when the server
/// starts; more than [`super::calls`] needs to know a generation.
const FEW_STACKS: u32 = 1152;

/// How many instances of a pool may be on fibers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Some: guests that never wait.
    Lean,
    /// All: guests that import WASI.
    Deep,
}

/// How many instances there is room for, and what to tell about it.
#[derive(Clone, Debug)]
pub struct Room {
    /// Fibers that may exist at once.
    pub stacks: usize,
    /// A sentence for the log when there is less room than was asked for.
    pub warning: Option<String>,
}

/// Make the engine for these limits.
///
/// # Errors
/// When wasmtime cannot run on this machine at all.
pub fn build(
    limits: &Limits,
    depth: Depth,
    functions: Option<&Arc<FunctionCache>>,
) -> wasmtime::Result<(Engine, Room)> {
    let wanted = u32::try_from(limits.max_connections)
        .unwrap_or(u32::MAX)
        .saturating_add(SPARE_INSTANCES);
    // The lean pool is there in any case.
    let few = u64::from(FEW_STACKS.min(wanted)) * MAPS_PER_STACK;
    let each = match depth {
        Depth::Lean => MAPS_PER_INSTANCE,
        Depth::Deep => MAPS_PER_INSTANCE + MAPS_PER_STACK,
    };
    let maps = max_map_count();
    let fitting = u32::try_from(maps.saturating_sub(MAPS_RESERVED + few) / each)
        .unwrap_or(u32::MAX)
        .max(SPARE_INSTANCES + 1);
    let instances = wanted.min(fitting);
    let stacks = match depth {
        Depth::Lean => instances.min(FEW_STACKS),
        Depth::Deep => instances,
    };
    let mut warning = (instances < wanted).then(|| {
        let needed = u64::from(wanted) * each + MAPS_RESERVED + few;
        let whose = match depth {
            Depth::Lean => "",
            Depth::Deep => " of a guest that imports WASI",
        };
        format!(
            "room for {} connections{whose} only: the kernel allows a process {maps} memory \
             mappings; raise it with `sysctl -w vm.max_map_count={needed}`",
            instances - SPARE_INSTANCES
        )
    });
    match Engine::new(&pooled(instances, stacks, limits, functions)?) {
        Ok(engine) => {
            let stacks = stacks as usize;
            Ok((engine, Room { stacks, warning }))
        }
        Err(error) => {
            // No address space for the pool (`ulimit -v`, strict overcommit).
            let engine = Engine::new(&small(limits.max_stack, functions)?)?;
            warning = Some(format!(
                "instances are slower to make: no address space for a pool of {instances} \
                 ({}); look at `ulimit -v` and vm.overcommit_memory",
                super::fault::one_line(&error.root_cause().to_string())
            ));
            let stacks = Semaphore::MAX_PERMITS;
            Ok((engine, Room { stacks, warning }))
        }
    }
}

/// How much less of a busy processor a compilation gets than what serves.
const NICENESS: i32 = 5;

/// Lower the priority of the calling thread to that of compilations.
pub fn give_way() {
    let thread = rustix::thread::gettid();
    // Without it the compilation only competes harder.
    let _ = rustix::process::setpriority_process(Some(thread), NICENESS);
}

/// Give the calling thread what it needs to call guests: a stack for signals.
/// Else it is made at the thread's first call, and where there is no room for it
/// then, that call's connection is lost.
pub fn ready_thread() {
    Engine::tls_eager_initialize();
}

/// Let the compiler's own threads give way as well. Call it before anything is
/// compiled, and not where nothing is: starting them takes a start's time. They
/// are made once for the process.
pub fn calm_compiler() {
    let _ = rayon::ThreadPoolBuilder::new()
        .thread_name(|index| format!("compile-{index}"))
        .start_handler(|_| give_way())
        .build_global();
}

fn config(stack: usize, functions: Option<&Arc<FunctionCache>>) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    // Events are synchronous; without this a call costs three times as much.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    // Typed function references, with which `hotsocket build` joins a component's
    // modules, are on by default. They need no heap that is collected, so wasmtime
    // is built without its feature `gc`; that leaves out exceptions and structures.
    config.max_wasm_stack(stack);
    config.async_stack_size(stack.saturating_add(HOST_STACK));
    // Function names in traps need no map from machine code to byte offsets.
    config.generate_address_map(false);
    if let Some(functions) = functions {
        config.enable_incremental_compilation(Arc::clone(functions) as _)?;
    }
    Ok(config)
}

fn pooled(
    instances: u32,
    stacks: u32,
    limits: &Limits,
    functions: Option<&Arc<FunctionCache>>,
) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(stacks)
        .total_memories(instances)
        .max_memories_per_component(16)
        .total_tables(instances.saturating_mul(4))
        .max_tables_per_component(64)
        .table_elements(limits.max_table)
        .total_core_instances(instances.saturating_mul(64))
        .max_core_instances_per_component(1000)
        .max_component_instance_size(16 << 20)
        .max_core_instance_size(16 << 20)
        .max_memory_size(4 << 30);
    let mut config = config(limits.max_stack, functions)?;
    config.allocation_strategy(pool);
    Ok(config)
}

/// For little address space: every memory gets what it asks for, and its
/// bounds are checked in code.
fn small(stack: usize, functions: Option<&Arc<FunctionCache>>) -> wasmtime::Result<Config> {
    let mut config = config(stack, functions)?;
    config
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_reservation(0)
        .memory_reservation_for_growth(1 << 20)
        .memory_guard_size(64 << 10);
    Ok(config)
}

fn max_map_count() -> u64 {
    fs::read_to_string("/proc/sys/vm/max_map_count")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(MAPS_DEFAULT)
}
