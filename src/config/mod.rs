//! Configuration: TOML into checked types, refused with file, line and key.
