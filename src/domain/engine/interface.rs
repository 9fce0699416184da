//! What the engine takes in and gives out: settings, events, actions and decisions.

use std::sync::Arc;
use std::time::Duration;

use super::request::{Reply, Request};
use crate::domain::credentials::{Credentials, HostPolicy, StoreName};
use crate::domain::discovery::{Discovered, Discovery, Found};
use crate::domain::incident::{Incident, Message, Severity};
use crate::domain::publication::{
    Acknowledged, GenerationId, GenerationStamp, Note, OnDisk, Output, PublishFault, Published, ReloadFault,
    Reloaded, Sign, Told,
};
use crate::domain::source::{Folder, Lease, Listing, SecretLocation, SecretVersion, SourceFault};
use crate::domain::verdict::ProbeOutcome;
use crate::domain::version::KvVersion;

/// What the engine judges by, for all stores.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often each secret is read and each published set is looked at.
    pub poll_interval: Duration,
    /// How often published credentials are checked against their store.
    pub check_interval: Duration,
    /// How many rejections in a row confirm that credentials are rejected.
    pub confirmations: u32,
    /// How far apart those checks are.
    pub confirmation_spacing: Duration,
    /// How long nobody may be able to tell before that is an incident of its own.
    pub stale_after: Duration,
    /// How long before a store's certificate expires somebody is warned; none: nobody is.
    pub certificate_warning: Option<Duration>,
    /// How long after the first message about an open incident the next one follows; the pause doubles each
    /// time, up to a day.
    pub repeat_interval: Duration,
    /// Whose the token for the source is.
    pub token_origin: TokenOrigin,
    /// Which hosts an API Path may name.
    pub hosts: HostPolicy,
    /// Where they are published.
    pub output: Output,
    /// Whether only accepted credentials are published.
    pub gate: Gate,
    /// When published credentials are first checked after a start.
    pub first_check: FirstCheck,
    /// Folders whose secrets are stores.
    pub discoveries: Vec<Discovery>,
}

/// Whose the token for the source is, and so who cares for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOrigin {
    /// We log in for it.
    Own,
    /// It was given to us; to log in is to look whether there is another one.
    Given,
}

/// Whether a candidate must be accepted by its store before it is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Only accepted credentials are published.
    Verified,
    /// Candidates are published as they come, and checked afterwards.
    Open,
}

/// When credentials that are already published at the start are checked for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstCheck {
    /// When their turn in the interval comes, so that many stores do not come at once.
    InTurn,
    /// At once, for a single pass.
    AtOnce,
}

/// One store, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    /// Its name.
    pub name: StoreName,
    /// Where its secret is.
    pub location: Arc<SecretLocation>,
    /// How its app wants to be told; none: it finds out by itself.
    pub hook: Option<Hook>,
    /// What becomes of its published set when a rejection is confirmed.
    pub on_rejection: OnRejection,
    /// How its app acknowledges generations; none: it does not.
    pub acknowledge: Option<Acknowledge>,
    /// It was discovered; none: it is configured by its name.
    pub discovered: Option<Discovered>,
}

/// What becomes of a published set when its rejection is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRejection {
    /// It stays, until there is a better one.
    Keep,
    /// It is taken away.
    Withdraw,
}

/// A store's app wants to be told each time that other content was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// How far apart two runs begin at least.
    pub min_interval: Duration,
    /// How often a run that failed is repeated before that is an incident.
    pub retries: u32,
    /// What the app was told last, as far as an earlier life has left word of it.
    pub told: Option<Told>,
}

/// A store's app says which generation it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// How long after a publication it may say nothing before that is an incident; none: for ever.
    pub within: Option<Duration>,
    /// What it acknowledged last, as far as an earlier life has left word of it.
    pub last: Option<Acknowledged>,
}

/// Whether a new configuration names another source than the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceChange {
    /// The same server, the same way to log in.
    Kept,
    /// Another one: the token in hand is of no use there.
    Replaced,
}

