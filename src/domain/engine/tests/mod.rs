//! The engine, played against a world in memory: no I/O, no waiting, every step repeatable.

mod acknowledging;
mod actions;
mod certificates;
mod common;

mod discovering;
mod files;
mod finding;
mod fleet;
mod headline;
mod incidents;
mod listing;
mod looking;
mod nights;
mod overlaps;
mod publishing;
mod reloading;
mod reports;
mod shops;
mod silences;
mod source;
mod stock;
mod superseded;
mod tally;
mod token;
mod versions;
mod withdrawal;
mod world;
