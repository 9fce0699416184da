//! What more than one test of the real thing needs.

pub(crate) mod openbao;
