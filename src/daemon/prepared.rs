//! What a new configuration needs, whole, before anything of the old one is replaced.

use crate::config::Config;
use crate::publish::claim::Claim;
use crate::system::files::Known;

use super::adapters::Adapters;
use super::alerts::Channels;
use super::listeners;
use super::output_watch::OutputWatch;

pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) files: Vec<Known>,
    pub(super) adapters: Adapters,
    pub(super) channels: Channels,
    pub(super) claim: Option<Claim>,
    pub(super) listeners: listeners::Prepared,
    pub(super) output_watch: OutputWatch,
}
