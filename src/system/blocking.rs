//! What blocks, on a thread that may block.

use std::future::pending;
use std::panic::resume_unwind;

/// Runs a job that blocks, on a disk for example, on a thread of its own.
///
/// A panic there goes on here. In the product it has ended the process before: see [`panics`](super::panics).
pub async fn run<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(job).await {
        Ok(result) => result,
        Err(end) => match end.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Only a runtime that ends cancels a job, and nobody waits for its result then.
            Err(_) => pending().await,
        },
    }
}
