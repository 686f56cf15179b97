//! The metrics, as text for Prometheus. docs/metrics.md has a row for each.
//!
//! Nothing is counted for them alone that is known already: values are read when they
//! are asked for, from the counters that `hotsocket status` shows as well.
//!
//! - [`families`]: those of the services; [`process`]: those of the process
//! - [`family`]: how a family is written

mod families;
mod family;
mod process;

use std::fmt;
use std::sync::Arc;

use hyper::header::HeaderValue;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text, text};
use prometheus_client::registry::Registry;

use super::server::AdminNode;
use family::Families;

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, which people can read as well.
    Text,
    /// <https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md>
    OpenMetrics,
}

impl Format {
    /// The one that a client can read, by its Accept headers.
    pub fn accepted<'a>(accept: impl Iterator<Item = &'a HeaderValue>) -> Self {
        let mut accept = accept.filter_map(|value| value.to_str().ok());
        match accept.any(|value| value.contains("application/openmetrics-text")) {
            true => Format::OpenMetrics,
            false => Format::Text,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => prometheus_text::CONTENT_TYPE,
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// All metrics; without a node, those of the process.
///
/// # Errors
/// When text can't be written, which it can.
pub fn text(node: Option<Arc<dyn AdminNode>>, format: Format) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(NodeCollector(node)));
    let mut text = String::new();
    match format {
        Format::Text => prometheus_text::encode(&mut text, &registry)?,
        Format::OpenMetrics => text::encode(&mut text, &registry)?,
    }
    Ok(text)
}

struct NodeCollector(Option<Arc<dyn AdminNode>>);

impl fmt::Debug for NodeCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeCollector")
    }
}

impl Collector for NodeCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut families = Families::new(encoder);
        if let Some(node) = &self.0 {
            families::write(&mut families, &node.services(), node.reached())?;
        }
        process::write(&mut families)
    }
}
