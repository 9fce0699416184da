//! What goes wrong, and what people do about it or cause by it.

use std::time::Duration;

use bc_secrets_sync::domain::engine::{Event, SourceChange};
use bc_secrets_sync::domain::source::SourceFault;
use bc_secrets_sync::domain::time::Timestamp;
use bc_secrets_sync::domain::verdict::ProbeFault;

use crate::places::{Account, Form, Phase, Secrets, Shop, Trouble, Version, certificate, counts_versions};
use crate::plan::{DAY, HOUR, MINUTE, SECOND, settings};
use crate::simulation::{Occurrence, Simulation};
use crate::watch::{Kind, Violation};
use crate::work::wall;

/// Something that was begun and goes on.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// Somebody writes this account into Vault.
    Write(usize, Account, Form),
    /// From now on the store has this account in the place of the one in use.
    Use(usize, Account),
    /// The store's oldest account is closed.
    CloseOldest(usize),
    /// The deletion of the newest version is undone.
    Undelete(usize),
    /// A phase has ended.
    Look(Option<usize>),
    /// An app reports that its store refuses it, and will so many times more.
    Report(usize, u64),
    /// Somebody touches the files of a store, or of all, and will so many times more.
    Disturb(Option<usize>, u64),
    /// An app says what it runs on.
    Acknowledge(usize),
    /// Somebody damages the published files of a store.
    Damage(usize),
    /// The store's certificate expires.
    Expire(usize),
    /// It is renewed.
    Renew(usize),
}

impl Simulation {
    /// Every store has an account, and Vault has it too.
    pub(crate) fn furnish(&mut self) {
        for at in 0..self.plan.stores {
            let mut account = self.account(at);
            if self.plan.crowded {
                account.user = "user-of-all".into();
                account.host = "shop-of-all.mybigcommerce.com".into();
            }
            let host = account.host.clone();
            self.shops.push(Shop {
                accounts: vec![account.clone()],
                host,
                phase: Phase::default(),
                certificate: certificate(0, DAY, 89 * DAY),
            });
            self.write(at, account, Form::Whole);
        }
    }

    fn number(&mut self) -> u64 {
        self.fresh += 1;
        self.fresh
    }

    fn account(&mut self, at: usize) -> Account {
        let number = self.number();
        let host = format!("shop-{at}-{number}.mybigcommerce.com");
        Account { user: format!("user-{number}"), token: format!("token-{number}"), host }
    }

    fn write(&mut self, at: usize, account: Account, form: Form) {
        let created = Timestamp::from_millis(wall(self.time));
        let path = self.places[at].clone().unwrap_or_else(|| format!("bc/{at}"));
        let place = self.vault.places.entry(path).or_default();
        place.versions.push(Version { account, form, created });
        place.deleted = false;
        self.watch.stores[at].occasions += 1;
    }

    /// The account that the store has in use; none: it has none.
    fn in_use(&self, at: usize) -> Option<Account> {
        self.shops[at].accounts.last().cloned()
    }

    fn secrets(&mut self, at: usize) -> &mut Secrets {
        let path = self.places[at].clone().unwrap_or_else(|| format!("bc/{at}"));
        self.vault.places.entry(path).or_default()
    }

    /// Trouble comes to a store, or to everything; and will come again.
    pub(crate) fn mischief(&mut self, subject: Option<usize>) -> Result<(), Violation> {
        let pace = if subject.is_some() { self.plan.pace } else { self.plan.pace / 2 };
        let wait = self.random.below(2 * pace) + 1;
        self.after(wait, Occurrence::Mischief(subject));
        if self.calm {
            return Ok(());
        }
        match subject {
            None => self.trouble_for_all()?,
            Some(at) if self.random.once_in(3) => self.trouble_at_the_store(at),
            Some(at) if self.random.once_in(4) => self.trouble_on_the_disk(at),
            Some(at) => self.people_change_something(at),
        }
        match subject {
            Some(at) => self.unsettle(at),
            None => self.unsettle_all(),
        }
        Ok(())
    }

    fn trouble(&mut self) -> Trouble {
        let seconds = self.random.wait(1, 3600);
        let wait = self.random.once_in(2).then(|| Duration::from_secs(seconds));
        match self.random.below(14) {
            0..=2 => Trouble::Unauthorized,
            3 => Trouble::Status(503, wait),
            4 => Trouble::Status(429, wait),
            5 => Trouble::Status(509, wait),
            6 => Trouble::Status(403, None),
            7 => Trouble::Fails(ProbeFault::Timeout),
            8 => Trouble::Fails(ProbeFault::Dns),
            9 => Trouble::Fails(ProbeFault::CertificateExpired),
            10 => Trouble::Nonsense,
            11 => Trouble::Status(404, None),
            12 => Trouble::Mixed(false),
            _ => Trouble::Mixed(true),
        }
    }

