//! The flags about what listeners let in, and about PROXY headers.

use std::time::Duration;

use crate::duration;
use crate::listener::{Access, HeaderPolicy, ListenerOptions, Range, Ranges};

use super::limits::LIMITS;

const LISTENERS: &str = "Listeners";

/// They hold for each listener.
#[derive(Debug, clap::Args)]
pub(super) struct ListenerFlags {
    /// Let only these addresses connect: ranges such as 10.0.0.0/8 or single addresses, joined by
    /// commas; may be given several times. Of --allow and --deny the longest prefix counts
    #[arg(long, value_name = "CIDR,…", value_parser = Range::parse_ip, value_delimiter = ',', help_heading = LISTENERS)]
    allow: Vec<Range>,

    /// Reset connections from these addresses
    #[arg(long, value_name = "CIDR,…", value_parser = Range::parse_ip, value_delimiter = ',', help_heading = LISTENERS)]
    deny: Vec<Range>,

    /// Who sends a PROXY header (v1 or v2): ranges, each with require, optional or reject, such as
    /// 10.0.0.0/8=require,unix=optional; the longest prefix counts, all others: reject [default: nobody
    /// looks for a header]
    #[arg(long, value_name = "CIDR=POLICY,…", value_parser = HeaderPolicy::parse_with_range, value_delimiter = ',', help_heading = LISTENERS)]
    proxy_protocol: Vec<(Range, HeaderPolicy)>,

    /// Time that a PROXY header may take
    #[arg(long, value_name = "TIME", default_value = duration::show(ListenerOptions::default().proxy_timeout), value_parser = duration::parse, help_heading = LISTENERS, hide_short_help = true)]
    proxy_timeout: Duration,

    /// Open connections of each listener [default: none]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_per_listener: Option<usize>,

    /// Connections that each listener accepts in a second; more wait [default: none]
    #[arg(long, value_name = "N", help_heading = LIMITS, hide_short_help = true)]
    max_accept_rate: Option<u32>,
}

impl ListenerFlags {
    /// The options that they stand for.
    pub(super) fn options(self) -> ListenerOptions {
        // Of a range that is in both, the denial counts.
        let denied = self.deny.into_iter().map(|range| (range, Access::Deny));
        let allowed = self.allow.into_iter().map(|range| (range, Access::Allow));
        let policies = self.proxy_protocol;
        ListenerOptions {
            max_per_listener: self.max_per_listener,
            max_accept_rate: self.max_accept_rate,
            access: Ranges::new(denied.chain(allowed)),
            proxy_protocol: (!policies.is_empty()).then(|| Ranges::new(policies)),
            proxy_timeout: self.proxy_timeout,
            ..ListenerOptions::default()
        }
    }
}
