//! What blocks, on a thread that may block.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::sync::Semaphore;

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

/// Jobs of one kind that may hang for longer than anybody waits for them. They hold so many threads and no more, and
/// the others are left to those who have no such jobs.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Semaphore>);

impl Turns {
    /// For jobs that may hold this many threads.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self(Arc::new(Semaphore::new(threads)))
    }

    /// Runs a job as [`run`] does, once it is its turn. It keeps its turn until it has ended, also when nobody waits
    /// for it any more: a thread that hangs cannot be had back.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        // Nobody closes it.
        let Ok(turn) = Arc::clone(&self.0).acquire_owned().await else { pending().await };
        run(move || {
            let _turn = turn;
            job()
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::timeout;

    use super::*;

    /// Long enough that only a hang reaches it.
    const LIMIT: Duration = Duration::from_secs(20);
    const THREADS: usize = 3;

    #[test]
    fn jobs_that_hang_and_were_given_up_keep_their_turns_and_leave_the_other_threads_alone() {
        let pool = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS + 1)
            .build()
            .unwrap();
        pool.block_on(async {
            let turns = Turns::new(THREADS);
            let (begun, mut beginnings) = unbounded_channel();
            let mut gates = Vec::new();
            let mut job = || {
                let (gate, opened) = mpsc::channel::<()>();
                gates.push(gate);
                let begun = begun.clone();
                move || {
                    begun.send(()).unwrap();
                    // Until the gate is dropped.
                    let _opened = opened.recv();
                }
            };
            for _ in 0..THREADS {
                tokio::select! {
                    biased;
                    () = turns.run(job()) => panic!("the gate is closed"),
                    begun = beginnings.recv() => begun.unwrap(),
                }
            }
            let mut late = pin!(turns.run(job()));
            assert!(timeout(Duration::ZERO, &mut late).await.is_err());
            assert_eq!(timeout(LIMIT, run(|| 7)).await, Ok(7), "the disk waits for nobody");
            assert!(beginnings.try_recv().is_err(), "none of the turns was had back");

            gates.clear();
            assert_eq!(timeout(LIMIT, &mut late).await, Ok(()));
            assert_eq!(timeout(LIMIT, turns.run(|| 8)).await, Ok(8));
        });
    }
}
