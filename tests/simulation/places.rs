//! The places that the daemon talks to: stores, a Vault and disks, each with troubles that pass.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bc_secrets_sync::domain::credentials::{AddressPolicy, Credentials, Field, FieldNames, Fields};
use bc_secrets_sync::domain::publication::{Acknowledged, Published, Sign, Told};
use bc_secrets_sync::domain::secret::{Fingerprint, Secret};
use bc_secrets_sync::domain::source::{Folder, Lease, ListedVersion, Listing, SecretVersion, SourceFault};
use bc_secrets_sync::domain::time::Timestamp;
use bc_secrets_sync::domain::verdict::{Answer, ProbeFault, ProbeOutcome, Validity};
use bc_secrets_sync::domain::version::Version as Number;

use crate::plan::Plan;
use crate::prng::Random;

/// The wall clock when the world begins.
pub(crate) const EPOCH: u64 = 1_800_000_000_000;

/// The three values of an account; no two accounts and no two tokens of a world are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) user: String,
    pub(crate) token: String,
    pub(crate) host: String,
}

impl Account {
    /// The account that a set is of.
    pub(crate) fn of(set: &Credentials) -> Self {
        Self {
            user: set.username().expose().to_owned(),
            token: set.api_token().expose().to_owned(),
            host: set.api_path().host().to_owned(),
        }
    }

    fn path(&self) -> String {
        format!("https://{}/api/v2/", self.host)
    }

    pub(crate) fn key(&self) -> u64 {
        key(&self.user, &self.token, &self.host)
    }

    /// A set of its own, as if it had been read anew.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        let fields = fields(self, Form::Whole);
        let set = Credentials::parse(fields, &FieldNames::default(), &AddressPolicy::PublicOnly.into());
        Arc::new(set.expect("the world's accounts are well formed"))
    }
}

/// Tells sets apart.
pub(crate) fn key_of(set: &Credentials) -> u64 {
    key(set.username().expose(), set.api_token().expose(), set.api_path().host())
}

fn key(user: &str, token: &str, host: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in [user, "\0", token, "\0", host].iter().flat_map(|part| part.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// What is wrong with every answer of a store, until it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// 401, whatever is asked.
    Unauthorized,
    Status(u16, Option<Duration>),
    Fails(ProbeFault),
    /// 200, and a page that is not the API's.
    Nonsense,
    /// Each answer is another one; true: also 401 and the truth.
    Mixed(bool),
}

/// A trouble and when it ends.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Phase {
    pub(crate) trouble: Option<Trouble>,
    pub(crate) until: u64,
}

impl Phase {
    pub(crate) fn at(&self, time: u64) -> Option<Trouble> {
        self.trouble.filter(|_| time < self.until)
    }
}

/// A store at BigCommerce.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    /// Accounts that work, the one in use last.
    pub(crate) accounts: Vec<Account>,
    pub(crate) host: String,
    pub(crate) phase: Phase,
    /// What it shows to probes.
    pub(crate) certificate: Option<Validity>,
}

/// A certificate that was valid for so long before and is for so long from now on.
pub(crate) fn certificate(time: u64, before: u64, left: u64) -> Option<Validity> {
    let at = |time: u64| Timestamp::from_millis(time);
    Some(Validity { from: at(EPOCH + time - before), until: at(EPOCH + time + left) })
}

impl Shop {
    /// Whether the store accepts these credentials when nothing troubles it.
    pub(crate) fn accepts(&self, key: u64) -> bool {
        self.accounts.iter().any(|account| account.host == self.host && account.key() == key)
    }

    /// Whether each probe of these credentials is answered with 401 now.
    pub(crate) fn refuses(&self, key: u64, host: &str, platform: Phase, time: u64) -> bool {
        match platform.at(time).or_else(|| self.phase.at(time)) {
            Some(trouble) => trouble == Trouble::Unauthorized,
            None => host == self.host && !self.accepts(key),
        }
    }

