//! Tasks that are waited for: nothing runs on unseen when the process ends.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Everything that runs beside connections of clients: upstream connections over HTTP/2, requests whose client has
/// gone while their endpoint may finish.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Running>);

#[derive(Debug, Default)]
struct Running {
    count: AtomicUsize,
    ended: Notify,
}

impl Tasks {
    /// Runs `task` on the present runtime. False, and `task` is dropped, if there is none.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return false;
        };
        let mark = Mark::new(&self.0);
        // Dropped with the task, also if the runtime ends first.
        drop(runtime.spawn(async move {
            let _mark = mark;
            task.await;
        }));
        true
    }

    /// How many run.
    pub(crate) fn running(&self) -> usize {
        self.0.count.load(Ordering::Acquire)
    }

    /// Waits until none runs.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.0.ended.notified();
            if self.running() == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Tasks {
    fn execute(&self, task: F) {
        let _is_running = self.spawn(task);
    }
}

/// One task that runs.
struct Mark(Arc<Running>);

impl Mark {
    fn new(running: &Arc<Running>) -> Mark {
        running.count.fetch_add(1, Ordering::AcqRel);
        Mark(Arc::clone(running))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_is_waited_for() {
        let tasks = Tasks::default();
        assert!(!tasks.spawn(async {}), "there is no runtime");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let (end, ends) = tokio::sync::oneshot::channel::<()>();
            tasks.spawn(async move {
                let _told = ends.await;
            });
            assert_eq!(tasks.running(), 1);
            let waiting = tokio::spawn({
                let tasks = tasks.clone();
                async move { tasks.ended().await }
            });
            tokio::task::yield_now().await;
            assert!(!waiting.is_finished());
            end.send(()).expect("it listens");
            waiting.await.expect("no panic");
            assert_eq!(tasks.running(), 0);
        });
    }
}