    /// Lets something be so for a while: the time of its end.
    pub(crate) fn until(&mut self, subject: Option<usize>, longest: u64) -> u64 {
        let lasts = self.random.wait(10 * SECOND, longest);
        self.after(lasts, Occurrence::Deed(Deed::Look(subject)));
        self.time + lasts
    }

    fn trouble_at_the_store(&mut self, at: usize) {
        let trouble = self.trouble();
        let until = self.until(Some(at), 2 * DAY);
        self.shops[at].phase = Phase { trouble: Some(trouble), until };
        self.note(Some(at), || format!("the store: {trouble:?} until {}", crate::simulation::clock(until)));
    }

    fn people_change_something(&mut self, at: usize) {
        let number = self.number();
        let later = self.random.wait(SECOND, DAY);
        let what = self.random.below(17);
        self.note(Some(at), || format!("people: change number {what}, and {} s later", later / SECOND));
        let renewed = |account: Account| Account { token: format!("token-{number}"), ..account };
        match (what, self.in_use(at)) {
            // Regenerated, and Vault is told later, at once, or not at all.
            (0..=2, Some(account)) => {
                let account = renewed(account);
                let write = Deed::Write(at, account.clone(), Form::Whole);
                self.swap(at, account);
                if what < 2 {
                    self.after(if what == 0 { later } else { 1 }, Occurrence::Deed(write));
                }
            }
            // Copied before Save was pressed.
            (3, Some(account)) => {
                let account = renewed(account);
                self.write(at, account.clone(), Form::Whole);
                self.after(later, Occurrence::Deed(Deed::Use(at, account)));
            }
            // Mistyped, and corrected later.
            (4, Some(account)) => {
                self.write(at, renewed(account.clone()), Form::Whole);
                self.after(later, Occurrence::Deed(Deed::Write(at, account, Form::Whole)));
            }
            // Another account; the old one is closed later.
            (5, _) => {
                let host = self.shops[at].host.clone();
                let account = Account { host, ..self.account(at) };
                self.shops[at].accounts.push(account.clone());
                self.write(at, account, Form::Whole);
                self.after(later, Occurrence::Deed(Deed::CloseOldest(at)));
            }
            (6, Some(account)) => {
                let form = self.random.pick(&[Form::NoToken, Form::NumberAsUser, Form::PathOfAnotherApi]);
                self.write(at, account.clone(), form);
                self.after(later, Occurrence::Deed(Deed::Write(at, account, Form::Whole)));
            }
            (7, _) => {
                self.secrets(at).deleted = true;
                self.after(later, Occurrence::Deed(Deed::Undelete(at)));
            }
            (8, _) => self.shops[at].accounts.clear(),
            (9, Some(account)) => {
                let account = Account { user: format!("user-{number}"), ..account };
                self.after(later, Occurrence::Deed(Deed::Write(at, account.clone(), Form::Whole)));
                self.swap(at, account);
            }
            // The domain moves, and with it the account's API Path.
            (10, Some(account)) => {
                let host = format!("shop-{at}-{number}.example.com");
                let account = Account { host: host.clone(), ..account };
                self.shops[at].host = host;
                self.shops[at].accounts = vec![account.clone()];
                self.after(later, Occurrence::Deed(Deed::Write(at, account, Form::Whole)));
            }
            // The same values again, or those of an older version.
            (11 | 12, _) => {
                let versions = self.secrets(at).versions.clone();
                let old = if what == 11 { versions.last() } else { versions.first() };
                if let Some(old) = old.cloned() {
                    self.write(at, old.account, old.form);
                }
            }
            // This path alone is not served.
            (13, _) => {
                let until = self.until(Some(at), DAY);
                let fault = self.random.below(4);
                self.touch_source();
                let place = self.secrets(at);
                place.fault_until = until;
                place.fault = Some(match fault {
                    0 => SourceFault::Forbidden,
                    1 => SourceFault::Unavailable { status: 500 },
                    2 => SourceFault::Malformed("no engine is mounted there".into()),
                    _ => SourceFault::Destroyed(1),
                });
            }
            (14, _) => {
                let times = self.random.wait(1, 200);
                self.after(1, Occurrence::Deed(Deed::Report(at, times)));
            }
            // Renewed in time, or forgotten.
            (15, _) => {
                let left = self.random.wait(MINUTE, 30 * DAY);
                self.shops[at].certificate = certificate(self.time, 60 * DAY, left);
                let renewed = if self.random.once_in(2) { left / 2 } else { left + later };
                self.after(left, Occurrence::Deed(Deed::Expire(at)));
                self.after(renewed, Occurrence::Deed(Deed::Renew(at)));
            }
            // A mistyped value, written thrice.
            _ => {
                for _ in 0..3 {
                    let account = self.account(at);
                    let host = self.shops[at].host.clone();
                    self.write(at, Account { host, ..account }, Form::Whole);
                }
            }
        }
    }

