//! Delivers BigCommerce Legacy API credentials from Vault or OpenBao to apps, checks that they work,
//! and says so when they stop working.
//!
//! A credential travels one way, and one pure function decides:
//!
//! ```text
//! Vault ──read──▶ candidate ──probe──▶ verdict ──decide──▶ publish ──▶ app containers
//!                                         │                   │
//!                                         ▼                   ▼
//!                                      incidents ──▶ alerts   reload hooks
//!            status, metrics, logs: read a snapshot, decide nothing
//! ```
//!
//! [`domain`] decides and does no I/O. [`vault`], [`store`], [`publish`], [`alert`], [`reload`] and
//! [`observe`] do I/O and decide nothing. [`daemon`] turns the engine's actions into I/O and the results
//! into events. Imports run one way: `cli -> daemon -> adapters -> domain`; [`system`] is a leaf.

pub mod alert;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod observe;
pub mod publish;
pub mod reload;
#[cfg(feature = "demo")]
pub mod sandbox;
pub mod store;
pub mod system;
pub mod vault;
