//! Reading what is published: whole, bounded, and checked against what the configuration asks for.

use std::sync::Arc;

use rustix::fs::Stat;
use rustix::io::Errno;
use zeroize::Zeroize;

use super::Publisher;
use super::directory::{Content, Directory, Link};
use super::layout::{ALWAYS, API_PATH, API_TOKEN, DATA, STAMP, USERNAME, generation_of, link_target};
use super::render::Rendering;
use super::rights::{Ours, Rights};
use super::seal;
use super::watch::Watch;
use crate::config::Output;
use crate::domain::credentials::{
    AddressPolicy, Credentials, Field, FieldNames, Fields, MAX_FIELD_LENGTH, StoreName,
};
use crate::domain::publication::{GenerationStamp, OnDisk, PublishFault, Published};
use crate::domain::secret::{FingerprintKey, Secret};

/// The longest `generation.json`, in bytes: ours has about 250.
const MAX_STAMP_LENGTH: usize = 4096;

/// Why a generation was not read.
pub(super) enum Unread {
    /// It is not as it was published; the reason, in words.
    Damaged(String),
    /// The disk could not be read.
    Fault(PublishFault),
}

impl From<PublishFault> for Unread {
    fn from(fault: PublishFault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Unread> for Result<OnDisk, PublishFault> {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Damaged(why) => Ok(OnDisk::Damaged(why)),
            Unread::Fault(fault) => Err(fault),
        }
    }
}

/// A generation that was read.
pub(super) enum Generation {
    /// Its files are those that are configured, and hold what they should.
    AsConfigured(Published),
    /// So they are and do, but one of them, or a directory, has other rights than are configured; which, in words.
    OtherRights(Published, String),
    /// Other files are configured since, or cannot be made of its values; what its own ones hold is not known.
    Outdated(Published),
}

/// The first file or directory that was found to have other rights than are configured, in words.
///
/// That is judged last: by the seal and the fingerprint, which nobody can make who has not the key, the set is told to
/// be ours whoever could have written to it.
#[derive(Default)]
pub(super) struct OtherRights(Option<String>);

impl OtherRights {
    fn note(&mut self, name: &str, difference: Option<String>) {
        if let (None, Some(why)) = (&self.0, difference) {
            self.0 = Some(format!("{name}: {why}"));
        }
    }

    /// For whom they are damage.
    pub(super) fn refuse(self) -> Result<(), Unread> {
        self.0.map_or(Ok(()), |why| Err(Unread::Damaged(why)))
    }
}

/// A store's directory; none: nothing was ever published there.
///
/// A watch begins before what is watched is looked at, so that no change is missed between.
pub(super) fn open_store(
    output: &Output,
    store: &StoreName,
    watch: &Watch,
) -> Result<Option<Directory>, Unread> {
    let Some(above) = Directory::configured(&output.directory)? else { return Ok(None) };
    watch.output(&above, store);
    match above.open(store.as_str()) {
        Ok(directory) => {
            watch.store(&directory, store);
            Ok(Some(directory))
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::NOTDIR | Errno::LOOP) => Err(damage(store.as_str(), "it is not a directory")),
        Err(error) => Err(above.fault("cannot open", store.as_str(), error).into()),
    }
}

/// Reads what is published in a store's directory.
pub(super) fn read_store(
    directory: &Directory,
    publisher: &Publisher,
    store: &StoreName,
) -> Result<Option<Generation>, Unread> {
    let Publisher { output, key, watch, .. } = publisher;
    let target = match directory.link(DATA)? {
        Link::Missing => return Ok(None),
        Link::Other => return Err(damage(DATA, "it is not a link")),
        Link::To(target) => target,
    };
    let Some(target) = generation_of(&target) else {
        return Err(damage(DATA, "it points out of the store's directory"));
    };
    let ours = Ours::new(directory, output);
    let mut others = OtherRights::default();
    let is = directory.stat()?;
    others.note(store.as_str(), ours.of_store(output, &is).difference(&is));
    let generation = match directory.open(target) {
        Ok(generation) => generation,
        Err(Errno::NOENT) => return Err(damage(DATA, "the generation that it points to is missing")),
        Err(Errno::NOTDIR | Errno::LOOP) => return Err(damage(DATA, "it does not point to a directory")),
        Err(Errno::ACCESS) => return Err(damage(target, "it may not be read")),
        Err(error) => return Err(directory.fault("cannot open", target, error).into()),
    };
    watch.generation(&generation, store);
    let published = read_generation(&generation, target, &ours, output, key, &mut others)?;
    let rendering = match publisher.render(store, &published.credentials) {
        Ok(rendering) if rendering.fingerprint == published.stamp.files_fingerprint => rendering,
        Ok(_) | Err(_) => return Ok(Some(Generation::Outdated(published))),
    };
    check_files(&generation, &rendering, &ours, output, &mut others)?;
    for name in rendering.files.iter().map(|file| file.name).chain([STAMP]) {
        match directory.link(name)? {
            Link::To(target) if target == link_target(name) => {}
            Link::To(_) => return Err(damage(name, "the link points elsewhere")),
            Link::Missing => return Err(damage(name, "the link is missing")),
            Link::Other => return Err(damage(name, "it is not a link")),
        }
    }
    Ok(Some(match others.0 {
        Some(why) => Generation::OtherRights(published, why),
        None => Generation::AsConfigured(published),
    }))
}

