//! How a family of metrics is written: its name, what it means, and a sample for each
//! set of labels.

use std::fmt;

use hotsocket_sandbox::measures::Histogram;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Labels of one sample.
pub type Labels<'a> = Vec<(&'static str, &'a str)>;

/// Writes one family after the other.
pub struct Families<'a>(DescriptorEncoder<'a>);

impl<'a> Families<'a> {
    pub fn new(encoder: DescriptorEncoder<'a>) -> Self {
        Families(encoder)
    }

    /// A counter; its name is written with `_total`.
    pub fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Counter)?;
        for (labels, value) in samples {
            let mut sample = family.encode_family(&labels)?;
            sample.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// The same with a value that is no whole number.
    pub fn counter_f64(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    pub fn gauge<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, u64)>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Gauge)?;
        for (labels, value) in samples {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    pub fn gauge_f64(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Gauge)?;
        family.encode_gauge(&value)
    }

    /// Labels that say something; its name is written with `_info`.
    pub fn info<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = Labels<'l>>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Info)?;
        for labels in samples {
            family.encode_info(&labels)?;
        }
        Ok(())
    }

    /// Times, in seconds.
    pub fn histogram<'l, 'h>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Labels<'l>, &'h Histogram)>,
    ) -> fmt::Result {
        let mut family = self.begin(name, help, MetricType::Histogram)?;
        for (labels, histogram) in samples {
            let buckets = histogram.buckets();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let buckets: Vec<_> = buckets
                .into_iter()
                // Not every encoder adds the last by itself.
                .map(|(bound, count)| (bound.map_or(f64::INFINITY, |it| it.as_secs_f64()), count))
                .collect();
            let sum = histogram.sum().as_secs_f64();
            let mut sample = family.encode_family(&labels)?;
            sample.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn begin<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, None, kind)
    }
}
