//! Withdrawing: takes a store's published set away, for operators who prefer no credentials to dead ones.

use super::layout::{DATA, DATA_TEMPORARY};
use super::read::{Unread, open_store};
use super::sweep::keep_only;
use super::watch::Watch;
use crate::config::Output;
use crate::domain::credentials::StoreName;
use crate::domain::publication::PublishFault;

/// Removes the published generation and all others. The links that apps open stay, and lead nowhere until
/// the next publication.
pub(super) fn withdraw(output: &Output, store: &StoreName) -> Result<(), PublishFault> {
    let directory = match open_store(output, store, &Watch::default()) {
        Ok(Some(directory)) => directory,
        Ok(None) => return Ok(()),
        Err(Unread::Damaged(reason)) => {
            let path = output.directory.join(store.as_str()).display().to_string();
            return Err(PublishFault { operation: "cannot withdraw", path, reason });
        }
        Err(Unread::Fault(fault)) => return Err(fault),
    };
    // The one name first: a reader finds the whole set or nothing.
    directory.remove(DATA_TEMPORARY)?;
    directory.remove(DATA)?;
    directory.sync()?;
    keep_only(&directory, &[])?;
    directory.sync()
}
