//! Waiting for a future on this thread, without a runtime.
//!
//! The futures of the database client need no runtime: the I/O thread wakes them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

/// How often a waiting thread checks its timeout.
const TICK: Duration = Duration::from_millis(100);

/// Wakes the thread that waits.
struct ThreadWaker {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for ThreadWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Waits on this thread; `None` after `timeout` without any progress.
pub(super) fn wait<F: Future>(future: F, timeout: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let thread_waker =
        Arc::new(ThreadWaker { thread: std::thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(thread_waker.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        let mut waited = Duration::ZERO;
        while !thread_waker.is_woken.swap(false, Ordering::AcqRel) {
            if waited >= timeout {
                return None;
            }
            std::thread::park_timeout(TICK);
            waited += TICK;
        }
    }
}

/// Waits on this thread until the future is ready, or `is_enough`, which is evaluated whenever the
/// thread is unparked.
pub(super) fn wait_unless<F: Future + Unpin>(
    future: &mut F,
    is_enough: &dyn Fn() -> bool,
) -> Option<F::Output> {
    let thread_waker =
        Arc::new(ThreadWaker { thread: std::thread::current(), is_woken: AtomicBool::new(true) });
    let waker = Waker::from(thread_waker.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if thread_waker.is_woken.swap(false, Ordering::AcqRel)
            && let Poll::Ready(done) = pin!(&mut *future).poll(&mut context)
        {
            return Some(done);
        }
        if is_enough() {
            return None;
        }
        std::thread::park_timeout(TICK);
    }
}
