//! The built binary against a real OpenBao and a simulated store, through everything that may happen to them.

#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

#[path = "../support/mod.rs"]
mod support;

mod access;
mod acknowledging;
mod certificates;
mod check;
mod configuration;
mod control;
mod damage;
mod discovering;
mod faults;
mod formats;
mod hardening;
mod hooks;
mod kubernetes;
mod kv;
mod life;
mod log;
mod memory;
mod one_time;
mod options;
mod page;
mod restart;
mod results;
mod secrets;
mod service;
mod set_up;
mod state;
mod validate;
mod vault;
mod vault_tls;
mod watching;
