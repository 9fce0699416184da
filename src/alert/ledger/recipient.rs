//! A channel, as the ledger knows it.

use crate::domain::routing::Route;
use crate::domain::secret::Fingerprint;

/// What stands between a channel's name and its address where both are noted.
const MARK: char = '#';

/// Who takes messages from the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The name of the channel.
    pub name: String,
    /// Which incidents it is told of.
    pub route: Route,
    /// Tells where its messages go from anywhere else; none: that is always the same place.
    pub address: Option<Fingerprint>,
}

impl Recipient {
    /// A channel whose messages always go to the same place.
    #[must_use]
    pub fn new(name: &str, route: Route) -> Self {
        Self { name: name.to_owned(), route, address: None }
    }

    /// How it is noted that somebody was told: by the channel's name and its address.
    pub(super) fn noted(&self) -> String {
        self.address.map_or_else(|| self.name.clone(), |address| format!("{}{MARK}{address}", self.name))
    }
}

/// The channel of a note.
pub(super) fn channel_of(note: &str) -> &str {
    note.split_once(MARK).map_or(note, |(channel, _)| channel)
}
