//! Equal answers, one after another, and whether they confirm anything.

use bc_secrets_sync::domain::engine::Settings;

use crate::plan::millis;

/// Equal answers about a set, one after another.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Run {
    pub(crate) count: u32,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl Run {
    pub(crate) fn add(&mut self, time: u64) {
        if self.count == 0 {
            self.first = time;
        }
        self.count += 1;
        self.last = time;
    }

    /// Enough of them, over enough time.
    pub(crate) fn confirms(self, settings: &Settings) -> bool {
        let span = millis(settings.confirmation_spacing) * u64::from(settings.confirmations - 1);
        self.count >= settings.confirmations && self.last - self.first >= span
    }
}
