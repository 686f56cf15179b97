//! wasmtime's engine: its configuration, the pool that instances come from, and
//! how many instances the kernel has room for.
//!
//! A pool's shape is fixed when it is made. It is generous where that costs only
//! address space; what one guest may use is enforced elsewhere, by
//! [`MemoryLimit`](crate::memory_limit::MemoryLimit).

use std::fs;
use std::sync::Arc;

use wasmtime::component::Component;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::compiler::Strategy;
use crate::function_cache::FunctionCache;
use crate::limits::PoolLimits;

/// A fiber holds the guest's stack and that of the host functions called from
/// it, which need no more than this.
const HOST_STACK: usize = 512 * 1024;
/// Memory mappings of one live instance, as measured.
const MAPS_PER_INSTANCE: u64 = 4;
/// Memory mappings of one stack in a pool, used or not: the stack and its guard
/// page.
const MAPS_PER_STACK: u64 = 2;
/// Mappings left to everything else in the process.
const MAPS_RESERVED: u64 = 2000;
/// Linux' own default for `vm.max_map_count`.
const MAPS_DEFAULT: u64 = 65_530;
/// Instances beyond one per connection: trials, and successors made before
/// their predecessors are dropped.
pub const SPARE_INSTANCES: u32 = 128;
/// Memory that a free slot of the pool keeps, if it keeps any: what small guests
/// use. It is reset by copying instead of `madvise`, which interrupts the other
/// processors, and the next instance finds its pages there.
const KEPT_MEMORY: usize = 64 << 10;
const KEPT_TABLE: usize = 4 << 10;
/// Stack that is cleared by hand for the next instance, when one that ran on a fiber is
/// dropped: the page that small guests use. The rest of it, which may have been all of
/// `--max-stack`, goes back to the system.
const KEPT_STACK: usize = 4 << 10;
/// Core instances that one instance may consist of. What `hotsocket build` makes has
/// 4 to 20.
pub const MAX_CORE_INSTANCES: u32 = 100;
/// What the host may allocate for all of them together, in bytes: globals of 16 bytes and
/// functions of 32. It is charged to the instance (see `memory_limit`), but only when
/// it is there.
const MAX_HOST_DATA: usize = 1 << 20;
/// Instances of the pool that is made when the server starts. Each stack takes
/// some 3 µs there.
const SMALL_POOL: u32 = 1152;

/// Linear memories that the pool has for each of its places…
const MEMORIES_PER_PLACE: u32 = 1;
/// …and tables.
const TABLES_PER_PLACE: u32 = 4;
/// What one component may have of each; checked when it is compiled.
pub const MAX_MEMORIES: u32 = 16;
pub const MAX_TABLES: u32 = 64;

/// How many places of a pool an instance of this component takes: so many that
/// all places together never take more memories and tables than there are.
pub fn places(component: &Component) -> usize {
    // `None` if it imports modules, which no guest may.
    let (memories, tables) = component
        .resources_required()
        .map_or((MAX_MEMORIES, MAX_TABLES), |needed| {
            (needed.num_memories, needed.num_tables)
        });
    let places = memories
        .div_ceil(MEMORIES_PER_PLACE)
        .max(tables.div_ceil(TABLES_PER_PLACE));
    places.max(1) as usize
}

/// How many instances each pool has room for, each with a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Of the pool that is made at the start.
    pub small: u32,
    /// Of the pool that is made when it is needed.
    pub large: u32,
    /// For the log, when fewer instances are possible than were asked for.
    pub warning: Option<String>,
}

impl Capacity {
    /// For so many connections on this machine.
    pub fn of(connections: usize) -> Self {
        Self::within(connections, max_map_count())
    }

    /// The same where a process may have so many mappings.
    fn within(connections: usize, maps: u64) -> Self {
        let wanted = u32::try_from(connections)
            .unwrap_or(u32::MAX)
            .saturating_add(SPARE_INSTANCES);
        let small = SMALL_POOL.min(wanted);
        // The small pool's stacks are there in any case. All live instances
        // together are never more than wanted.
        let reserved = MAPS_RESERVED + u64::from(small) * MAPS_PER_STACK;
        let each = MAPS_PER_INSTANCE + MAPS_PER_STACK;
        let fitting = u32::try_from(maps.saturating_sub(reserved) / each).unwrap_or(u32::MAX);
        let fitting = fitting.max(SPARE_INSTANCES + 1);
        if fitting >= wanted {
            return Capacity {
                small,
                large: wanted,
                warning: None,
            };
        }
        let needed = u64::from(wanted) * each + reserved;
        Capacity {
            small: small.min(fitting),
            large: fitting.saturating_sub(small).max(SPARE_INSTANCES + 1),
            warning: Some(format!(
                "only {} connections are possible: the kernel allows a process {maps} memory \
                 mappings; raise the limit with `sysctl -w vm.max_map_count={needed}`",
                fitting - SPARE_INSTANCES
            )),
        }
    }
}

/// An engine that runs guests.
pub struct Built {
    pub engine: Engine,
    /// How many instances it has room for.
    pub capacity: usize,
    pub strategy: Strategy,
}

