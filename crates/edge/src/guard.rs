//! A socket for hyper that passes on only what [`Framing`] lets pass, and ends slow connections.
//!
//! Not here: the meaning of a request, and the timeout of its body (`admit.rs`). Invariant: hyper
//! sees complete heads only, and our own answer is written after all of hyper's, at the shutdown.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::Client;
use super::framing::Framing;
use super::limits::{LINGER_BYTES_MAX, LINGER_TIMEOUT, Limits, WRITE_BYTES_MIN};
use super::refuse::Refused;

/// The socket `S` of one connection.
pub(super) struct Guard<S> {
    socket: S,
    client: Client,
    limits: Arc<Limits>,
    framing: Framing,
    /// Bytes that were read and not yet passed on; empty as long as requests arrive complete.
    pending: BytesMut,
    /// The number of bytes at the front of `pending` that may be passed on.
    passed: usize,
    /// Nothing more is read: the client closed its side, was refused, or was too slow.
    is_read_closed: bool,
    refused: Option<Refused>,
    /// Our own answer, to be written at the shutdown.
    last_answer: Bytes,
    closing: Closing,
    read_timer: Timer<Awaited>,
    write_timer: Timer<()>,
    /// Bytes that the socket accepted since the write timer started.
    written: usize,
}

/// What the connection waits for; determines the timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    FirstByte,
    NextHead,
    RestOfHead,
    /// The client's close, after ours.
    Close,
}

/// The steps of closing a connection. `Linger` reads and drops the client's last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    LastAnswer,
    Shutdown,
    Linger { left: usize },
    Done,
}

impl<S> Guard<S> {
    pub(super) fn new(socket: S, client: Client, limits: Arc<Limits>) -> Self {
        Self {
            socket,
            client,
            limits,
            framing: Framing::default(),
            pending: BytesMut::new(),
            passed: 0,
            is_read_closed: false,
            refused: None,
            last_answer: Bytes::new(),
            closing: Closing::LastAnswer,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            written: 0,
        }
    }

    /// Decides about the bytes that were just read into `buf` after `start`: hyper gets them, they
    /// wait in `pending`, or they are refused.
    fn filter(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let passed = if self.pending.is_empty() {
            let fresh = &mut buf.filled_mut()[start..];
            let passed = self.framing.pass(fresh, &self.limits);
            self.pending.extend_from_slice(&fresh[passed.bytes..]);
            buf.set_filled(start + passed.bytes);
            passed
        } else {
            self.pending.extend_from_slice(&buf.filled()[start..]);
            buf.set_filled(start);
            let passed = self.framing.pass(&mut self.pending, &self.limits);
            self.passed = passed.bytes;
            passed
        };
        if passed.bytes > 0 {
            self.read_timer.stop();
        }
        if let Some(refused) = passed.refused {
            tracing::debug!(?refused, "a request was refused at the edge");
            self.pending.truncate(self.passed);
            self.is_read_closed = true;
            // Within a body, the request is already being handled, and that gives the answer.
            self.refused = self.framing.is_in_head().then_some(refused);
        }
    }

    /// Passes on bytes that waited in `pending`.
    fn pass_on(&mut self, buf: &mut ReadBuf<'_>) {
        let bytes = self.passed.min(buf.remaining());
        buf.put_slice(&self.pending[..bytes]);
        self.pending.advance(bytes);
        self.passed -= bytes;
        if self.pending.is_empty() {
            // An idle connection holds no memory.
            self.pending = BytesMut::new();
        }
    }

