//! Alerts: the durable outbox and the channels that empty it.
//!
//! [`webhook::Webhook`] carries one message. Nothing here decides what is an incident, or when a message about one is due.

#[cfg(test)]
mod receiver;
mod signature;
pub mod webhook;
