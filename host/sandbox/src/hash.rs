//! The identity of a component: SHA-256 of its bytes.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a component's bytes. Shown in hexadecimal, and with a precision
/// (`{:.12}`) only so many digits of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    fn of(bytes: &[u8]) -> Self {
        Hash(Sha256::digest(bytes).into())
    }
}

/// The bytes of a component, or of what may be one, with their hash. It is
/// computed once, by whoever has the bytes first, and goes wherever they go.
#[derive(Clone)]
pub struct ComponentBytes {
    bytes: Vec<u8>,
    hash: Hash,
}

impl ComponentBytes {
    /// Takes 0.5 to 2 ms a megabyte, so never call it on a serving thread.
    pub fn new(bytes: Vec<u8>) -> Self {
        let hash = Hash::of(&bytes);
        ComponentBytes { bytes, hash }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn hash(&self) -> Hash {
        self.hash
    }
}

impl fmt::Debug for ComponentBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes ({:.12})", self.bytes.len(), self.hash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(64).div_ceil(2);
        self.0
            .iter()
            .take(digits)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