/// A fact that an adapter reports, or a wish from outside.
#[derive(Debug)]
pub enum Event {
    /// Time has passed.
    Tick,
    /// A log-in has ended.
    LoggedIn(Result<Lease, SourceFault>),
    /// A renewal of the token has ended.
    Renewed(Result<Lease, SourceFault>),
    /// The source was asked about our token.
    LookedUp(Result<Lease, SourceFault>),
    /// A read of a store's secret has ended.
    Read {
        /// The store.
        store: StoreName,
        /// Where it was read: the configuration may name another place by now.
        location: Arc<SecretLocation>,
        /// What came of it.
        result: Result<SecretVersion, SourceFault>,
    },
    /// The secrets of a folder were listed.
    Listed {
        /// The folder.
        folder: Arc<Folder>,
        /// Versions were asked for, and not the names alone.
        detailed: bool,
        /// What is there.
        result: Result<Listing, SourceFault>,
    },
    /// The disk was looked at.
    Inspected {
        /// The store.
        store: StoreName,
        /// What is there.
        result: Result<OnDisk, PublishFault>,
        /// What its app's file says, which was read after that.
        sign: Sign,
    },
    /// Somebody has touched the files of a store, perhaps we ourselves; none: nobody knows of which one.
    Disturbed {
        /// The store.
        store: Option<StoreName>,
    },
    /// A probe has ended.
    Probed {
        /// The store.
        store: StoreName,
        /// The very set that was probed.
        credentials: Arc<Credentials>,
        /// How long that took.
        took: Duration,
        /// What came of it.
        outcome: ProbeOutcome,
    },
    /// Publishing has ended.
    PublishEnded {
        /// The store.
        store: StoreName,
        /// The generation as it was read back, or why there is none.
        result: Result<Published, PublishFault>,
    },
    /// A published set was taken away, or could not be.
    Withdrawn {
        /// The store.
        store: StoreName,
        /// What came of it.
        result: Result<(), PublishFault>,
    },
    /// An app was told of a generation, or could not be.
    Reloaded {
        /// The store.
        store: StoreName,
        /// The generation.
        generation: GenerationId,
        /// How long that took.
        took: Duration,
        /// How it was told, or why not.
        result: Result<Reloaded, ReloadFault>,
    },
    /// Somebody wants every store checked now.
    CheckNow,
    /// Somebody asks for something and waits for the reply.
    Asked(Request),
    /// The stores are now the configured ones and those that were discovered.
    Restocked {
        /// All of them.
        stores: Vec<StoreSpec>,
    },
    /// A new configuration is in force.
    Configured {
        /// The settings.
        settings: Settings,
        /// The stores.
        stores: Vec<StoreSpec>,
        /// Whether the source is still the same.
        source: SourceChange,
    },
}

/// Something for the daemon to do. Whatever talks to the outside is answered by one event; what is only noted is not.
#[derive(Debug)]
pub enum Action {
    /// Log in to the source.
    LogIn,
    /// Renew the token.
    Renew,
    /// Ask the source about the token.
    LookUp,
    /// Look at what is on the disk.
    Inspect {
        /// The store.
        store: StoreName,
    },
    /// Read a store's secret.
    Read {
        /// The store.
        store: StoreName,
        /// Where the secret is.
        location: Arc<SecretLocation>,
    },
    /// List the secrets of a folder.
    List {
        /// The folder.
        folder: Arc<Folder>,
        /// The version of its engine, where it is known; none: the source finds out.
        kv_version: Option<KvVersion>,
        /// With their versions, which not every server tells; else their names alone.
        detailed: bool,
    },
    /// Ask a store whether credentials work.
    Probe {
        /// The store.
        store: StoreName,
        /// The set to ask about.
        credentials: Arc<Credentials>,
    },
    /// Publish a set as a new generation.
    Publish {
        /// The store.
        store: StoreName,
        /// The set.
        credentials: Arc<Credentials>,
        /// What the generation says of itself.
        stamp: GenerationStamp,
    },
    /// Take the published set away.
    Withdraw {
        /// The store.
        store: StoreName,
    },
    /// Tell the app of a generation, and note on disk that it was told.
    Reload {
        /// The store.
        store: StoreName,
        /// The generation.
        generation: GenerationId,
    },
    /// Note on disk what the app was told or has acknowledged, so that the next life knows it too.
    Remember {
        /// The store.
        store: StoreName,
        /// What is to be noted.
        note: Note,
    },
    /// These are the secrets below the folders of all discoveries; answered by [`Event::Restocked`].
    Restock {
        /// All of them.
        found: Vec<Found>,
    },
    /// Keep this message, then deliver it.
    Notify(Message),
    /// Keep the incident as it stands now; nobody is told.
    Keep(Incident),
    /// Write a line to the log.
    Say(Decision),
    /// Give this to whoever asked: one for each [`Event::Asked`], once everything else is on the disk.
    Reply(Reply),
}

/// A decision and its reason, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The store; none: the source.
    pub store: Option<StoreName>,
    /// How serious it is; none: it is no trouble.
    pub severity: Option<Severity>,
    /// One sentence, which may be shown to everybody.
    pub text: String,
    /// What a command of the operator's had to say, for the log alone; mostly empty.
    pub output: String,
}
