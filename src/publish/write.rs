//! Writing a generation: staged beside the published one, read back, then swapped in by one rename.

use std::sync::Arc;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use super::Publisher;
use super::directory::{Directory, Link};
use super::layout::{
    ALWAYS, API_PATH, API_TOKEN, DATA, DATA_TEMPORARY, STAMP, USERNAME, generation_name, generation_of,
    link_target, link_temporary,
};
use super::read::{Generation, OtherRights, Unread, check_files, read_generation, read_store};
use super::render::{Refusal, Rendering};
use super::rights::{Ours, Rights};
use super::seal::sealed;
use super::sweep::{highest_number, keep_only, list, remove_other_links};
use crate::domain::credentials::{Credentials, StoreName};
use crate::domain::publication::{GenerationStamp, PublishFault, Published};

/// What a generation is called in a fault. Its own name is drawn anew at each try, and gone with it: the same fault would
/// never look the same.
const STAGED: &str = "(new generation)";
/// How often a name for the staged directory is drawn before giving up: twice is already once in billions.
const MAX_DRAWS: usize = 16;

/// The steps of a publication, in their order; each can be made to fail in tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Stage,
    WriteFile,
    SyncGeneration,
    ReadBackStaged,
    Link,
    SyncNames,
    Swap,
    SyncStore,
    ReadBackPublished,
    RemoveOlder,
}

/// See [`Publisher::publish`].
pub(super) fn publish(
    publisher: &Publisher,
    store: &StoreName,
    credentials: &Arc<Credentials>,
    stamp: &GenerationStamp,
) -> Result<Published, PublishFault> {
    let rendering =
        publisher.render(store, credentials).map_err(|refusal| refused(publisher, store, refusal))?;
    let stamped = stamped(stamp, &rendering);
    let output = publisher.open_output()?;
    let (directory, made) = make_store(publisher, &output, store)?;
    let mut publication =
        Publication { publisher, directory, store, credentials, stamp: stamped, rendering: &rendering };
    let published = if made { Ok(None) } else { publication.read() };
    let highest = match &published {
        Ok(Some(Generation::AsConfigured(read))) if publication.is_what_was_read(read) => {
            return Ok(publication.done());
        }
        Ok(Some(
            Generation::AsConfigured(read) | Generation::OtherRights(read, _) | Generation::Outdated(read),
        )) => read.stamp.generation,
        // What cannot be read is written anew. Who asks for that need not know the numbers that were given before.
        Ok(None) | Err(_) => highest_number(&publication.directory),
    };
    publication.stamp.generation = stamp.generation.max(highest.saturating_add(1));
    let before = match publication.directory.link(DATA)? {
        Link::To(target) => Some(target),
        Link::Missing | Link::Other => None,
    };
    if before.is_none() {
        // Not only when it was made just now: a run before this one may have come no further.
        output.sync()?;
    }
    let staged = publication.stage()?;
    publication.swap(&staged, before.as_deref())?;
    // The set is published. An older generation that cannot be removed now is removed by the next
    // publication or by the sweep at start, which reports it.
    if !made && publication.reach(Step::RemoveOlder, &staged).is_ok() {
        let before = before.as_deref().and_then(generation_of);
        let _ = keep_only(&publication.directory, &[&staged, before.unwrap_or(&staged)]);
        let _ = list(&publication.directory)
            .and_then(|names| remove_other_links(&publication.directory, names, publisher.renderer(store)));
    }
    Ok(publication.done())
}

/// The stamp with what is known of the files. In other files than before, the same credentials restore nothing.
fn stamped(stamp: &GenerationStamp, rendering: &Rendering<'_>) -> GenerationStamp {
    let same = stamp.files_fingerprint == rendering.fingerprint;
    GenerationStamp {
        files_fingerprint: rendering.fingerprint,
        restores: stamp.restores.filter(|_| same),
        ..stamp.clone()
    }
}

/// Nothing was touched: a file cannot be made of the values.
fn refused(publisher: &Publisher, store: &StoreName, Refusal { file, reason }: Refusal) -> PublishFault {
    let path = publisher.output.directory.join(store.as_str()).join(file);
    PublishFault { operation: "cannot make", path: path.display().to_string(), reason }
}

