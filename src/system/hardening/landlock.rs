//! Landlock: the kernel keeps this process to the files that it was told of (landlock(7)).

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use landlock::{
    ABI, Access, AccessFs, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags};

/// What the resolver, the loader of its modules and TLS of any program read, by their places on the usual systems.
/// What is not there is passed over.
const SYSTEM: &[&str] = &[
    "/etc/host.conf",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ld.so.cache",
    "/etc/passwd",
    "/etc/group",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/etc/ssl/certs",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/ca-trust",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/share/pki",
    "/var/lib/ca-certificates",
    "/dev/null",
    "/dev/random",
    "/dev/urandom",
];
/// What is written anew while the system runs, mostly beside it and then renamed: then only a rule for the directory
/// finds the new file. In a container both are mounts of their own.
const RENEWED: &[&str] = &["/etc/hosts", "/etc/resolv.conf"];
/// Where the system's authorities are, when its environment says so.
const AUTHORITIES: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];
/// How many names a directory of links may have whose ends are looked up.
const MOST_LINKS: usize = 4_096;
/// How many links one path may lead through: as many as the kernel follows.
const MOST_HOPS: usize = 40;
/// Up to here the rights and scopes are known and tried; a newer kernel restricts nothing more.
const NEWEST: ABI = ABI::V6;

/// Whether this process is in a domain: there is no way out, so one word is enough for all of it.
static CONFINED: AtomicBool = AtomicBool::new(false);

/// Whether the kernel keeps this process to the directories that were there when it entered a domain.
#[must_use]
pub fn is_confined() -> bool {
    CONFINED.load(Ordering::Relaxed)
}

/// What a process has to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Files that are read, those included that are not there yet or will be replaced.
    pub files: BTreeSet<PathBuf>,
    /// Directories in which everything is read.
    pub directories: BTreeSet<PathBuf>,
    /// Directories in which everything is read, made, changed and removed.
    pub written: BTreeSet<PathBuf>,
    /// The one of them that is made anew when somebody has removed it.
    pub remade: Option<PathBuf>,
    /// Whether other processes are looked at and signalled.
    pub processes: bool,
}

