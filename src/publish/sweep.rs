//! Removing leftovers: what a crash left behind, and generations that nobody reads any more.

use rustix::io::Errno;

use super::directory::{Directory, Link, MAX_NAMES};
use super::layout::{
    ALWAYS, DATA, DATA_TEMPORARY, STAMP, generation_of, is_generation_name, link_target, prepared_link,
};
use super::read::{Unread, read_stamp};
use super::render::Renderer;
use crate::domain::publication::PublishFault;

/// No generation has so high a number: whoever wrote a higher one wants numbers that cannot rise, or that readers of JSON
/// cannot hold.
const BELIEVED: u64 = 1 << 52;

/// Removes a store's leftovers; keeps the published generation and the one before it. Returns the names that were
/// there.
///
/// When it cannot be told which generation is published, none is removed: the next publication mends that
/// and removes them.
pub(super) fn sweep(directory: &Directory) -> Result<Vec<String>, PublishFault> {
    // One listing tells that there is nothing to do, which is so nearly every time: this runs at each look at the disk.
    let names = list(directory)?;
    let mut left = Vec::new();
    for name in &names {
        let prepared = match prepared_link(name) {
            _ if name == DATA_TEMPORARY => true,
            Some(link) if ALWAYS.contains(&link) => true,
            Some(link) => is_our_link(directory, name, link)?,
            None => false,
        };
        if prepared {
            left.push(name.as_str());
        }
    }
    remove_all(directory, left.into_iter()).and(sweep_generations(directory, &names))?;
    Ok(names)
}

fn sweep_generations(directory: &Directory, names: &[String]) -> Result<(), PublishFault> {
    let published = match directory.link(DATA)? {
        // A first publication that did not come to its end.
        Link::Missing => return keep_only(directory, &[]),
        Link::Other => return Ok(()),
        Link::To(target) => target,
    };
    let Some(published) = generation_of(&published) else {
        return Ok(());
    };
    if !names.iter().any(|name| is_generation_name(name) && name != published) {
        return Ok(());
    }
    let Some(number) = number_of(directory, published)? else {
        return Ok(());
    };
    match generation_before(directory, number)? {
        Some(before) => keep_only(directory, &[published, &before]),
        None => keep_only(directory, &[published]),
    }
}

/// Removes the links of ours, among these names, to files that are not configured any more. Whatever else has such a
/// name is not ours.
pub(super) fn remove_other_links(
    directory: &Directory,
    names: Vec<String>,
    configured: &Renderer,
) -> Result<(), PublishFault> {
    let mut others = Vec::new();
    for name in names.iter().filter(|name| !name.starts_with("..") && *name != STAMP) {
        if configured.names().all(|configured| configured != name) && is_our_link(directory, name, name)? {
            others.push(name.as_str());
        }
    }
    remove_all(directory, others.into_iter())
}

/// Whether this is a link to the file of that name in the published generation, as only we make them.
fn is_our_link(directory: &Directory, name: &str, file: &str) -> Result<bool, PublishFault> {
    Ok(matches!(directory.link(name)?, Link::To(target) if target == link_target(file)))
}

/// Removes every generation that is not named.
pub(super) fn keep_only(directory: &Directory, kept: &[&str]) -> Result<(), PublishFault> {
    let generations = generations(directory)?;
    remove_all(directory, generations.iter().map(String::as_str).filter(|name| !kept.contains(name)))
}

/// Removes all that can be, and tells the first fault: one that stays must not keep the others.
fn remove_all<'a>(directory: &Directory, names: impl Iterator<Item = &'a str>) -> Result<(), PublishFault> {
    let mut result = Ok(());
    for name in names {
        result = result.and(directory.remove(name));
    }
    result
}

/// The latest generation before the published one. One that was staged and never published has a higher
/// number, or no stamp yet.
fn generation_before(directory: &Directory, published: u64) -> Result<Option<String>, PublishFault> {
    let mut latest: Option<(u64, String)> = None;
    for name in generations(directory)? {
        if let Some(number) = number_of(directory, &name)?
            && number < published
            && latest.as_ref().is_none_or(|(other, _)| *other < number)
        {
            latest = Some((number, name));
        }
    }
    Ok(latest.map(|(_, name)| name))
}

/// The highest number of a generation that can be read, published or not; 0 when there is none.
pub(super) fn highest_number(directory: &Directory) -> u64 {
    let names = generations(directory).unwrap_or_default();
    let numbers = names.iter().filter_map(|name| number_of(directory, name).ok().flatten());
    numbers.filter(|number| *number <= BELIEVED).max().unwrap_or_default()
}

fn generations(directory: &Directory) -> Result<Vec<String>, PublishFault> {
    let mut names = list(directory)?;
    names.retain(|name| is_generation_name(name));
    Ok(names)
}

pub(super) fn list(directory: &Directory) -> Result<Vec<String>, PublishFault> {
    directory.names().map_err(|error| match error {
        Errno::TOOBIG => PublishFault {
            reason: format!("it holds more than {MAX_NAMES} names: remove those that are not the daemon's"),
            ..directory.fault("cannot list", "", error)
        },
        error => directory.fault("cannot list", "", error),
    })
}

fn number_of(directory: &Directory, name: &str) -> Result<Option<u64>, PublishFault> {
    let generation = match directory.open(name) {
        Ok(generation) => generation,
        // One that nobody can read is of no use to anybody.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::ACCESS) => return Ok(None),
        Err(error) => return Err(directory.fault("cannot open", name, error)),
    };
    match read_stamp(&generation, |_, _| {}, None) {
        Ok(stamp) => Ok(Some(stamp.generation)),
        Err(Unread::Damaged(_)) => Ok(None),
        Err(Unread::Fault(fault)) => Err(fault),
    }
}
