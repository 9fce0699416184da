//! The HTTP listener: probes, metrics and status, all from a snapshot.
