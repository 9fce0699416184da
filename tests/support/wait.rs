//! Waiting for something to become true: asked again and again until a deadline, never hoped for.

#![allow(dead_code, reason = "each test uses a part")]

use std::time::{Duration, Instant};

/// How long anything may take; far more than it does on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(25);

/// Asks until there is an answer, and fails the test when none comes within [`DEADLINE`].
pub(crate) async fn wait_for<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    wait_within(DEADLINE, what, ask).await
}

/// Asks until it is so, and fails the test when it is not within [`DEADLINE`].
pub(crate) async fn wait_until(what: &str, mut ask: impl AsyncFnMut() -> bool) {
    wait_for(what, async || ask().await.then_some(())).await;
}

/// As [`wait_for`], with a deadline of one's own: a promise of the product.
pub(crate) async fn wait_within<T>(
    deadline: Duration,
    what: &str,
    mut ask: impl AsyncFnMut() -> Option<T>,
) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(started.elapsed() < deadline, "not within {deadline:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
