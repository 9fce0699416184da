//! A simulated BigCommerce store and a small Vault, for `demo` and for fast tests.
