//! The memory and tables that one instance may have, and has.
//!
//! One limit holds for the whole of an instance: its linear memories, its tables,
//! and what the host has allocated for it, such as its globals.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::ResourceLimiter;

use crate::engine::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use crate::limit_counters::Limit;

/// What every instance may have beside its linear memories without being charged,
/// in bytes: some 8 KiB are needed by the smallest. The smallest `--max-memory` is as
/// large.
const FREE: usize = 64 << 10;

/// Bytes of one element of a table.
const ELEMENT: usize = size_of::<usize>();

/// The memory that all instances of a sandbox have, in bytes.
pub type MemoryInUse = Arc<AtomicUsize>;

/// Asked by wasmtime before each growth of a linear memory or a table. Call
/// [`Self::charge_host`] once the instance is made.
#[derive(Debug)]
pub struct MemoryLimit {
    max_memory: usize,
    /// Bytes of all linear memories.
    linear: usize,
    /// Bytes of all else.
    other: usize,
    max_table: usize,
    table_used: usize,
    /// A growth was rejected: the likely cause of the trap that follows.
    rejected: Option<Limit>,
    in_use: MemoryInUse,
}

impl MemoryLimit {
    /// For so many bytes in all and so many table elements.
    pub fn new(max_memory: usize, max_table: usize, in_use: MemoryInUse) -> Self {
        MemoryLimit {
            max_memory,
            linear: 0,
            other: 0,
            max_table,
            table_used: 0,
            rejected: None,
            in_use,
        }
    }

    /// The limit at which growth was rejected since the last call.
    pub fn take_rejected(&mut self) -> Option<Limit> {
        self.rejected.take()
    }

    /// Bytes of the instance.
    pub fn used(&self) -> usize {
        self.linear.saturating_add(self.other)
    }

    /// Count what the host has allocated for the instance, in bytes. False if that
    /// is more than it may have.
    #[must_use]
    pub fn charge_host(&mut self, bytes: usize) -> bool {
        self.grow(0, bytes)
    }

    fn grow(&mut self, linear: usize, other: usize) -> bool {
        let linear = self.linear.saturating_add(linear);
        let other = self.other.saturating_add(other);
        let charged = linear.saturating_add(other.saturating_sub(FREE));
        if charged > self.max_memory {
            self.rejected = Some(Limit::Memory);
            return false;
        }
        let before = self.used();
        (self.linear, self.other) = (linear, other);
        self.in_use
            .fetch_add(self.used() - before, Ordering::Relaxed);
        true
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        self.in_use.fetch_sub(self.used(), Ordering::Relaxed);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // wasmtime looks at it only after this: what it refuses must not be charged.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current), 0))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let used = self.table_used.saturating_add(growth);
        if used > self.max_table {
            self.rejected = Some(Limit::Table);
            return Ok(false);
        }
        // As above. What the pool has for a table is no less than the limit.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if !self.grow(0, growth.saturating_mul(ELEMENT)) {
            return Ok(false);
        }
        self.table_used = used;
        Ok(true)
    }

    // What the pool bounds by itself, where there is one.
    fn instances(&self) -> usize {
        MAX_CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_beyond_the_maximum_of_a_memory_or_table_is_not_charged() {
        let in_use = MemoryInUse::default();
        let mut limit = MemoryLimit::new(1 << 20, 1000, Arc::clone(&in_use));
        let page = 64 << 10;
        assert!(limit.memory_growing(0, page, Some(page)).expect("no error"));
        for _ in 0..100 {
            let grown = limit.memory_growing(page, 2 * page, Some(page));
            assert!(!grown.expect("no error"));
            assert!(!limit.table_growing(0, 20, Some(10)).expect("no error"));
        }
        assert_eq!((limit.used(), limit.table_used), (page, 0));
        assert_eq!(limit.take_rejected(), None);
        drop(limit);
        assert_eq!(in_use.load(Ordering::Relaxed), 0);
    }
}
