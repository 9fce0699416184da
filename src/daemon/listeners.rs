//! The HTTP listener and the control socket, as the daemon opens, replaces and closes them.

use std::net::SocketAddr;

use tracing::{error, info};

use crate::config::Config;
use crate::observe::{self, Access, Listener, ObserveError, Pages, Rules};
use crate::system::blocking;
use crate::system::errors::chain;

use super::error::DaemonError;
use super::services::Service;

/// Both, while they serve.
pub(super) struct Listeners {
    pages: Pages,
    access: Access,
    http: Option<Service>,
    control: Option<Service>,
}

/// What a new configuration wants of them; open, and not serving yet.
pub(super) struct Prepared {
    rules: Rules,
    http: Change,
    control: Change,
}

enum Change {
    Keep,
    Replace(Option<Listener>),
    /// The address is not free, and it may be that our own listener has it.
    TakeOver {
        old: SocketAddr,
        new: SocketAddr,
    },
}

impl Listeners {
    /// Opens what the configuration asks for, and serves.
    pub(super) async fn open(config: &Config, pages: Pages, access: Access) -> Result<Self, DaemonError> {
        let http = config.http.clone();
        let rules = blocking::run(move || Rules::load(&http)).await.map_err(DaemonError::Certificate)?;
        impose(&access, rules).await;
        // First, because it says that another daemon runs.
        let control = match &config.control.socket {
            Some(path) => Some(observe::bind_socket(path).await.map_err(DaemonError::Control)?),
            None => None,
        };
        let http = match config.http.listen {
            Some(address) => Some(observe::bind(address).await.map_err(DaemonError::Listen)?),
            None => None,
        };
        let mut listeners = Self { pages, access, http: None, control: None };
        listeners.control = control.map(|control| listeners.serve_control(control));
        listeners.http = http.map(|http| listeners.serve_http(http));
        Ok(listeners)
    }

    fn serve_http(&self, listener: Listener) -> Service {
        info!(address = %listener, "listening");
        let pages = self.pages.clone();
        Service::start("the HTTP listener", |stop| observe::serve(listener, pages, stop))
    }

    fn serve_control(&self, listener: Listener) -> Service {
        info!(path = %listener, "listening on the control socket");
        let pages = self.pages.clone();
        Service::start("the control socket", |stop| observe::serve(listener, pages, stop))
    }

    /// Both services, for their supervision.
    pub(super) fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        self.http.iter_mut().chain(&mut self.control)
    }

    /// Opens what another configuration wants; what serves now goes on.
    pub(super) async fn prepare(old: &Config, new: &Config) -> Result<Prepared, String> {
        let wanted = new.http.clone();
        let rules = blocking::run(move || Rules::load(&wanted)).await.map_err(|error| chain(&error))?;
        let http = if old.http.listen == new.http.listen {
            Change::Keep
        } else if let Some(address) = new.http.listen {
            match (observe::bind(address).await, old.http.listen) {
                (Ok(listener), _) => Change::Replace(Some(listener)),
                (Err(ObserveError::AddressInUse { .. }), Some(old)) if old.port() == address.port() => {
                    Change::TakeOver { old, new: address }
                }
                (Err(error), _) => return Err(chain(&error)),
            }
        } else {
            Change::Replace(None)
        };
        // A file that somebody has removed is made again.
        let is_gone = new.control.socket.as_ref().is_some_and(|path| path.symlink_metadata().is_err());
        let control = if old.control == new.control && !is_gone {
            Change::Keep
        } else if let Some(path) = &new.control.socket {
            Change::Replace(Some(observe::bind_socket(path).await.map_err(|error| chain(&error))?))
        } else {
            Change::Replace(None)
        };
        Ok(Prepared { rules, http, control })
    }

    /// Where only our own listener may be in the way of the new one: closes it and opens the other, or opens it again. What
    /// waits to be accepted meanwhile is lost, so this comes last, when nothing else can be refused.
    pub(super) async fn take_over(&mut self, prepared: &mut Prepared) -> Result<(), String> {
        let Change::TakeOver { old, new } = prepared.http else { return Ok(()) };
        stop(self.http.take()).await.map_err(|error| chain(&error))?;
        match observe::bind(new).await {
            Ok(listener) => {
                prepared.http = Change::Replace(Some(listener));
                Ok(())
            }
            Err(refused) => {
                match observe::bind(old).await {
                    Ok(listener) => self.http = Some(self.serve_http(listener)),
                    Err(error) => {
                        error!("nobody is answered over HTTP until a restart: {}", chain(&error))
                    }
                }
                Err(chain(&refused))
            }
        }
    }

    /// Replaces what has changed.
    pub(super) async fn apply(&mut self, prepared: Prepared) -> Result<(), DaemonError> {
        // First, so that nobody is let in by a new listener under the old ones.
        impose(&self.access, prepared.rules).await;
        if let Change::Replace(listener) = prepared.http {
            stop(self.http.take()).await?;
            self.http = listener.map(|listener| self.serve_http(listener));
        }
        if let Change::Replace(listener) = prepared.control {
            stop(self.control.take()).await?;
            self.control = listener.map(|listener| self.serve_control(listener));
        }
        Ok(())
    }

    /// Closes the control socket, so that its file is gone when the process is.
    pub(super) async fn close(&mut self) -> Result<(), DaemonError> {
        stop(self.control.take()).await
    }
}

/// Puts rules into force, and says when their tokens cannot be used.
async fn impose(access: &Access, rules: Rules) {
    access.set(rules);
    let access = access.clone();
    blocking::run(move || access.check()).await;
}

async fn stop(service: Option<Service>) -> Result<(), DaemonError> {
    match service {
        Some(service) => service.stop().await,
        None => Ok(()),
    }
}
