//! Writes metric families through `prometheus-client`, which knows OpenMetrics only, in either text format.
//!
//! The formats differ where a counter's family is named: `x` in OpenMetrics and `x_total` in Prometheus' own,
//! which also knows no units. So names are given whole, as the samples bear them, and are taken apart here.

use std::fmt;

use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, GaugeValueEncoder,
    MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use crate::domain::histogram::Histogram;
use crate::domain::time::Timestamp;
use crate::observe::negotiation::Exposition;

static SECONDS: Unit = Unit::Seconds;

/// A sample's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    /// A number.
    Whole(u64),
    /// A point in time, written as seconds with their milliseconds.
    Time(Timestamp),
    /// Milliseconds, written as seconds.
    Length(u64),
}

impl Value {
    /// 1 for yes, 0 for no.
    pub(super) fn flag(yes: bool) -> Self {
        Self::Whole(u64::from(yes))
    }
}

/// A sample: its labels and its value.
pub(super) type Sample<'a, const LABELS: usize> = ([(&'static str, &'a str); LABELS], Value);

/// Writes families one after the other.
pub(super) struct Families<'a> {
    encoder: DescriptorEncoder<'a>,
    exposition: Exposition,
}

impl<'a> Families<'a> {
    pub(super) const fn new(encoder: DescriptorEncoder<'a>, exposition: Exposition) -> Self {
        Self { encoder, exposition }
    }

    /// Writes a gauge; nothing at all when it has no samples.
    pub(super) fn gauge<'s, const LABELS: usize>(
        &mut self,
        name: &'static str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'s, LABELS>>,
    ) -> fmt::Result {
        let (name, unit) = self.unit(name);
        self.family((name, help, unit, MetricType::Gauge), samples, |metric, value| {
            metric.encode_gauge(&value)
        })
    }

    /// Writes a counter, whose name ends in `_total`; nothing at all when it has no samples.
    pub(super) fn counter<'s, const LABELS: usize>(
        &mut self,
        name: &'static str,
        help: &str,
        samples: impl IntoIterator<Item = Sample<'s, LABELS>>,
    ) -> fmt::Result {
        match self.exposition {
            Exposition::OpenMetrics => {
                let family = name.strip_suffix("_total").ok_or(fmt::Error)?;
                let descriptor = (family, help, None, MetricType::Counter);
                self.family(descriptor, samples, |metric, value| {
                    metric.encode_counter::<NoLabelSet, _, u64>(&value, None)
                })
            }
            // Written as a gauge would be, so that the encoder does not add a second `_total`.
            Exposition::Prometheus => {
                let descriptor = (name, help, None, MetricType::Counter);
                self.family(descriptor, samples, |metric, value| metric.encode_gauge(&value))
            }
        }
    }

    /// Writes a histogram of durations, whose name ends in `_seconds`.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str, histogram: &Histogram) -> fmt::Result {
        let (name, unit) = self.unit(name);
        let seconds = |micros: u64| micros as f64 / 1e6;
        let buckets: Vec<(f64, u64)> =
            histogram.buckets().map(|(bound, count)| (bound.map_or(f64::INFINITY, seconds), count)).collect();
        let mut metric = self.encoder.encode_descriptor(name, help, unit, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(seconds(histogram.sum_us()), histogram.count(), &buckets, None)
    }

    fn unit(&self, name: &'static str) -> (&'static str, Option<&'static Unit>) {
        match (self.exposition, name.strip_suffix("_seconds")) {
            (Exposition::OpenMetrics, Some(base)) => (base, Some(&SECONDS)),
            (Exposition::OpenMetrics, None) | (Exposition::Prometheus, _) => (name, None),
        }
    }

    fn family<'s, const LABELS: usize>(
        &mut self,
        (name, help, unit, kind): (&str, &str, Option<&Unit>, MetricType),
        samples: impl IntoIterator<Item = Sample<'s, LABELS>>,
        write: impl Fn(&mut MetricEncoder<'_>, Value) -> fmt::Result,
    ) -> fmt::Result {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return Ok(());
        }
        let mut metric = self.encoder.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in samples {
            if LABELS == 0 {
                write(&mut metric, value)?;
            } else {
                write(&mut metric.encode_family(&labels)?, value)?;
            }
        }
        Ok(())
    }
}

impl EncodeGaugeValue for Value {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => EncodeGaugeValue::encode(number, encoder),
            Self::Time(time) => EncodeGaugeValue::encode(&seconds(time.as_millis()), encoder),
            Self::Length(millis) => EncodeGaugeValue::encode(&seconds(*millis), encoder),
        }
    }
}

impl EncodeCounterValue for Value {
    fn encode(&self, encoder: &mut CounterValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Whole(number) => EncodeCounterValue::encode(number, encoder),
            Self::Time(time) => EncodeCounterValue::encode(&seconds(time.as_millis()), encoder),
            Self::Length(millis) => EncodeCounterValue::encode(&seconds(*millis), encoder),
        }
    }
}

/// Exact to the millisecond for some 285,000 years.
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}
