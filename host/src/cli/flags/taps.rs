//! The flags about people who look at connections.

use std::time::Duration;

use crate::tap::TapLimits;
use crate::{duration, size};

const INSPECTOR: &str = "Looking into connections";

/// They hold for all viewers of a process together.
#[derive(Debug, clap::Args)]
pub(super) struct TapFlags {
    /// Viewers of connections at once, with `hotsocket watch` or on the page
    #[arg(long, value_name = "N", default_value_t = TapLimits::default().max_taps, help_heading = INSPECTOR, hide_short_help = true)]
    max_taps: usize,

    /// Bytes that wait for one viewer; what more there is to see is dropped and counted
    #[arg(long, value_name = "SIZE", default_value = size::show(TapLimits::default().buffer), value_parser = size::parse, help_heading = INSPECTOR, hide_short_help = true)]
    tap_buffer: usize,

    /// Time after which a viewer that does not say that it is still there sees no more
    #[arg(long, value_name = "TIME", default_value = duration::show(TapLimits::default().lease), value_parser = duration::parse, help_heading = INSPECTOR, hide_short_help = true)]
    tap_lease: Duration,
}

impl TapFlags {
    /// The limits that they stand for.
    pub(super) fn limits(&self) -> TapLimits {
        TapLimits {
            max_taps: self.max_taps,
            buffer: self.tap_buffer,
            lease: self.tap_lease,
        }
    }
}