/// Why there is no domain.
#[derive(Debug, thiserror::Error)]
pub enum Unconfined {
    /// The kernel has no Landlock, or it is not switched on.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A rule could not be made, or the domain not entered.
    #[error("the kernel refuses: {0}")]
    Refused(#[from] RulesetError),
}

/// What this process and those that it starts are kept to from now on. There is no way out of it.
#[derive(Debug)]
pub struct Domain {
    abi: i32,
    read: BTreeSet<PathBuf>,
    written: BTreeSet<PathBuf>,
    processes: bool,
    /// The kernel may forget a directory of /proc that nobody holds, and its rule with it.
    _held: Option<OwnedFd>,
}

impl Domain {
    /// Enters a domain. To be called while the process has one thread only: others stay outside.
    ///
    /// # Errors
    /// Nothing is restricted then.
    pub fn enter(reach: &Reach) -> Result<Self, Unconfined> {
        let all = AccessFs::from_all(NEWEST);
        let mut rules = create(Ruleset::default().handle_access(all)?, reach)?;
        let mut read = read_places(reach);
        read.extend(system_places());
        // Where one could not be made, the one above it is not meant.
        let there = reach.written.iter().filter(|path| path.is_dir()).cloned().collect();
        let written = written_places(&Reach { written: there, ..reach.clone() });
        let process = Path::new(if reach.processes { "/proc" } else { "/proc/self" });
        for path in read.iter().map(PathBuf::as_path).chain([process]) {
            rules = permit(rules, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
        }
        for path in &written {
            rules = permit(rules, path, changing())?;
        }
        let held = rustix::fs::open(process, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok();
        let status = rules.restrict_self()?;
        match (status.ruleset, status.landlock) {
            (_, LandlockStatus::NotImplemented) => Err(Unconfined::Unavailable(
                "the kernel has no Landlock, which is there since Linux 5.13, or the system calls for it are refused",
            )),
            (_, LandlockStatus::NotEnabled) => Err(Unconfined::Unavailable(
                "the kernel has Landlock switched off; add it to the boot parameter lsm=",
            )),
            (RulesetStatus::NotEnforced, _) => Err(Unconfined::Unavailable("the kernel did not enforce it")),
            (_, LandlockStatus::Available { effective_abi, kernel_abi }) => {
                CONFINED.store(true, Ordering::Relaxed);
                let abi = kernel_abi.unwrap_or(effective_abi as i32);
                Ok(Self { abi, read, written, processes: reach.processes, _held: held })
            }
        }
    }

    /// The version of the kernel's Landlock.
    #[must_use]
    pub const fn abi(&self) -> i32 {
        self.abi
    }

    /// What is read, for people.
    pub fn read(&self) -> impl Iterator<Item = &Path> {
        self.read.iter().map(PathBuf::as_path)
    }

    /// What is written, for people.
    pub fn written(&self) -> impl Iterator<Item = &Path> {
        self.written.iter().map(PathBuf::as_path)
    }

    /// Whether all of this can be reached from within.
    ///
    /// # Errors
    /// Something cannot, in words.
    pub fn allows(&self, reach: &Reach) -> Result<(), String> {
        if reach.processes && !self.processes {
            return Err("no other process may be looked at or signalled".to_owned());
        }
        let within = |path: &Path, granted: &BTreeSet<PathBuf>| granted.iter().any(|it| path.starts_with(it));
        for path in read_places(reach) {
            if !within(&path, &self.read) && !within(&path, &self.written) {
                return Err(format!("{} may not be read", path.display()));
            }
        }
        // Whether the directory above may be written too is no condition.
        for path in written_places(&Reach { remade: None, ..reach.clone() }) {
            if !within(&path, &self.written) {
                return Err(format!("{} may not be written", path.display()));
            }
        }
        Ok(())
    }
}

/// With the scopes that are nobody's need.
fn create(rules: Ruleset, reach: &Reach) -> Result<RulesetCreated, RulesetError> {
    let rules = if reach.processes { rules } else { rules.scope(Scope::Signal)? };
    // A service manager may listen at a name that is no file.
    let manager = std::env::var_os("NOTIFY_SOCKET");
    let is_abstract = manager.is_some_and(|name| name.as_encoded_bytes().first() == Some(&b'@'));
    let rules = if is_abstract { rules } else { rules.scope(Scope::AbstractUnixSocket)? };
    rules.create()
}

/// Everything but running programs, and making or driving devices.
fn changing() -> BitFlags<AccessFs> {
    let never = AccessFs::Execute
        | AccessFs::IoctlDev
        | AccessFs::MakeChar
        | AccessFs::MakeBlock
        | AccessFs::MakeFifo;
    AccessFs::from_all(NEWEST) & !never
}

/// Makes a rule. What is gone since it was found needs none.
fn permit(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(handle) = PathFd::new(path) else { return Ok(rules) };
    // Rights to a directory make no rule for a file.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
    rules.add_rule(PathBeneath::new(handle, access))
}

/// Every place that rules for reading are made for, without links.
fn read_places(reach: &Reach) -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::new();
    for file in &reach.files {
        places.extend(places_of(file));
    }
    for directory in &reach.directories {
        places.extend(nearest(directory));
        places.extend(way(directory).holders);
        // Bundles of authorities are directories full of links.
        let entries = std::fs::read_dir(directory).into_iter().flatten().take(MOST_LINKS).flatten();
        let links = entries.filter(|it| it.file_type().is_ok_and(|kind| kind.is_symlink()));
        places.extend(links.filter_map(|link| end_of(&link.path())));
    }
    // A rule for the root directory would be one for everything.
    places.retain(|place| place.parent().is_some());
    places
}

/// The same for what is part of the system.
fn system_places() -> BTreeSet<PathBuf> {
    let mut places = BTreeSet::new();
    for path in SYSTEM.iter().map(Path::new).filter(|path| path.exists()) {
        places.extend(path.canonicalize().ok());
    }
    for path in RENEWED.iter().map(Path::new) {
        if is_mount(path) {
            places.extend(path.canonicalize());
        } else {
            // It may lead to what another service has yet to make.
            places.extend(way(path).end.parent().and_then(nearest));
        }
    }
    for path in AUTHORITIES.iter().filter_map(std::env::var_os).flat_map(|paths| split(&paths)) {
        places.extend(path.canonicalize().ok());
        places.extend(end_of(&path));
    }
    places.retain(|place| place.parent().is_some());
    places
}

/// Every place that rules for writing are made for, without links.
fn written_places(reach: &Reach) -> BTreeSet<PathBuf> {
    let mut places: BTreeSet<PathBuf> = reach.written.iter().filter_map(|path| nearest(path)).collect();
    let above = reach.remade.as_deref().and_then(Path::parent).and_then(nearest);
    places.extend(above.filter(|above| !is_shared(above)));
    places.retain(|place| place.parent().is_some());
    places
}

/// The directory that a file is found in, so that the one which replaces it is found too, and those that links lead
/// through and to: whoever renews a file may turn any link on the way to it. A file in the root directory stands for itself.
fn places_of(file: &Path) -> Vec<PathBuf> {
    let directory = file.parent().and_then(nearest);
    let itself = directory.as_ref().is_some_and(|directory| directory.parent().is_none());
    let itself = itself.then(|| file.canonicalize().ok()).flatten();
    let Way { holders, end } = way(file);
    let end = end.parent().and_then(nearest);
    [directory, itself, end].into_iter().flatten().chain(holders).collect()
}

/// Where a path leads.
struct Way {
    /// The directories of the links on the way, unless they are others' too.
    holders: BTreeSet<PathBuf>,
    /// Where it ends, whether that is there or not.
    end: PathBuf,
}

fn way(path: &Path) -> Way {
    let names =
        |path: &Path| -> Vec<_> { path.components().rev().map(|it| it.as_os_str().to_owned()).collect() };
    let (mut holders, mut end, mut hops) = (BTreeSet::new(), PathBuf::from("/"), 0);
    let mut rest = names(path);
    while let Some(name) = rest.pop() {
        if name == ".." {
            end.pop();
            continue;
        }
        let next = end.join(&name);
        match next.read_link() {
            Ok(target) if hops < MOST_HOPS => {
                hops += 1;
                rest.extend(names(&target));
                if !is_shared(&end) {
                    holders.insert(end.clone());
                }
            }
            _ => end = next,
        }
    }
    Way { holders, end }
}

/// The directory of what a path leads to in the end.
fn end_of(path: &Path) -> Option<PathBuf> {
    Some(path.canonicalize().ok()?.parent()?.to_owned())
}

/// A directory, or the nearest one above it that is there.
fn nearest(path: &Path) -> Option<PathBuf> {
    path.ancestors().find_map(|above| above.canonicalize().ok())
}

fn split(paths: &std::ffi::OsStr) -> Vec<PathBuf> {
    std::env::split_paths(paths).filter(|path| path.is_absolute()).collect()
}

/// Whether a file is mounted over its name, and so never replaced by a rename.
fn is_mount(file: &Path) -> bool {
    let device = |path: &Path| -> io::Result<u64> { Ok(path.metadata()?.dev()) };
    let Some(directory) = file.parent() else { return false };
    matches!((device(file), device(directory)), (Ok(file), Ok(directory)) if file != directory)
}

/// Whether more than one program keeps its files in a directory.
fn is_shared(directory: &Path) -> bool {
    let names: Vec<_> = directory.components().skip(1).take(4).map(Component::as_os_str).collect();
    let everybody = |metadata: Metadata| metadata.mode() & 0o002 != 0;
    match names.as_slice() {
        [] | [_] => true,
        [first, _] if ["home", "usr", "var"].iter().any(|shared| first == shared) => true,
        [first, second, _] if *first == "run" && *second == "user" => true,
        _ => directory.metadata().map_or(true, everybody),
    }
}

#[cfg(test)]
mod tests;
