//! Work that is done on a thread of its own, beside what a run waits for. Where no thread can be made, it is done all the same.

use std::sync::Arc;
use std::thread;

/// Two values, the first of which is computed on a thread of its own; where there is none, here and first.
pub(crate) fn side_by_side<A: Send, B>(beside: impl Fn() -> A + Sync, here: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &beside) {
        Ok(thread) => {
            let here = here();
            (thread.join().unwrap_or_else(|_| beside()), here)
        }
        Err(_) => (beside(), here()),
    })
}

/// A value that is computed on a thread of its own.
pub(crate) struct Beside<T> {
    compute: Arc<dyn Fn() -> T + Send + Sync>,
    thread: Option<thread::JoinHandle<T>>,
}

impl<T: Send + 'static> Beside<T> {
    pub(crate) fn begin(compute: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let compute: Arc<dyn Fn() -> T + Send + Sync> = Arc::new(compute);
        let beside = Arc::clone(&compute);
        Self { compute, thread: thread::Builder::new().spawn(move || beside()).ok() }
    }

    /// The value; where there is no thread, it is computed now.
    pub(crate) fn end(mut self) -> T {
        let computed = self.thread.take().and_then(|thread| thread.join().ok());
        computed.unwrap_or_else(|| (self.compute)())
    }
}

/// Waits for the thread, also where nobody wants the value any more: the run holds its lock until it writes nothing.
impl<T> Drop for Beside<T> {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Frees what takes long to free, on a thread for which nobody waits.
pub(crate) fn free_beside<T: Send + 'static>(value: T) {
    // Where there is no thread, it is freed now.
    drop(thread::Builder::new().spawn(move || drop(value)));
}