    fn swap(&mut self, at: usize, account: Account) {
        let shop = &mut self.shops[at];
        shop.accounts.pop();
        shop.accounts.push(account);
    }

    pub(crate) fn deed(&mut self, deed: Deed) -> Result<(), Violation> {
        self.note(None, || format!("{deed:?}"));
        match deed {
            Deed::Write(at, account, form) => {
                self.write(at, account, form);
                self.unsettle(at);
            }
            Deed::Use(at, account) => {
                self.swap(at, account);
                self.unsettle(at);
            }
            Deed::CloseOldest(at) => {
                if self.shops[at].accounts.len() > 1 {
                    self.shops[at].accounts.remove(0);
                }
                self.unsettle(at);
            }
            Deed::Undelete(at) => {
                self.secrets(at).deleted = false;
                self.watch.stores[at].occasions += 1;
                self.unsettle(at);
            }
            Deed::Report(at, times) => self.report(at, times)?,
            Deed::Disturb(at, times) => self.disturb(at, times)?,
            Deed::Acknowledge(at) => self.acknowledge(at)?,
            Deed::Damage(at) => self.damage(at)?,
            Deed::Expire(at) => {
                let Some(validity) = self.shops[at].certificate else { return Ok(()) };
                if validity.until.as_millis() <= wall(self.time) {
                    let trouble = Some(Trouble::Fails(ProbeFault::CertificateExpired));
                    self.shops[at].phase = Phase { trouble, until: u64::MAX };
                }
                self.unsettle(at);
            }
            Deed::Renew(at) => {
                let shop = &mut self.shops[at];
                shop.certificate = certificate(self.time, 0, 90 * DAY);
                if shop.phase.trouble == Some(Trouble::Fails(ProbeFault::CertificateExpired)) {
                    shop.phase.until = self.time;
                }
                self.watch.stores[at].occasions += 1;
                self.unsettle(at);
            }
            Deed::Look(Some(at)) => {
                self.watch.stores[at].occasions += 1;
                self.touch_source();
                self.unsettle(at);
            }
            Deed::Look(None) => {
                self.touch_source();
                self.unsettle_all();
            }
        }
        Ok(())
    }

    fn trouble_for_all(&mut self) -> Result<(), Violation> {
        let what = self.random.below(19);
        self.note(None, || format!("all: trouble number {what}"));
        let (short, long) = (self.random.wait(SECOND, 10 * MINUTE), 8 * HOUR);
        match what {
            0 | 1 => {
                let trouble = if self.random.once_in(2) { Trouble::Unauthorized } else { self.trouble() };
                self.platform = Phase { trouble: Some(trouble), until: self.until(None, long) };
            }
            2 | 3 => {
                self.vault.fault = Some(match self.random.below(3) {
                    0 => SourceFault::Sealed,
                    1 => SourceFault::Unavailable { status: 503 },
                    _ => SourceFault::Unreachable("connection refused".into()),
                });
                self.vault.fault_until = self.until(None, long);
            }
            4 => self.vault.refused_until = self.until(None, long),
            5 => self.vault.denied_until = self.until(None, long),
            6 => self.vault.slow_until = self.until(None, long),
            7 => self.vault.kill_token(),
            8 => self.receiver.down_until = self.until(None, 2 * DAY),
            9 => self.clock_jumps(),
            10 | 11 => self.crash(),
            // One crash after another.
            12 => (1..8).for_each(|times| self.after(times * short, Occurrence::Crash)),
            13 => return self.reconfigure(),
            14 => {
                for at in 0..self.plan.stores {
                    self.watch.stores[at].occasions += 1;
                }
                return self.handle(Event::CheckNow);
            }
            15 => (0..self.plan.stores).for_each(|at| self.trouble_on_the_disk(at)),
            _ => return self.somebody_wants_silence(),
        }
        self.touch_source();
        Ok(())
    }

