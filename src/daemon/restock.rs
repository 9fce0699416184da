//! The stores that Vault holds take the place of those that it held before.

use crate::config::Config;
use crate::domain::discovery::Found;
use crate::domain::engine::Event;
use crate::vault::stock;

use super::settings::stores;
use super::work::Work;
use crate::system::blocking;

/// Notes what was found, and has everybody know it. Returns what the engine is to be told.
pub(super) async fn restock(config: &mut Config, work: &mut Work, found: Vec<Found>) -> Event {
    config.restock(&found);
    let state = config.state.directory.clone();
    if let Err(error) = blocking::run(move || stock::save(&state, &found)).await {
        tracing::warn!("what was discovered may be forgotten at a restart: {error}");
    }
    work.adapters.restock(config);
    tracing::info!(stores = config.stores.len(), "the stores are now those that Vault holds");
    Event::Restocked { stores: stores(config, &work.adapters.noted) }
}

/// The stores of a configuration are those that an earlier life, or the one before it, has found.
pub(super) async fn take_stock(config: Config) -> Config {
    if config.discover.is_empty() {
        return config;
    }
    blocking::run(move || {
        let mut config = config;
        config.restock(&stock::load(&config.state.directory));
        config
    })
    .await
}
