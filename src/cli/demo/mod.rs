//! `demo`: the life of a token, told as it happens, with the unmodified daemon and real files.

mod buttons;
mod stage;
mod story;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::system::signals::{Signals, Wish};

use self::stage::Stage;
use super::output::{complain, print};
use super::{Exit, runtime};

type Failure = Box<dyn std::error::Error>;

#[derive(Args, Debug)]
pub(super) struct Demo {
    /// End when the story is told: with 0 if all of it happened, with 70 if not
    #[arg(long)]
    exit: bool,
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
            Ok(()) => Exit::Good,
            Err(error) => {
                complain(error.as_ref());
                Exit::Internal
            }
        }
    }

    async fn play(self) -> Result<(), Failure> {
        let mut signals = Signals::listen()?;
        let mut stage = Stage::set(self.listen, self.directory).await?;
        let told = tokio::select! {
            told = story::tell(&mut stage) => told.map(|()| true),
            () = stopped(&mut signals) => Ok(false),
        };
        match told {
            Ok(true) if !self.exit => {
                print(&stage.buttons_to_press());
                tokio::select! {
                    () = stopped(&mut signals) => {}
                    () = stage.daemon_ended() => {}
                }
            }
            Ok(_) => {}
            Err(error) => {
                print(&format!("\n{}", stage.last_of_the_log()));
                stage.strike().await?;
                return Err(error);
            }
        }
        stage.strike().await
    }
}

async fn stopped(signals: &mut Signals) {
    while signals.next().await.wish != Wish::Stop {
        tokio::time::sleep(Duration::ZERO).await;
    }
}
