//! Alerts: the durable outbox and the channels that empty it.
//!
//! [`ledger::Ledger`] keeps open incidents and undelivered messages on disk; [`delivery::Delivery`] empties one
//! channel's part of it, in order, each message at least once; [`channel::Channel`] carries one message.
//! [`alertmanager::Upkeep`] is for the one receiver that wants to hear how things stand, again and again.
//! Nothing here decides what is an incident, or when a message about one is due.

pub mod alertmanager;
mod body;
pub mod channel;
mod client;
pub mod command;
pub mod delivery;
pub mod fault;
pub mod kubernetes;
pub mod ledger;
pub mod pagerduty;
#[cfg(test)]
mod receiver;
mod secret_file;
mod signature;
pub mod slack;
pub mod webhook;