    pub(crate) fn answer(
        &self,
        set: &Credentials,
        platform: Phase,
        time: u64,
        random: &mut Random,
    ) -> ProbeOutcome {
        let answer = |status, wait, body| answer(status, wait, self.certificate, body);
        let trouble = platform.at(time).or_else(|| self.phase.at(time));
        let trouble = match trouble {
            Some(Trouble::Mixed(also_401)) => any_trouble(random, also_401),
            other => other,
        };
        match trouble {
            Some(Trouble::Unauthorized) => answer(401, None, ""),
            Some(Trouble::Status(status, wait)) => answer(status, wait, ""),
            Some(Trouble::Fails(fault)) => ProbeOutcome::Failed(fault),
            Some(Trouble::Nonsense) => answer(200, None, "<html>Log in</html>"),
            Some(Trouble::Mixed(_)) | None => {
                if set.api_path().host() != self.host {
                    answer(301, None, "")
                } else if self.accepts(key_of(set)) {
                    answer(200, None, r#"{"time":1356126086}"#)
                } else {
                    answer(401, None, r#"[{"status":401,"message":"Unauthorized"}]"#)
                }
            }
        }
    }
}

fn any_trouble(random: &mut Random, also_401: bool) -> Option<Trouble> {
    Some(match random.below(if also_401 { 9 } else { 7 }) {
        0 => Trouble::Status(503, None),
        1 => Trouble::Status(429, Some(Duration::from_secs(random.between(1, 900)))),
        2 => Trouble::Fails(ProbeFault::Timeout),
        3 => Trouble::Fails(ProbeFault::Dns),
        4 => Trouble::Fails(ProbeFault::CertificateHost),
        5 => Trouble::Fails(ProbeFault::Broken),
        6 => Trouble::Status(509, None),
        7 => Trouble::Unauthorized,
        _ => return None,
    })
}

fn answer(status: u16, wait: Option<Duration>, certificate: Option<Validity>, body: &str) -> ProbeOutcome {
    let body = body.as_bytes().to_vec();
    ProbeOutcome::Answered(Answer { status, location_host: None, wait, remaining: None, certificate, body })
}

/// In which form a version was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    NoToken,
    NumberAsUser,
    PathOfAnotherApi,
}

fn fields(account: &Account, form: Form) -> Fields {
    let text = |text: &str| Field::Text(Secret::new(text.to_owned()));
    Fields {
        username: if form == Form::NumberAsUser { Field::NotText("number") } else { text(&account.user) },
        api_token: if form == Form::NoToken { Field::Missing } else { text(&account.token) },
        api_path: match form {
            Form::PathOfAnotherApi => text("https://api.bigcommerce.com/stores/abc/v3/"),
            Form::Whole | Form::NoToken | Form::NumberAsUser => text(&account.path()),
        },
    }
}

/// Whether the engine of a path is one that counts versions: that of every third is KV version 1.
pub(crate) fn counts_versions(path: &str) -> bool {
    path.bytes().map(u64::from).sum::<u64>() % 3 != 0
}

impl Version {
    /// Whether these are the fields that were written so.
    pub(crate) fn reads_as(&self, read: &Fields) -> bool {
        let same = |one: &Field, other: &Field| match (one, other) {
            (Field::Text(one), Field::Text(other)) => one.expose() == other.expose(),
            _ => false,
        };
        let written = fields(&self.account, self.form);
        same(&written.username, &read.username)
            && same(&written.api_token, &read.api_token)
            && same(&written.api_path, &read.api_path)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) account: Account,
    pub(crate) form: Form,
    pub(crate) created: Timestamp,
}

/// A path in Vault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) versions: Vec<Version>,
    pub(crate) deleted: bool,
    /// This path alone is not served, until then.
    pub(crate) fault: Option<SourceFault>,
    pub(crate) fault_until: u64,
}

impl Secrets {
    /// The pinned version, or the newest; none: it is not there, or deleted.
    pub(crate) fn wanted(&self, pinned: Option<u64>) -> Option<&Version> {
        let newest = self.versions.len();
        let number = pinned.map_or(newest, |pinned| usize::try_from(pinned).unwrap());
        self.versions.get(number.checked_sub(1)?).filter(|_| number != newest || !self.deleted)
    }
}

/// Vault, with one token for the daemon.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    pub(crate) places: BTreeMap<String, Secrets>,
    /// When the token ends and until when it can be renewed; none: it is dead.
    token: Option<(u64, u64)>,
    lease: u64,
    max_life: u64,
    may_look_up: bool,
    pub(crate) lists: bool,
    /// Nothing works, until then.
    pub(crate) fault: Option<SourceFault>,
    pub(crate) fault_until: u64,
    pub(crate) refused_until: u64,
    pub(crate) denied_until: u64,
    pub(crate) slow_until: u64,
}

