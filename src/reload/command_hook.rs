//! A command that tells an app: 0 means that it was told.

use std::ffi::OsString;
use std::time::Duration;

use super::News;
use crate::domain::publication::{ReloadFault, Reloaded};
use crate::system::command::{self, Failure, Job};

/// Runs the command once, in a process group of its own, with nothing in its environment but what every program
/// needs and what tells of the generation.
///
/// # Errors
/// It could not be started, did not end in time, or did not end with 0.
pub(super) async fn run(
    argv: &[String],
    timeout: Duration,
    inherited: &[(String, OsString)],
    news: &News<'_>,
) -> Result<Reloaded, ReloadFault> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(ReloadFault::new("there is no command"));
    };
    let variable = |name: &str, value: OsString| (format!("BC_SECRETS_SYNC_{name}"), value);
    let environment: Vec<_> = inherited
        .iter()
        .cloned()
        .chain([
            variable("STORE", news.store.as_str().into()),
            variable("GENERATION", news.generation.to_string().into()),
            variable("DIRECTORY", news.directory.into()),
        ])
        .collect();
    let job = Job { program, arguments, environment: &environment, input: &[], timeout };
    match command::run(&job).await {
        Ok(ended) if ended.status.success() => {
            Ok(Reloaded { how: format!("{program} ended with 0"), output: ended.words })
        }
        Ok(ended) => {
            Err(ReloadFault { reason: format!("{program} ended with {}", ended.status), output: ended.words })
        }
        Err(Failure::Start(error)) => Err(ReloadFault::new(format!("cannot start {program}: {error}"))),
        Err(Failure::Wait(error)) => Err(ReloadFault::new(format!("cannot wait for {program}: {error}"))),
        Err(Failure::Late(words)) => Err(ReloadFault {
            reason: format!(
                "{program} did not end within {timeout:?}, and was killed with all that it had started"
            ),
            output: words,
        }),
    }
}
