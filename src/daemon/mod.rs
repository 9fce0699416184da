//! The shell: turns actions of the engine into I/O, and I/O into events.
