//! Withdrawing: takes a store's published set away, for operators who prefer no credentials to dead ones.

use rustix::io::Errno;

use super::directory::{Directory, fault};
use super::layout::{DATA, DATA_TEMPORARY};
use super::sweep::keep_only;
use crate::config::Output;
use crate::domain::credentials::StoreName;
use crate::domain::publication::PublishFault;

/// Removes the published generation and all others. The links that apps open stay, and lead nowhere until
/// the next publication.
pub(super) fn withdraw(output: &Output, store: &StoreName) -> Result<(), PublishFault> {
    let above = match Directory::at(&output.directory) {
        Ok(above) => above,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(fault("cannot open", &output.directory, error)),
    };
    let directory = match above.open(store.as_str()) {
        Ok(directory) => directory,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(above.fault("cannot open", store.as_str(), error)),
    };
    // The one name first: a reader finds the whole set or nothing.
    directory.remove(DATA_TEMPORARY)?;
    directory.remove(DATA)?;
    directory.sync()?;
    keep_only(&directory, &[])?;
    directory.sync()
}