/// A store's directory, and whether it was made just now.
fn make_store(
    publisher: &Publisher,
    output: &Directory,
    store: &StoreName,
) -> Result<(Directory, bool), PublishFault> {
    let name = store.as_str();
    let made = match output.make(name) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(output.fault("cannot create", name, error)),
    };
    let directory = output.open_own(name).map_err(|error| match error {
        Errno::NOTDIR | Errno::LOOP => PublishFault {
            reason:
                "something else has the name of the store's directory: a link, which is not followed, or a \
                     file; remove it"
                    .to_owned(),
            ..output.fault("cannot open", name, error)
        },
        error => output.fault("cannot open", name, error),
    })?;
    let rights = Ours::new(&directory, &publisher.output).of_store(&publisher.output, &directory.stat()?);
    directory.give(rights)?;
    Ok((directory, made))
}

/// One set on its way into a store's directory.
struct Publication<'a> {
    publisher: &'a Publisher,
    directory: Directory,
    store: &'a StoreName,
    credentials: &'a Arc<Credentials>,
    stamp: GenerationStamp,
    rendering: &'a Rendering<'a>,
}

impl Publication<'_> {
    fn done(&self) -> Published {
        Published { credentials: Arc::clone(self.credentials), stamp: self.stamp.clone() }
    }

    /// Writes the whole generation under a name of its own and reads it back. On failure nothing of it stays.
    fn stage(&self) -> Result<String, PublishFault> {
        let name = self.make_generation()?;
        match self.fill(&name) {
            Ok(()) => Ok(name),
            Err(fault) => {
                self.discard(&name);
                Err(of_staged(fault, &name))
            }
        }
    }

    /// Removes what was staged, unless it is published after all: a rename may report a failure and have been
    /// done. The fault that led here is the one to tell; what cannot be removed now, the next publication or the
    /// sweep at start removes.
    fn discard(&self, staged: &str) {
        match self.directory.link(DATA) {
            Ok(Link::To(target)) if target == staged => {}
            Ok(Link::To(_) | Link::Missing | Link::Other) | Err(_) => {
                let _ = self.directory.remove(staged);
            }
        }
    }

    fn make_generation(&self) -> Result<String, PublishFault> {
        self.reach(Step::Stage, "")?;
        for _ in 0..MAX_DRAWS {
            let mut random = [0; 4];
            getrandom(&mut random, GetRandomFlags::empty())
                .map_err(|error| self.directory.fault("cannot draw a name in", "", error))?;
            let name = generation_name(self.stamp.published_at, u32::from_ne_bytes(random));
            match self.directory.make(&name) {
                Ok(()) => return Ok(name),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(self.directory.fault("cannot create", STAGED, error)),
            }
        }
        Err(self.directory.fault("cannot find a free name in", "", Errno::EXIST))
    }

    fn fill(&self, name: &str) -> Result<(), PublishFault> {
        let generation =
            self.directory.open(name).map_err(|error| self.directory.fault("cannot open", name, error))?;
        let stamp = sealed(&self.stamp, &self.publisher.key)
            .map_err(|error| self.directory.fault("cannot write the stamp of", name, error))?;
        let rights = Rights::of_files(&self.publisher.output);
        let always = [
            (USERNAME, self.credentials.username().expose().as_bytes()),
            (API_TOKEN, self.credentials.api_token().expose().as_bytes()),
            (API_PATH, self.credentials.api_path().as_str().as_bytes()),
            (STAMP, stamp.as_bytes()),
        ];
        let others = self.rendering.files.iter().filter(|file| !ALWAYS.contains(&file.name));
        for (file, content) in
            always.into_iter().chain(others.map(|file| (file.name, file.content.as_bytes())))
        {
            self.reach(Step::WriteFile, file)?;
            generation.write(file, content, rights)?;
        }
        // After the files: the configured mode may not allow us to make any.
        generation.give(Rights::of_directories(&self.publisher.output))?;
        self.reach(Step::SyncGeneration, name)?;
        generation.sync()?;
        self.reach(Step::ReadBackStaged, name)?;
        let Publisher { output, key, .. } = self.publisher;
        let ours = Ours::new(&self.directory, output);
        let mut others = OtherRights::default();
        match read_generation(&generation, name, &ours, output, key, &mut others) {
            Ok(read) if !self.is_what_was_read(&read) => {
                Err(self.differs(name, "it holds something else than what was written"))
            }
            Ok(_) => {
                let checked = check_files(&generation, self.rendering, &ours, output, &mut others);
                self.read_back(name, checked.and_then(|()| others.refuse()))
            }
            Err(unread) => self.read_back(name, Err(unread)),
        }
    }

    fn read_back(&self, name: &str, read: Result<(), Unread>) -> Result<(), PublishFault> {
        read.map_err(|unread| match unread {
            Unread::Damaged(why) => self.differs(name, &why),
            Unread::Fault(fault) => fault,
        })
    }

    /// Makes the staged generation the published one, or leaves `before` published.
    fn swap(&self, staged: &str, before: Option<&str>) -> Result<(), PublishFault> {
        self.lead_to(staged).inspect_err(|_| self.discard(staged))?;
        let settled = self.settle(staged);
        if settled.is_err() {
            // The fault to tell is the first one. Where the old link cannot be set again either, the new
            // generation stays, and the next reading says what it is.
            let _ = match before {
                Some(before) => self.directory.replace_link(DATA, before, DATA_TEMPORARY),
                None => self.directory.remove(DATA),
            };
            let _ = self.directory.sync();
            // What was staged is not removed: who opened it meanwhile must be able to read it to the end. The next
            // sweep removes it.
        }
        settled
    }

    /// Makes every link lead to the staged generation.
    fn lead_to(&self, staged: &str) -> Result<(), PublishFault> {
        // The stable links come first, so that nothing can fail between the swap and a complete layout.
        // They show what is published before the swap, or nothing, and that is what they showed anyway.
        for name in self.rendering.files.iter().map(|file| file.name).chain([STAMP]) {
            let wanted = link_target(name);
            match self.directory.link(name)? {
                Link::To(target) if target == wanted => {}
                Link::To(_) | Link::Missing | Link::Other => {
                    self.reach(Step::Link, name)?;
                    self.directory.replace_link(name, &wanted, &link_temporary(name))?;
                }
            }
        }
        // All that the swap leads to is on the disk before the swap can be: not every file system keeps the order.
        self.reach(Step::SyncNames, "")?;
        self.directory.sync()?;
        self.reach(Step::Swap, DATA)?;
        // Whoever takes it for a leftover, or tidies up by hand, must not leave readers with a link to nothing.
        self.directory.open(staged).map_err(|error| self.directory.fault("cannot publish", STAGED, error))?;
        self.directory.replace_link(DATA, staged, DATA_TEMPORARY)
    }

    fn settle(&self, staged: &str) -> Result<(), PublishFault> {
        self.reach(Step::SyncStore, "")?;
        self.directory.sync()?;
        self.reach(Step::ReadBackPublished, DATA)?;
        // What it leads to was read back before.
        match self.directory.link(DATA)? {
            Link::To(target) if target == staged => Ok(()),
            Link::To(_) | Link::Missing | Link::Other => {
                Err(self.differs(DATA, "it does not lead to what was written"))
            }
        }
    }

    /// What is published now.
    fn read(&self) -> Result<Option<Generation>, Unread> {
        read_store(&self.directory, self.publisher, self.store)
    }

    /// Whether that is this very set under this very stamp.
    fn is_what_was_read(&self, read: &Published) -> bool {
        read.stamp == self.stamp && read.credentials.same_as(self.credentials)
    }

    fn differs(&self, name: &str, why: &str) -> PublishFault {
        PublishFault { reason: why.to_owned(), ..self.directory.fault("cannot read back", name, Errno::IO) }
    }

    /// A place where a test can make the publication fail, or end as by a crash.
    #[cfg(not(test))]
    fn reach(&self, _: Step, _: &str) -> Result<(), PublishFault> {
        Ok(())
    }

    #[cfg(test)]
    fn reach(&self, step: Step, name: &str) -> Result<(), PublishFault> {
        self.publisher
            .interruption
            .reach(step)
            .map_err(|error| self.directory.fault("cannot go on at", name, error))
    }
}

/// A fault of a try to write a generation, without the name that it had.
fn of_staged(fault: PublishFault, name: &str) -> PublishFault {
    let (path, reason) = (fault.path.replace(name, STAGED), fault.reason.replace(name, STAGED));
    PublishFault { path, reason, ..fault }
}
