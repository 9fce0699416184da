//! Supervision: long-running parts of the daemon, none of which may end by itself.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::error::DaemonError;

/// A part of the daemon that runs until it is told to stop.
#[derive(Debug)]
pub(super) struct Service {
    part: &'static str,
    stop: oneshot::Sender<()>,
    handle: JoinHandle<()>,
}

impl Service {
    /// Starts a part. It is given a future that is ready when it has to stop.
    pub(super) fn start<F>(part: &'static str, run: impl FnOnce(Stop) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel();
        let handle = tokio::spawn(run(Stop(stopped)));
        Self { part, stop, handle }
    }

    /// Tells it to stop, and waits until it has.
    pub(super) async fn stop(self) -> Result<(), DaemonError> {
        // A part that has ended already does not listen.
        let _ended = self.stop.send(());
        match self.handle.await {
            Err(end) if end.is_panic() => Err(DaemonError::ended(self.part, Err(end))),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Ready when its service has to stop, or when nobody supervises it any more.
#[derive(Debug)]
pub(super) struct Stop(oneshot::Receiver<()>);

impl Future for Stop {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(context).map(drop)
    }
}

/// Waits until one of them ends, which none of them may.
pub(super) async fn any_ended(services: impl Iterator<Item = &mut Service>) -> DaemonError {
    let mut services: Vec<&mut Service> = services.collect();
    poll_fn(|context| {
        for service in &mut services {
            if let Poll::Ready(end) = Pin::new(&mut service.handle).poll(context) {
                return Poll::Ready(DaemonError::ended(service.part, end));
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_named_with_what_it_left_behind() {
        let mut returns = Some(Service::start("the listener", |_stop| async {}));
        let mut runs = vec![Service::start("the watch", |stop| stop)];
        let error = any_ended(runs.iter_mut().chain(&mut returns)).await.to_string();
        assert!(error.starts_with("the listener ended unexpectedly: it returned"), "{error}");
        let mut panics = Some(Service::start("the watch", |_stop| async { panic!("out of luck") }));
        let error = any_ended(panics.iter_mut()).await.to_string();
        assert!(error.starts_with("the watch ended unexpectedly: out of luck"), "{error}");
        assert!(runs.remove(0).stop().await.is_ok());
    }
}
