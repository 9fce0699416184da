//! Alerts: the durable outbox and the channels that empty it.
//!
//! [`ledger::Ledger`] keeps open incidents and undelivered messages on disk; [`delivery::Delivery`] empties one
//! channel's part of it, in order, each message at least once; [`webhook::Webhook`] carries one message.
//! Nothing here decides what is an incident, or when a message about one is due.

pub mod delivery;
pub mod ledger;
#[cfg(test)]
mod receiver;
mod signature;
pub mod webhook;
