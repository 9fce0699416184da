//! Withdrawing: takes a store's published set away, for operators who prefer no credentials to dead ones.

use super::layout::{DATA, DATA_TEMPORARY};
use super::sweep::{existing, keep_only};
use crate::config::Output;
use crate::domain::credentials::StoreName;
use crate::domain::publication::PublishFault;

/// Removes the published generation and all others. The links that apps open stay, and lead nowhere until
/// the next publication.
pub(super) fn withdraw(output: &Output, store: &StoreName) -> Result<(), PublishFault> {
    let Some(directory) = existing(output, store)? else { return Ok(()) };
    // The one name first: a reader finds the whole set or nothing.
    directory.remove(DATA_TEMPORARY)?;
    directory.remove(DATA)?;
    directory.sync()?;
    keep_only(&directory, &[])?;
    directory.sync()
}
