//! wasmtime without a server: the same component, called in a loop.
//!
//! A lower bound for any server around it. The engine is configured as in
//! `hotsocket`, without the limits of an event.

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Component, InstancePre, Linker, TypedFunc, WasmList};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreContextMut,
};

use super::contract::{CONNECTION, HANDLER, Origin, WriteError};
use super::{Plan, Row};
use crate::Result;
use crate::table::{Line, Unit};

/// Calls between two readings of the clock.
const BATCH: u32 = 256;

/// What the guest has written in the last event.
type Written = Vec<u8>;

pub fn rows() -> Vec<Row> {
    vec![Row {
        name: "raw-wasmtime".to_owned(),
        quick: true,
        measure: Box::new(|plan| {
            let echo = plan.guest("echo.wasm");
            let plan = plan.clone();
            // A thread of its own, as it is pinned.
            std::thread::spawn(move || measure(&plan, &echo))
                .join()
                .map_err(|_| "the measuring thread has panicked")?
        }),
    }]
}

fn measure(plan: &Plan, echo: &Path) -> Result<Vec<Line>> {
    plan.cpus.pin_thread()?;
    let engine = Engine::new(&config())?;
    let guest = link(&engine, &Component::from_file(&engine, echo)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut lines = Vec::new();
    for (size, name) in [(64, "64 B"), (4096, "4 KiB"), (65536, "64 KiB")] {
        let payload: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0]).collect();
        let mut sync = Vec::new();
        let mut fiber = Vec::new();
        for _ in 0..plan.rounds {
            let mut direct = Instance::new(&engine, &guest, &payload, &runtime)?;
            let mut waiting = Instance::new(&engine, &guest, &payload, &runtime)?;
            sync.push(timed(plan.duration / 4, || direct.call())?);
            fiber.push(runtime.block_on(waiting.time(plan.duration / 4))?);
            direct.check()?;
            waiting.check()?;
        }
        let work = format!("wasmtime alone: `data` of {name}, echoed");
        lines.push(Line::alone(
            work.clone(),
            "CPU per call, direct",
            Unit::Nanos,
            sync,
        ));
        lines.push(Line::alone(
            work,
            "CPU per call, on a fiber",
            Unit::Nanos,
            fiber,
        ));
    }
    let mut made = Vec::new();
    for _ in 0..plan.rounds {
        made.push(timed(plan.duration / 4, || {
            Instance::new(&engine, &guest, &[], &runtime).map(drop)
        })?);
    }
    lines.push(Line::alone(
        "wasmtime alone: make an instance, `open`, drop it".to_owned(),
        "CPU",
        Unit::Nanos,
        made,
    ));
    Ok(lines)
}

/// As in `hotsocket-sandbox`'s `engine.rs`.
fn config() -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(16)
        .total_core_instances(64)
        .total_memories(16)
        .total_tables(64)
        .total_stacks(16);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .gc_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .generate_address_map(false)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// `write` copies the bytes out, as a server must that sends them later.
fn link(engine: &Engine, component: &Component) -> Result<InstancePre<Written>> {
    let mut linker = Linker::<Written>::new(engine);
    linker.define_unknown_imports_as_traps(component)?;
    linker.allow_shadowing(true);
    linker.instance(CONNECTION)?.func_wrap(
        "write",
        |mut store: StoreContextMut<Written>, (bytes,): (WasmList<u8>,)| {
            let mut written = std::mem::take(store.data_mut());
            written.clear();
            written.extend_from_slice(bytes.as_le_slice(&store));
            *store.data_mut() = written;
            Ok((Ok::<bool, WriteError>(true),))
        },
    )?;
    Ok(linker.instantiate_pre(component)?)
}

/// An opened instance whose `data` is called with the same bytes each time.
struct Instance<'a> {
    store: Store<Written>,
    data: TypedFunc<(&'a [u8],), ()>,
    payload: &'a [u8],
}

impl<'a> Instance<'a> {
    fn new(
        engine: &Engine,
        guest: &InstancePre<Written>,
        payload: &'a [u8],
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self> {
        let mut store = Store::new(engine, Written::new());
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = runtime.block_on(guest.instantiate_async(&mut store))?;
        let handler = instance
            .get_export_index(&mut store, None, HANDLER)
            .ok_or("echo.wasm exports no handler")?;
        let open = instance
            .get_export_index(&mut store, Some(&handler), "open")
            .ok_or("echo.wasm exports no `open`")?;
        let open = instance
            .get_typed_func::<(Origin,), (std::result::Result<(), String>,)>(&mut store, open)?;
        open.call(&mut store, (Origin::Accepted,))?.0?;
        let data = instance
            .get_export_index(&mut store, Some(&handler), "data")
            .ok_or("echo.wasm exports no `data`")?;
        let data = instance.get_typed_func(&mut store, data)?;
        Ok(Instance {
            store,
            data,
            payload,
        })
    }

    fn call(&mut self) -> Result<()> {
        Ok(self.data.call(&mut self.store, (self.payload,))?)
    }

    /// The same on a fiber.
    async fn time(&mut self, time: Duration) -> Result<f64> {
        let started = now();
        let mut calls = 0;
        while now() - started < time {
            for _ in 0..BATCH {
                self.data
                    .call_async(&mut self.store, (self.payload,))
                    .await?;
            }
            calls += BATCH;
        }
        Ok((now() - started).as_nanos() as f64 / f64::from(calls))
    }

    /// Whether the guest has echoed the bytes.
    fn check(&self) -> Result<()> {
        match self.store.data() == self.payload {
            true => Ok(()),
            false => Err("echo.wasm wrote other bytes than it received".into()),
        }
    }
}

/// Nanoseconds of CPU time for each call.
fn timed(time: Duration, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let started = now();
    let mut calls = 0;
    while now() - started < time {
        for _ in 0..BATCH {
            call()?;
        }
        calls += BATCH;
    }
    Ok((now() - started).as_nanos() as f64 / f64::from(calls))
}

/// CPU time of this thread.
fn now() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(now.tv_sec).unwrap_or(0),
        u32::try_from(now.tv_nsec).unwrap_or(0),
    )
}