    /// Ready when the client exceeds the timeout of what is awaited now.
    fn poll_read_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(awaited) = self.awaited() else { return Poll::Pending };
        ready!(self.poll_elapsed(awaited, cx));
        self.is_read_closed = true;
        self.pending.clear();
        self.refused = (awaited == Awaited::RestOfHead).then_some(Refused::RequestTimeout);
        Poll::Ready(())
    }

    fn poll_elapsed(&mut self, awaited: Awaited, cx: &mut Context<'_>) -> Poll<()> {
        let within = match awaited {
            Awaited::FirstByte | Awaited::RestOfHead => self.limits.head_timeout,
            Awaited::NextHead => self.limits.idle_timeout,
            Awaited::Close => LINGER_TIMEOUT,
        };
        self.read_timer.poll(awaited, within, cx)
    }

    fn awaited(&self) -> Option<Awaited> {
        if !self.framing.is_in_head() {
            return None;
        }
        Some(match (self.pending.is_empty(), self.framing.heads()) {
            (false, _) => Awaited::RestOfHead,
            (true, 0) => Awaited::FirstByte,
            (true, _) => Awaited::NextHead,
        })
    }

    /// Turns a write into an error if the client has read too little within the timeout.
    fn with_write_timeout(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.written += bytes;
            if self.written >= WRITE_BYTES_MIN {
                self.stop_write_timer();
            }
        }
        if written.is_pending() {
            ready!(self.write_timer.poll((), self.limits.write_timeout, cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    fn stop_write_timer(&mut self) {
        self.write_timer.stop();
        self.written = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        let start = buf.filled().len();
        while buf.remaining() > 0 && buf.filled().len() == start {
            if guard.passed > 0 {
                guard.pass_on(buf);
            } else if guard.is_read_closed {
                // hyper wants to read the refused head: it has answered everything before.
                if let Some(refused) = guard.refused.take() {
                    refused.count(guard.client.peer.ip());
                    guard.last_answer = refused.raw();
                }
                break;
            } else if let Poll::Ready(read) = Pin::new(&mut guard.socket).poll_read(cx, buf) {
                read?;
                if buf.filled().len() == start {
                    guard.is_read_closed = true;
                } else {
                    guard.client.slot.works();
                    guard.filter(buf, start);
                }
            } else {
                if matches!(guard.awaited(), Some(Awaited::FirstByte | Awaited::NextHead)) {
                    guard.client.slot.is_idle();
                }
                ready!(guard.poll_read_timeout(cx));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.socket).poll_write(cx, buf);
        guard.with_write_timeout(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.socket).poll_write_vectored(cx, bufs);
        guard.with_write_timeout(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        guard.stop_write_timer();
        Pin::new(&mut guard.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        loop {
            guard.closing = match guard.closing {
                Closing::LastAnswer if guard.last_answer.has_remaining() => {
                    let written = Pin::new(&mut guard.socket).poll_write(cx, &guard.last_answer);
                    let bytes = ready!(guard.with_write_timeout(cx, written))?;
                    if bytes == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    guard.last_answer.advance(bytes);
                    Closing::LastAnswer
                }
                Closing::LastAnswer => Closing::Shutdown,
                Closing::Shutdown => {
                    ready!(Pin::new(&mut guard.socket).poll_shutdown(cx))?;
                    Closing::Linger { left: LINGER_BYTES_MAX }
                }
                Closing::Linger { left } => ready!(guard.poll_linger(cx, left)),
                Closing::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Drops what the client still sends: a close with unread bytes resets the connection, and
    /// the client may get the reset before our last answer.
    fn poll_linger(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<Closing> {
        let mut scratch = [0; 4096];
        let mut buf = ReadBuf::new(&mut scratch);
        let is_more_to_come =
            self.is_read_closed || !self.framing.is_in_head() || left < LINGER_BYTES_MAX;
        match Pin::new(&mut self.socket).poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                let left = left.saturating_sub(buf.filled().len());
                Poll::Ready(if left == 0 { Closing::Done } else { Closing::Linger { left } })
            }
            Poll::Ready(_) => Poll::Ready(Closing::Done),
            Poll::Pending if is_more_to_come => {
                ready!(self.poll_elapsed(Awaited::Close, cx));
                Poll::Ready(Closing::Done)
            }
            Poll::Pending => Poll::Ready(Closing::Done),
        }
    }
}

/// A timer that starts when something is first awaited; its allocation is reused.
struct Timer<T> {
    waits_for: Option<T>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl<T> Default for Timer<T> {
    fn default() -> Self {
        Self { waits_for: None, sleep: None }
    }
}

impl<T: PartialEq> Timer<T> {
    /// Ready `within` after the first call for `what`; a call for something else restarts it.
    fn poll(&mut self, what: T, within: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let is_new = self.waits_for.as_ref() != Some(&what);
        self.waits_for = Some(what);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if is_new {
                    sleep.set(tokio::time::sleep(within));
                }
                sleep
            }
            empty @ None => empty.insert(Box::pin(tokio::time::sleep(within))),
        };
        sleep.as_mut().poll(cx)
    }

    fn stop(&mut self) {
        self.waits_for = None;
    }
}
