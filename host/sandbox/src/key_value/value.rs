//! The bytes of a value.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// With so many bytes a value takes 24, eight more than a pointer to longer ones.
const SHORT: usize = 22;

/// Bytes that do not change. Short ones lie in it: threads that read them on several
/// processors write nothing, not even a count of who has them. Longer ones are shared by
/// all clones.
#[derive(Clone)]
pub struct Value(Place);

#[derive(Clone)]
enum Place {
    Here { length: u8, bytes: [u8; SHORT] },
    Shared(Arc<[u8]>),
}

impl Value {
    /// Have other bytes from now on, in the same allocation where that is possible.
    pub fn replace(&mut self, bytes: &[u8]) {
        if let Place::Shared(old) = &mut self.0
            && let Some(old) = Arc::get_mut(old)
            && old.len() == bytes.len()
        {
            old.copy_from_slice(bytes);
            return;
        }
        *self = Value::from(bytes);
    }

    /// In an allocation, for whoever shares it.
    pub fn shared(self) -> Arc<[u8]> {
        match self.0 {
            Place::Here { .. } => Arc::from(&*self),
            Place::Shared(bytes) => bytes,
        }
    }
}

impl Deref for Value {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            // The length is never more than there are.
            Place::Here { length, bytes } => bytes.get(..(*length).into()).unwrap_or_default(),
            Place::Shared(bytes) => bytes,
        }
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        let mut here = [0; SHORT];
        Value(match here.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(bytes);
                let length = bytes.len() as u8;
                Place::Here {
                    length,
                    bytes: here,
                }
            }
            None => Place::Shared(Arc::from(bytes)),
        })
    }
}

impl From<Arc<[u8]>> for Value {
    fn from(bytes: Arc<[u8]>) -> Self {
        Value(Place::Shared(bytes))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_every_length_are_those_that_were_put_in() {
        assert_eq!(size_of::<Value>(), 24);
        let all: Vec<u8> = (0..100).collect();
        let mut value = Value::from(&[][..]);
        for (length, before) in (0..100).zip([0, 22, 23, 50].into_iter().cycle()) {
            value.replace(&all[..before]);
            value.replace(&all[..length]);
            assert_eq!(*value, all[..length]);
            let (clone, shared) = (value.clone(), value.clone().shared());
            value.replace(&all[1..=length]);
            assert_eq!(*value, all[1..=length]);
            assert_eq!((&*clone, &*shared), (&all[..length], &all[..length]));
            assert_eq!(Value::from(shared), clone);
        }
    }

    #[test]
    fn an_allocation_that_nobody_shares_is_kept() {
        let mut value = Value::from(&[1; 50][..]);
        let at = value.as_ptr();
        value.replace(&[2; 50]);
        assert_eq!((value.as_ptr(), &*value), (at, &[2; 50][..]));
        let shared = value.clone().shared();
        value.replace(&[3; 50]);
        assert_ne!(value.as_ptr(), at);
        assert_eq!(*shared, [2; 50]);
    }
}
