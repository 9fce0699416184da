//! Reading templates: at a start and at each new configuration, bounded, with what is wrong told by its key.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::render::Renderer;
use crate::config::{Config, ConfigError, Files, MAX_TEMPLATE_SIZE, Place, Problem, lists_of_files};
use crate::domain::credentials::StoreName;

/// Reads the templates that a configuration names, and renders each once with sample values.
///
/// # Errors
/// Everything that is wrong with them.
pub fn check_templates(config: &Config) -> Result<(), ConfigError> {
    Renderers::read(config).map(drop)
}

/// Who makes the files of each store that has others than the three values.
#[derive(Debug, Default)]
pub(super) struct Renderers {
    made: Vec<(Arc<Files>, Arc<Renderer>)>,
    stores: BTreeMap<StoreName, Arc<Renderer>>,
}

impl Renderers {
    /// Reads the templates.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub(super) fn read(config: &Config) -> Result<Self, ConfigError> {
        let mut problems = Vec::new();
        let mut all = Self::default();
        for files in lists_of_files(config) {
            match Renderer::new(files, read) {
                // These need nobody of their own.
                Ok(renderer) if renderer.is_usual() => {}
                Ok(renderer) => all.made.push((Arc::clone(files), Arc::new(renderer))),
                Err(found) => problems.extend(found.into_iter().map(|(at, message)| Problem {
                    place: Place::Host,
                    key: format!("{}[{at}].template", files.at),
                    message,
                })),
            }
        }
        ConfigError::unless_empty(problems)?;
        Ok(all.of_stores(config))
    }

    /// The same for the stores that there are now.
    pub(super) fn of_stores(&self, config: &Config) -> Self {
        let renderer_of = |wanted: &Arc<Files>| {
            let made = self.made.iter().find(|(files, _)| Arc::ptr_eq(files, wanted));
            made.map(|(_, renderer)| Arc::clone(renderer))
        };
        let stores = config.stores.iter();
        let stores =
            stores.filter_map(|store| Some((store.name.clone(), renderer_of(&store.files)?))).collect();
        Self { made: self.made.clone(), stores }
    }

    pub(super) fn of(&self, store: &StoreName) -> Option<&Arc<Renderer>> {
        self.stores.get(store)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    // Asked before it is opened: opening a pipe would wait for somebody to write into it.
    if !path.metadata().map_err(unreadable)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_TEMPLATE_SIZE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_TEMPLATE_SIZE {
        return Err(format!("is larger than {MAX_TEMPLATE_SIZE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is no UTF-8; save it as UTF-8".to_owned())
}
