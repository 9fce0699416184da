//! Alerts: the durable outbox and the channels that empty it.
