//! How long a store's certificate is valid.

use crate::domain::time::Timestamp;
use crate::domain::verdict::Validity;
use crate::system::certificate;

/// Reads a server's certificate; `None` where it cannot be read.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let (from, until) = certificate::validity(der)?;
    Some(Validity { from: Timestamp::from(from), until: Timestamp::from(until) })
}
