//! One limit as people see it: a flag, its value, and its range.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::{duration, size};

/// A limit by the name of its flag.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Without the dashes.
    pub flag: &'static str,
    /// `None`: there is no limit.
    pub value: Option<Value>,
    pub range: RangeInclusive<Value>,
}

/// What a flag takes; displayed as people type it. Only values of one kind are
/// compared.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub enum Value {
    Number(usize),
    /// In bytes.
    Size(usize),
    Time(Duration),
}

/// A limit is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag} {value} is out of range: it must be {expected}")]
pub struct LimitError {
    /// Without the dashes.
    pub flag: &'static str,
    pub value: String,
    /// `from 1 to 10000000`, for example.
    pub expected: String,
}

impl Setting {
    pub(crate) fn number(
        flag: &'static str,
        value: impl Into<Option<usize>>,
        range: RangeInclusive<usize>,
    ) -> Self {
        Self::new(flag, value.into(), range, Value::Number)
    }

    pub(crate) fn size(flag: &'static str, value: usize, range: RangeInclusive<usize>) -> Self {
        Self::new(flag, Some(value), range, Value::Size)
    }

    pub(crate) fn time(
        flag: &'static str,
        value: impl Into<Option<Duration>>,
        range: RangeInclusive<Duration>,
    ) -> Self {
        Self::new(flag, value.into(), range, Value::Time)
    }

    fn new<T>(
        flag: &'static str,
        value: Option<T>,
        range: RangeInclusive<T>,
        kind: fn(T) -> Value,
    ) -> Self {
        let (min, max) = range.into_inner();
        Setting {
            flag,
            value: value.map(kind),
            range: kind(min)..=kind(max),
        }
    }

    /// Check that the value is in its range.
    ///
    /// # Errors
    /// When it isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        match self.value {
            Some(value) if !self.range.contains(&value) => Err(LimitError {
                flag: self.flag,
                value: value.to_string(),
                expected: format!("from {} to {}", self.range.start(), self.range.end()),
            }),
            _ => Ok(()),
        }
    }

    /// The value as the flag takes it, or `none`.
    pub fn show(&self) -> String {
        self.value
            .map_or_else(|| "none".to_owned(), |value| value.to_string())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(f, "{number}"),
            Value::Size(bytes) => f.write_str(&size::show(*bytes)),
            Value::Time(time) => f.write_str(&duration::show(*time)),
        }
    }
}
