//! Lists of changes that are queued at once, of one kind or of several.

use std::pin::Pin;
use std::task::Poll;
use store::{Commit, Fault, Store};

/// The answer to one change.
pub type Answer<C> = Result<Result<<C as Commit>::Done, <C as Commit>::Denied>, Fault>;

type Answering<'s, A> = Pin<Box<dyn Future<Output = Result<A, Fault>> + 's>>;
type Write<A> = dyn FnOnce(&Store) -> Answering<'_, A>;

/// A change of any kind, whose answer is read as an `A`.
pub struct AnyChange<A>(Box<Write<A>>);

impl<A> AnyChange<A> {
    pub fn new<C: Commit>(
        change: C,
        read: impl FnOnce(Result<C::Done, C::Denied>) -> A + 'static,
    ) -> AnyChange<A> {
        AnyChange(Box::new(move |store| {
            let answering = store.write(change);
            Box::pin(async move { answering.await.map(read) })
        }))
    }
}

/// Queues all changes in this order and returns their answers in this order.
pub async fn write_all<C: Commit>(store: &Store, changes: Vec<C>) -> Vec<Answer<C>> {
    at_once(changes.into_iter().map(|change| Box::pin(store.write(change))).collect()).await
}

/// The same for changes of several kinds.
pub async fn write_any<A>(store: &Store, changes: Vec<AnyChange<A>>) -> Vec<Result<A, Fault>> {
    at_once(changes.into_iter().map(|AnyChange(write)| write(store)).collect()).await
}

/// A change is queued when its future is first polled. All are polled before one is awaited.
async fn at_once<F: Future + Unpin>(mut waiting: Vec<F>) -> Vec<F::Output> {
    let mut done: Vec<Option<F::Output>> = waiting.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, answer) in waiting.iter_mut().zip(&mut done) {
            if answer.is_none()
                && let Poll::Ready(ready) = Pin::new(future).poll(context)
            {
                *answer = Some(ready);
            }
        }
        match done.iter().all(Option::is_some) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