/// Make an engine whose pool has room for so many instances. Where there is no
/// address space for a pool, instances are made one by one, without a limit.
///
/// # Errors
/// When wasmtime cannot run on this machine at all.
pub fn build(
    limits: &PoolLimits,
    instances: u32,
    functions: Option<&Arc<FunctionCache>>,
) -> wasmtime::Result<Built> {
    match Engine::new(&pooled(instances, limits, functions)?) {
        Ok(engine) => Ok(Built {
            engine,
            capacity: instances as usize,
            strategy: Strategy::Pooled,
        }),
        Err(error) => {
            // No address space for the pool (`ulimit -v`, strict overcommit).
            let engine = Engine::new(&on_demand(limits.max_stack, functions)?)?;
            tracing::warn!(
                "allocating instances one by one, which is slower: no address space for a pool \
                 of {instances} ({}); check `ulimit -v` and vm.overcommit_memory",
                crate::fault::one_line(&error.root_cause().to_string())
            );
            Ok(Built {
                engine,
                capacity: usize::MAX,
                strategy: Strategy::OnDemand,
            })
        }
    }
}

/// Make an engine that only compiles, for one of the other engines. It has no pool,
/// as a pool has no influence on the code.
///
/// # Errors
/// When wasmtime cannot run on this machine at all.
pub fn for_compiling(
    strategy: Strategy,
    max_stack: usize,
    functions: Option<&Arc<FunctionCache>>,
) -> wasmtime::Result<Engine> {
    Engine::new(&match strategy {
        Strategy::Pooled => config(max_stack, functions)?,
        Strategy::OnDemand => on_demand(max_stack, functions)?,
    })
}

/// Prepare the calling thread for calls of guests: allocate its signal stack now.
/// At the first call an allocation that fails would cost that call's connection.
pub fn prepare_thread() {
    Engine::tls_eager_initialize();
}

/// Lower the priority of the compiler's own threads as well. Call it before
/// anything is compiled, and not where nothing is: starting them takes time.
/// They are made once for the process.
pub fn lower_compiler_priority() {
    let _ = rayon::ThreadPoolBuilder::new()
        .thread_name(|index| format!("compile-{index}"))
        .start_handler(|_| crate::priority::lower_priority())
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
    // Otherwise each stack of the pool keeps what has ever been used of it.
    config.async_stack_zeroing(true);
    // Function names in traps need no map from machine code to byte offsets.
    config.generate_address_map(false);
    if let Some(functions) = functions {
        config.enable_incremental_compilation(Arc::clone(functions) as _)?;
    }
    Ok(config)
}

fn pooled(
    instances: u32,
    limits: &PoolLimits,
    functions: Option<&Arc<FunctionCache>>,
) -> wasmtime::Result<Config> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_stacks(instances)
        .async_stack_keep_resident(KEPT_STACK)
        .total_memories(instances.saturating_mul(MEMORIES_PER_PLACE))
        .max_memories_per_component(MAX_MEMORIES)
        .total_tables(instances.saturating_mul(TABLES_PER_PLACE))
        .max_tables_per_component(MAX_TABLES)
        .table_elements(limits.max_table)
        // Only counted: they are not allocated from the pool.
        .total_core_instances(instances.saturating_mul(MAX_CORE_INSTANCES))
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_component_instance_size(MAX_HOST_DATA)
        .max_core_instance_size(MAX_HOST_DATA)
        .max_memory_size(4 << 30);
    if limits.keep_memory {
        // The ioctl finds the pages that were written to. It needs Linux 6.7;
        // elsewhere memory is reset as without it.
        // https://www.man7.org/linux/man-pages/man2/PAGEMAP_SCAN.2const.html
        if PoolingAllocationConfig::is_pagemap_scan_available() {
            pool.pagemap_scan(Enabled::Yes)
                .linear_memory_keep_resident(KEPT_MEMORY)
                .table_keep_resident(KEPT_TABLE);
        }
    }
    let mut config = config(limits.max_stack, functions)?;
    config.allocation_strategy(pool);
    Ok(config)
}

/// For little address space: every memory gets what it asks for, and its
/// bounds are checked in code.
fn on_demand(stack: usize, functions: Option<&Arc<FunctionCache>>) -> wasmtime::Result<Config> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_fits_into_linux_default() {
        let capacity = Capacity::within(10_000, MAPS_DEFAULT);
        let expected = Capacity {
            small: SMALL_POOL,
            large: 10_000 + SPARE_INSTANCES,
            warning: None,
        };
        assert_eq!(capacity, expected);
    }

    #[test]
    fn every_instance_has_a_stack_and_mappings() {
        for connections in [1, 1000, 10_000, 15_000, 1_000_000, usize::MAX] {
            for maps in [0, 10_000, MAPS_DEFAULT, 1 << 20, u64::MAX] {
                let Capacity { small, large, .. } = Capacity::within(connections, maps);
                assert!(small > 0 && large > SPARE_INSTANCES);
                let wanted = u64::from(small.max(large));
                let live = wanted.min(u64::from(small) + u64::from(large));
                let stacks = (u64::from(small) + u64::from(large)) * MAPS_PER_STACK;
                let used = live * MAPS_PER_INSTANCE + stacks;
                // Below some 3,000 nothing fits, and the pools are as small as possible.
                assert!(
                    used <= maps || maps <= 10_000,
                    "{connections} {maps}: {used}"
                );
            }
        }
    }

    #[test]
    fn too_few_mappings_are_reported_with_what_to_do() {
        let capacity = Capacity::within(100_000, MAPS_DEFAULT);
        let warning = capacity.warning.expect("they don't fit");
        assert!(warning.contains("only 10"), "{warning}");
        assert!(warning.contains("vm.max_map_count=605072"), "{warning}");
    }
}