/// Compares the files of a generation with what they should hold; its values were read and compared already.
pub(super) fn check_files(
    generation: &Directory,
    rendering: &Rendering<'_>,
    ours: &Ours<'_>,
    output: &Output,
    others: &mut OtherRights,
) -> Result<(), Unread> {
    let rights = Rights::of_files(output);
    for file in rendering.files.iter().filter(|file| !ALWAYS.contains(&file.name)) {
        let (content, stat) = match generation.read(file.name, file.content.len())? {
            Content::Unfit(why) => return Err(damage(file.name, why)),
            Content::Whole(content, stat) => (content, stat),
        };
        others.note(file.name, rights.difference(&stat).or_else(|| ours.difference(&stat)));
        if *content != file.content.as_bytes() {
            return Err(damage(file.name, "it was edited"));
        }
    }
    Ok(())
}

/// Reads the values and the stamp of one generation from its directory, published or staged.
pub(super) fn read_generation(
    generation: &Directory,
    name: &str,
    ours: &Ours<'_>,
    output: &Output,
    key: &FingerprintKey,
    others: &mut OtherRights,
) -> Result<Published, Unread> {
    let is = generation.stat()?;
    others.note(name, Rights::of_directories(output).difference(&is).or_else(|| ours.difference(&is)));
    let rights = Rights::of_files(output);
    let mut judge = |name: &str, stat: &Stat| {
        others.note(name, rights.difference(stat).or_else(|| ours.difference(stat)));
    };
    let stamp = read_stamp(generation, &mut judge, Some(key))?;
    let username = read_value(generation, USERNAME, &mut judge)?;
    let api_token = read_value(generation, API_TOKEN, &mut judge)?;
    let api_path = read_value(generation, API_PATH, &mut judge)?;
    let as_written = Secret::new(api_path.expose().to_owned());
    let fields = Fields {
        username: Field::Text(username),
        api_token: Field::Text(api_token),
        api_path: Field::Text(api_path),
    };
    let names = FieldNames {
        json_field: None,
        username: USERNAME.to_owned(),
        api_token: API_TOKEN.to_owned(),
        api_path: API_PATH.to_owned(),
    };
    // What was published under another policy stays; whether it is asked about, and whether the source's version
    // is taken, is decided under the one in force.
    let credentials = Credentials::parse(fields, &names, &AddressPolicy::AllowPrivate.into())
        .map_err(|error| Unread::Damaged(error.to_string()))?;
    // An API Path can be written in several forms; only the normalised one was published.
    let same_path = as_written.expose() == credentials.api_path().as_str();
    if !same_path || credentials.fingerprint(key) != stamp.fingerprint {
        return Err(damage(
            STAMP,
            "its fingerprint does not match the files: one of them was edited, or the key in the state \
             directory is a new one",
        ));
    }
    Ok(Published { credentials: Arc::new(credentials), stamp })
}

/// Reads a generation's stamp; the rights of its file are judged where they matter, and its seal is looked at where there
/// is a key.
pub(super) fn read_stamp(
    generation: &Directory,
    judge: impl FnOnce(&str, &Stat),
    key: Option<&FingerprintKey>,
) -> Result<GenerationStamp, Unread> {
    let content = match generation.read(STAMP, MAX_STAMP_LENGTH)? {
        Content::Unfit(why) => return Err(damage(STAMP, why)),
        Content::Whole(content, stat) => {
            judge(STAMP, &stat);
            content
        }
    };
    // The parser's own words could quote the file; who can read this can look at the file.
    let stamp =
        serde_json::from_slice(&content).map_err(|_| damage(STAMP, "it is not the stamp of a generation"))?;
    if key.is_some_and(|key| !seal::is_whole(&content, key)) {
        return Err(damage(
            STAMP,
            "its seal does not match: it was edited, or the key in the state directory is a new one, or an earlier \
             version of this program wrote it",
        ));
    }
    Ok(stamp)
}

fn read_value(generation: &Directory, name: &str, judge: impl FnOnce(&str, &Stat)) -> Result<Secret, Unread> {
    let (mut content, stat) = match generation.read(name, MAX_FIELD_LENGTH)? {
        Content::Unfit(why) => return Err(damage(name, why)),
        Content::Whole(content, stat) => (content, stat),
    };
    judge(name, &stat);
    match String::from_utf8(std::mem::take(&mut *content)) {
        Ok(text) => Ok(Secret::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(damage(name, "it is not text in UTF-8"))
        }
    }
}

fn damage(name: &str, why: &str) -> Unread {
    Unread::Damaged(format!("{name}: {why}"))
}
