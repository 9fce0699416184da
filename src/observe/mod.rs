//! The HTTP listener: probes, metrics and status, all from a snapshot.

#[cfg(test)]
mod fixture;
mod metrics;
mod negotiation;
