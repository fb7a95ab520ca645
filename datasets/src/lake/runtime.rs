use std::future::Future;
use std::io;
use std::sync::mpsc;

/// A tokio runtime behind calls that block. Work is spawned and waited for, never `block_on`ed,
/// so that a call also works from a thread of another runtime, and dropping it never blocks.
#[derive(Debug)]
pub(crate) struct BlockingRuntime {
    runtime: Option<tokio::runtime::Runtime>,
}

impl BlockingRuntime {
    /// Starts `threads` worker threads.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Runs `work` to its end on the runtime; `None` if it panicked.
    pub(crate) fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.runtime.as_ref()?.spawn(async move {
            let _ = sender.send(work.await);
        });
        receiver.recv().ok()
    }
}

impl Drop for BlockingRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_from_inside_another_runtime() {
        let outer = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let answer = outer.block_on(async {
            let inner = BlockingRuntime::start("inner", 1).unwrap();
            inner.run(async { 42 })
        });
        assert_eq!(answer, Some(42));
    }
}
