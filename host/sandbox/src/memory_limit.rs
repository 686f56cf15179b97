//! The memory and tables that one instance may have, and has.

use wasmtime::ResourceLimiter;

use crate::limit_counters::Limit;

/// Asked by wasmtime before each growth of a linear memory or a table.
#[derive(Debug)]
pub struct MemoryLimit {
    max_memory: usize,
    memory_used: usize,
    max_table: usize,
    table_used: usize,
    /// A growth was rejected: the likely cause of the trap that follows.
    rejected: Option<Limit>,
}

impl MemoryLimit {
    /// For so many bytes of linear memory and so many table elements.
    pub fn new(max_memory: usize, max_table: usize) -> Self {
        MemoryLimit {
            max_memory,
            memory_used: 0,
            max_table,
            table_used: 0,
            rejected: None,
        }
    }

    /// The limit at which growth was rejected since the last call.
    pub fn take_rejected(&mut self) -> Option<Limit> {
        self.rejected.take()
    }

    /// Bytes of all linear memories.
    pub fn memory_used(&self) -> usize {
        self.memory_used
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let used = self.memory_used.saturating_add(growth);
        if used > self.max_memory {
            self.rejected = Some(Limit::Memory);
            return Ok(false);
        }
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let growth = desired.saturating_sub(current);
        let used = self.table_used.saturating_add(growth);
        if used > self.max_table {
            self.rejected = Some(Limit::Table);
            return Ok(false);
        }
        self.table_used = used;
        Ok(true)
    }
}
