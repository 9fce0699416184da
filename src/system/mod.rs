//! Leaves: clocks, signals, notification of the service manager, logging, watching files, hardening.
