//! Worlds whose stores are discovered.

use std::time::Duration;

use super::world::{World, settings};
use crate::domain::discovery::{Discovered, Discovery, Found, NamePattern, place};
use crate::domain::engine::{Settings, StoreSpec};
use crate::domain::source::Folder;

impl World {
    /// A world whose stores are discovered, but for those that are configured.
    pub(super) fn discovering(configured: &[&str], withdraw_after: Option<Duration>) -> Self {
        let discovery = Discovery {
            folder: Folder { mount: "secret".into(), path: "bc".into() },
            kv_version: None,
            pattern: NamePattern::parse("{store}").unwrap(),
            withdraw_after,
        };
        let mut world = Self::with(configured, Settings { discoveries: vec![discovery], ..settings() });
        world.configured = configured.iter().map(|name| (*name).to_owned()).collect();
        world
    }

    /// The stores that are configured, and those that were discovered.
    pub(super) fn stocked(&self) -> Vec<StoreSpec> {
        let discovered = |found: &Found| {
            let (at, name) = place(self.settings.discoveries.iter(), &found.mount, &found.path)?;
            let withdraw_after = self.settings.discoveries[at].withdraw_after;
            let discovered = Some(Discovered { gone_since: found.gone_since, withdraw_after });
            Some(StoreSpec { discovered, ..self.spec(name.ok()?.as_str()) })
        };
        let configured = self.configured.iter().map(|name| self.spec(name));
        configured.chain(self.found.iter().filter_map(discovered)).collect()
    }
}
