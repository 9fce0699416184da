//! The probe: asks a store whether credentials work and reports the facts of its answer.