    fn clock_jumps(&mut self) {
        let by = i64::try_from(self.random.wait(SECOND, 12 * HOUR)).unwrap();
        if self.random.once_in(2) {
            self.offset -= by;
            self.watch.book.values_mut().for_each(|open| open.set_back += by.unsigned_abs());
        } else {
            self.offset += by;
            self.watch.book.values_mut().for_each(|open| open.leapt += by.unsigned_abs());
        }
    }

    /// A new configuration: other stores, other places, other settings, another way to log in.
    fn reconfigure(&mut self) -> Result<(), Violation> {
        let at = usize::try_from(self.random.below(self.plan.stores as u64)).unwrap();
        let (mut source, mut moved) = (SourceChange::Kept, None);
        match self.random.below(7) {
            // A configuration without a store is refused.
            0 | 1 if self.places[at].is_none() || self.places.iter().flatten().count() > 1 => {
                self.places[at] = self.places[at].is_none().then(|| format!("bc/{at}"));
            }
            0 | 1 => {}
            2 => {
                let other = format!("bc/{at}/{}", self.random.below(2));
                if self.places[at].is_some() {
                    let content = self.secrets(at).clone();
                    self.vault.places.entry(other.clone()).or_insert(content);
                    if self.places[at].replace(other.clone()) != Some(other) {
                        moved = Some(at);
                    }
                }
            }
            3 => {
                let gate = self.settings.gate;
                self.settings = settings(&mut self.random);
                self.settings.gate = gate;
                let sets = self.watch.stores.iter_mut().flat_map(|store| store.sets.values_mut());
                sets.for_each(|set| set.failing_since = None);
            }
            // An earlier version is pinned, or one that is still to come; or the newest is wanted again.
            4 | 5 => {
                let pin = self.pin(at);
                let newest = self.secrets(at).versions.len() as u64;
                self.pins[at] = if pin.is_some() { None } else { Some(1 + self.random.below(newest + 1)) };
                moved = (pin != self.pin(at)).then_some(at);
            }
            _ => source = SourceChange::Replaced,
        }
        let line = format!("configured: {:?}, {:?}, {:?}", self.places, self.pins, self.settings);
        self.note(None, || line);
        self.apply(source, moved)
    }

    /// The version that is pinned, where versions are counted.
    pub(crate) fn pin(&self, at: usize) -> Option<u64> {
        self.pins[at].filter(|_| self.places[at].as_deref().is_some_and(counts_versions))
    }

    /// Tells the process, if one runs, of the configuration.
    fn apply(&mut self, source: SourceChange, moved: Option<usize>) -> Result<(), Violation> {
        self.watch.settings = self.settings.clone();
        self.watch.settings_since = self.time;
        self.source_occasions += 1;
        if source == SourceChange::Replaced {
            self.epoch += 1;
            self.watch.forget_source();
        }
        for at in 0..self.plan.stores {
            let facts = &mut self.watch.stores[at];
            (facts.probes, facts.reads) = (0, 0);
            facts.occasions += 1;
            facts.in_flight[Kind::Read as usize] = 0;
            if source == SourceChange::Replaced || moved == Some(at) {
                facts.candidate = None;
            }
            if self.places[at].is_none() {
                self.watch.forget(at, self.time);
            } else {
                facts.asked = facts.asked.map(|asked| asked.max(self.time));
            }
        }
        self.watch.shorten_pauses();
        self.unsettle_all();
        let (settings, stores) = (self.settings.clone(), self.specs());
        self.handle(Event::Configured { settings, stores, source })?;
        self.unsettle_all();
        Ok(())
    }

    /// All troubles end; some of what people did is put right, and the rest stays as it is.
    pub(crate) fn calm_down(&mut self) -> Result<(), Violation> {
        self.note(None, || "calm".into());
        self.calm = true;
        self.drop_deeds();
        self.vault.heal(self.time);
        self.platform.until = self.time;
        self.receiver.down_until = self.time;
        if self.engine.is_none() {
            self.at(self.time, Occurrence::Start);
        }
        for at in 0..self.plan.stores {
            self.will_acknowledge(at);
            self.shops[at].phase.until = self.time;
            self.shops[at].certificate = certificate(self.time, 0, 90 * DAY);
            let disk = &mut self.disks[at];
            (disk.unwritable_until, disk.unreadable_until) = (self.time, self.time);
            disk.contested_until = self.time;
            self.watch.stores[at].occasions += 1;
            if self.random.once_in(3) {
                continue;
            }
            let account = self.in_use(at).unwrap_or_else(|| {
                let host = self.shops[at].host.clone();
                Account { host, ..self.account(at) }
            });
            self.shops[at].accounts = vec![account.clone()];
            self.write(at, account, Form::Whole);
        }
        self.touch_source();
        self.unsettle_all();
        Ok(())
    }
}
