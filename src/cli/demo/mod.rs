//! `demo`: the life of a token, told as it happens, with the unmodified daemon and real files.

mod buttons;
mod stage;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::system::signals::{Signals, Wish};

use self::stage::{Stage, Unfit};
use self::story::Reader;
use super::output::{complain, print};
use super::{Exit, runtime};

type Failure = Box<dyn std::error::Error>;

/// Somebody did not want to hear the rest.
#[derive(Debug, thiserror::Error)]
#[error("interrupted by {0}: the story was not told to its end")]
struct Interrupted(String);

#[derive(Args, Debug)]
pub(super) struct Demo {
    /// End when the story is told: with 0 if all of it happened, with 70 if not, with 14 if it was interrupted
    #[arg(long)]
    exit: bool,
    /// Wait for Enter before each further chapter, so that there is time to look at the status page
    #[arg(long)]
    step: bool,
    /// Where the daemon listens for its status page [default: 127.0.0.1:9847, or a free port]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Where the files are: an empty directory, or one that does not exist yet [default: a temporary one]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Demo {
    pub(super) fn main(self) -> Exit {
        let played = runtime(4).map_err(Into::into).and_then(|runtime| runtime.block_on(self.play()));
        match played {
            Ok(exit) => exit,
            Err(error) => {
                complain(error.as_ref());
                if error.is::<Unfit>() { Exit::Usage } else { Exit::Internal }
            }
        }
    }

    async fn play(self) -> Result<Exit, Failure> {
        let mut signals = Signals::listen()?;
        let mut stage = Stage::set(self.listen, self.directory.clone()).await?;
        let played = self.perform(&mut stage, &mut signals).await;
        if played.is_err() {
            let _unwritten = print(&format!("\n{}", stage.last_of_the_log()));
        }
        let struck = stage.strike().await;
        played.and_then(|exit| struck.map(|()| exit))
    }

    async fn perform(&self, stage: &mut Stage, signals: &mut Signals) -> Result<Exit, Failure> {
        let reader = self.step.then(Reader::at_the_terminal);
        tokio::select! {
            told = story::tell(stage, reader) => told?,
            origin = stopped(signals) => {
                // Who wants it to end by itself wants to know whether all of it happened.
                if !self.exit {
                    return Ok(Exit::Good);
                }
                complain(&Interrupted(origin));
                return Ok(Exit::Inconclusive);
            }
        }
        if !self.exit {
            print(&stage.buttons_to_press())?;
            tokio::select! {
                _origin = stopped(signals) => {}
                () = stage.daemon_ended() => {}
            }
        }
        Ok(Exit::Good)
    }
}

/// Returns who wants it to stop.
async fn stopped(signals: &mut Signals) -> String {
    loop {
        let signal = signals.next().await;
        // SIGHUP is that the terminal was closed: there is no configuration of somebody's to load.
        if matches!(signal.wish, Wish::Stop | Wish::Reload) {
            return signal.origin;
        }
        tokio::time::sleep(Duration::ZERO).await;
    }
}
