//! What bounds taps.

use std::time::Duration;

use crate::limits::{LimitError, Setting};

/// See the module's documentation.
#[derive(Clone, Copy, Debug)]
pub struct TapLimits {
    /// Taps at once, of all viewers together.
    pub max_taps: usize,
    /// Bytes of records that wait for one viewer; more are dropped.
    pub buffer: usize,
    /// How long a tap lasts that nobody renews.
    pub lease: Duration,
}

impl Default for TapLimits {
    fn default() -> Self {
        TapLimits {
            max_taps: 16,
            buffer: 1 << 20,
            lease: Duration::from_secs(30),
        }
    }
}

impl TapLimits {
    /// Each by the name of its flag, with its value and its range.
    pub fn settings(&self) -> [Setting; 3] {
        let times = Duration::from_secs(1)..=Duration::from_secs(3600);
        [
            Setting::number("max-taps", self.max_taps, 0..=1000),
            // One event with both directions, at least.
            Setting::size("tap-buffer", self.buffer, 256 << 10..=1 << 30),
            Setting::time("tap-lease", self.lease, times),
        ]
    }

    /// Check that each is in its range.
    ///
    /// # Errors
    /// Names the first one that isn't.
    pub fn validate(&self) -> Result<(), LimitError> {
        self.settings().iter().try_for_each(Setting::validate)
    }
}
