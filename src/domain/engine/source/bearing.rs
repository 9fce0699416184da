//! What a store and the source know of each other when a read has ended.

use crate::domain::time::Instant;

/// What is known of a store's reads so far.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::domain::engine) struct Trouble {
    /// Since when the source has not answered for its secret.
    pub(in crate::domain::engine) unanswered: Option<Instant>,
    /// When it was last read, with or without an answer.
    pub(in crate::domain::engine) tried: Option<Instant>,
    /// Its secret is forbidden to a token that works.
    pub(in crate::domain::engine) refused: bool,
}

/// What the source as a whole says of one read.
#[derive(Clone, Copy, Debug)]
pub(in crate::domain::engine) struct Bearing {
    /// The source answers for others, and not for this store.
    pub(in crate::domain::engine) alone: bool,
    /// It did so after this store was last tried, too.
    pub(in crate::domain::engine) still_alone: bool,
    /// How often the token has shown that it lives.
    pub(in crate::domain::engine) signs_of_life: u64,
    /// The token cannot show it.
    pub(in crate::domain::engine) blind: bool,
}
