//! The pure core: no I/O, no clock, no randomness; `now` is always an argument.