impl Vault {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            places: BTreeMap::new(),
            token: None,
            lease: plan.lease,
            max_life: plan.max_life,
            may_look_up: plan.may_look_up,
            lists: plan.lists,
            fault: None,
            fault_until: 0,
            refused_until: 0,
            denied_until: 0,
            slow_until: 0,
        }
    }

    pub(crate) const fn kill_token(&mut self) {
        self.token = None;
    }

    /// Everything works from now on.
    pub(crate) fn heal(&mut self, time: u64) {
        for until in
            [&mut self.fault_until, &mut self.refused_until, &mut self.denied_until, &mut self.slow_until]
        {
            *until = time.min(*until);
        }
        for place in self.places.values_mut() {
            place.fault_until = time.min(place.fault_until);
        }
    }

    /// Whether something keeps the daemon from reading anything at all.
    pub(crate) fn troubled(&self, time: u64) -> bool {
        time < self.fault_until.max(self.refused_until).max(self.slow_until)
    }

    fn works(&self, time: u64) -> Result<(), SourceFault> {
        self.fault.clone().filter(|_| time < self.fault_until).map_or(Ok(()), Err)
    }

    fn token_lives(&self, time: u64) -> bool {
        self.token.is_some_and(|(end, _)| time < end)
    }

    pub(crate) fn log_in(&mut self, time: u64) -> Result<Lease, SourceFault> {
        self.works(time)?;
        if time < self.refused_until {
            return Err(SourceFault::LoginRefused { status: 400, message: "invalid secret ID".into() });
        }
        let end = if self.lease == 0 { u64::MAX } else { time + self.lease * 1000 };
        self.token = Some((end, time.saturating_add(self.max_life)));
        Ok(Lease { duration: Duration::from_secs(self.lease), renewable: self.lease != 0 })
    }

    pub(crate) fn renew(&mut self, time: u64) -> Result<Lease, SourceFault> {
        self.works(time)?;
        let Some((_, last)) = self.token.filter(|_| self.token_lives(time)) else {
            return Err(SourceFault::Forbidden);
        };
        let end = (time + self.lease * 1000).min(last);
        if end <= time + 1000 {
            return Err(SourceFault::Malformed("status 400 to a renewal".into()));
        }
        self.token = Some((end, last));
        Ok(Lease { duration: Duration::from_secs((end - time) / 1000), renewable: true })
    }

    pub(crate) fn look_up(&self, time: u64) -> Result<Lease, SourceFault> {
        self.works(time)?;
        if !self.token_lives(time) || !self.may_look_up {
            return Err(SourceFault::Forbidden);
        }
        Ok(Lease { duration: Duration::from_secs(self.lease), renewable: self.lease != 0 })
    }

    /// The pinned version at a path, or the newest.
    pub(crate) fn read(
        &self,
        path: &str,
        pinned: Option<u64>,
        time: u64,
    ) -> Result<SecretVersion, SourceFault> {
        self.works(time)?;
        if !self.token_lives(time) || time < self.denied_until {
            return Err(SourceFault::Forbidden);
        }
        let never = || pinned.map_or(SourceFault::NeverWritten, SourceFault::NoSuchVersion);
        let place = self.places.get(path).ok_or_else(never)?;
        if let Some(fault) = place.fault.clone().filter(|_| time < place.fault_until) {
            return Err(fault);
        }
        let counted = counts_versions(path);
        let number = pinned.unwrap_or(place.versions.len() as u64);
        let index = usize::try_from(number).unwrap().checked_sub(1);
        let version = index.and_then(|index| place.versions.get(index)).ok_or_else(never)?;
        if place.wanted(pinned).is_none() {
            return Err(if counted { SourceFault::Deleted(number) } else { SourceFault::NeverWritten });
        }
        Ok(SecretVersion {
            version: Number::numbered(number).filter(|_| counted).unwrap_or_default(),
            created_at: Some(version.created).filter(|_| counted),
            fields: Ok(fields(&version.account, version.form)),
        })
    }

    /// The newest versions below a path.
    pub(crate) fn list(&self, folder: &Folder, time: u64) -> Result<Listing, SourceFault> {
        self.works(time)?;
        if !self.token_lives(time) || time < self.denied_until {
            return Err(SourceFault::Forbidden);
        }
        if !self.lists {
            return Err(SourceFault::NotKeyValue(
                "the server does not list secrets with their versions".into(),
            ));
        }
        let versions = self.places.iter().filter_map(|(path, place)| {
            let (above, name) = path.rsplit_once('/')?;
            let version = ListedVersion {
                version: place.versions.len() as u64,
                created_at: place.versions.last().map(|version| version.created),
                present: !place.deleted,
            };
            (above == folder.path && counts_versions(path) && !place.versions.is_empty())
                .then(|| (name.to_owned(), Some(version)))
        });
        Ok(Listing { secrets: versions.collect(), requests: 1 })
    }

    /// Whether a refused read is refused for good: by a policy, and not because the token is dead.
    pub(crate) fn denies(&self, path: &str, time: u64) -> bool {
        let place = self.places.get(path);
        let place = place
            .is_some_and(|place| place.fault == Some(SourceFault::Forbidden) && time < place.fault_until);
        time < self.denied_until || place
    }
}

/// An app that reads its set when it is told, and the note of that on the daemon's disk.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) read: Option<Fingerprint>,
    pub(crate) note: Option<Told>,
    /// What it says by its file, and the note of what it has said.
    pub(crate) sign: Sign,
    pub(crate) acknowledged: Option<Acknowledged>,
}

impl Default for App {
    fn default() -> Self {
        Self { read: None, note: None, sign: Sign::None, acknowledged: None }
    }
}

/// The directory of one store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) content: Content,
    /// Every whole generation that was ever there, for somebody who restores an old one.
    pub(crate) past: Vec<Published>,
    pub(crate) unwritable_until: u64,
    /// Until then somebody damages whatever is published.
    pub(crate) contested_until: u64,
    pub(crate) unreadable_until: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) enum Content {
    #[default]
    Nothing,
    Damaged,
    Whole(Published),
}

impl Disk {
    pub(crate) fn published(&self) -> Option<&Published> {
        match &self.content {
            Content::Whole(published) => Some(published),
            Content::Nothing | Content::Damaged => None,
        }
    }
}
