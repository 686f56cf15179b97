//! Setting a value only if nobody else has meanwhile.

use std::fmt;

use super::{StoreError, sys};

/// A key that has been looked at. See [`Bucket::compare_and_swap`](super::Bucket::compare_and_swap).
pub struct CompareAndSwap(pub(super) sys::Cas);

/// Why a value was not swapped.
#[derive(Debug)]
pub enum SwapError {
    /// Somebody has changed it. This is for another try.
    Changed(CompareAndSwap),
    Store(StoreError),
}

impl CompareAndSwap {
    /// Look at the key again, and get its value. [`swap`](Self::swap) compares with this
    /// one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn current(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.current()
    }

    /// Set the value if it is still the one that was last looked at.
    ///
    /// # Errors
    /// When it isn't, and see [`StoreError`].
    pub fn swap(self, value: impl AsRef<[u8]>) -> Result<(), SwapError> {
        match self.0.swap(value.as_ref()) {
            Ok(None) => Ok(()),
            Ok(Some(cas)) => Err(SwapError::Changed(CompareAndSwap(cas))),
            Err(error) => Err(SwapError::Store(error)),
        }
    }
}

impl fmt::Debug for CompareAndSwap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompareAndSwap").finish_non_exhaustive()
    }
}
