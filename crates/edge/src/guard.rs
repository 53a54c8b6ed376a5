//! A socket that shows hyper only what [`Framing`] let through, and closes what is too slow.
//!
//! Not here: what a request means, and the time for its body (`admit.rs`). Invariant: hyper sees
//! whole heads only, and our own answer is written after all of hyper's, at its shutdown.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::framing::Framing;
use super::limits::{LINGER, LINGER_BYTES, Limits, TAKEN_BYTES};
use super::refuse::Refused;

/// The socket `S` of one connection.
pub(super) struct Guard<S> {
    socket: S,
    limits: Arc<Limits>,
    framing: Framing,
    /// Read, but not yet handed on; empty as long as requests come whole.
    held: BytesMut,
    /// How much of `held`, from its front, may be handed on.
    passed: usize,
    /// Nothing more is read: the client ended, was refused or was too slow.
    is_over: bool,
    refused: Option<Refused>,
    /// What is still to be said at shutdown.
    parting: Bytes,
    farewell: Farewell,
    read_timer: Timer<Awaited>,
    write_timer: Timer<()>,
    /// Bytes that the client took since the write timer started.
    taken: usize,
}

/// What the connection waits for, and so how long it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaited {
    FirstByte,
    NextHead,
    RestOfHead,
    /// The client's end, after ours.
    End,
}

/// The steps of closing: the last words, the end of our side, the rest of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Farewell {
    Words,
    Close,
    Linger { left: usize },
    Done,
}

impl<S> Guard<S> {
    pub(super) fn new(socket: S, limits: Arc<Limits>) -> Self {
        Self {
            socket,
            limits,
            framing: Framing::default(),
            held: BytesMut::new(),
            passed: 0,
            is_over: false,
            refused: None,
            parting: Bytes::new(),
            farewell: Farewell::Words,
            read_timer: Timer::default(),
            write_timer: Timer::default(),
            taken: 0,
        }
    }

    /// Sorts what was just read into `buf` after `start`: on to hyper, held back, or refused.
    fn sift(&mut self, buf: &mut ReadBuf<'_>, start: usize) {
        let passed = if self.held.is_empty() {
            let fresh = &mut buf.filled_mut()[start..];
            let passed = self.framing.pass(fresh, &self.limits);
            self.held.extend_from_slice(&fresh[passed.bytes..]);
            buf.set_filled(start + passed.bytes);
            passed
        } else {
            self.held.extend_from_slice(&buf.filled()[start..]);
            buf.set_filled(start);
            let passed = self.framing.pass(&mut self.held, &self.limits);
            self.passed = passed.bytes;
            passed
        };
        if passed.bytes > 0 {
            self.read_timer.stop();
        }
        if let Some(refused) = passed.refused {
            tracing::debug!(?refused, "a request was refused at the edge");
            self.held.truncate(self.passed);
            self.is_over = true;
            // Inside a body the request is with its handler, which gives the answer.
            self.refused = self.framing.is_in_head().then_some(refused);
        }
    }

    /// Hands on what was held back and is now let through.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) {
        let bytes = self.passed.min(buf.remaining());
        buf.put_slice(&self.held[..bytes]);
        self.held.advance(bytes);
        self.passed -= bytes;
        if self.held.is_empty() {
            // An idle connection holds no memory.
            self.held = BytesMut::new();
        }
    }

    /// Ready when the client took too long for what is awaited now.
    fn poll_too_slow(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(awaited) = self.awaited() else { return Poll::Pending };
        ready!(self.poll_elapsed(awaited, cx));
        self.is_over = true;
        self.held.clear();
        self.refused = (awaited == Awaited::RestOfHead).then_some(Refused::RequestTimeout);
        Poll::Ready(())
    }

    fn poll_elapsed(&mut self, awaited: Awaited, cx: &mut Context<'_>) -> Poll<()> {
        let within = match awaited {
            Awaited::FirstByte | Awaited::RestOfHead => self.limits.head_within,
            Awaited::NextHead => self.limits.idle,
            Awaited::End => LINGER,
        };
        self.read_timer.poll(awaited, within, cx)
    }

    fn awaited(&self) -> Option<Awaited> {
        if !self.framing.is_in_head() {
            return None;
        }
        Some(match (self.held.is_empty(), self.framing.heads()) {
            (false, _) => Awaited::RestOfHead,
            (true, 0) => Awaited::FirstByte,
            (true, _) => Awaited::NextHead,
        })
    }

    /// Turns a write that makes no progress for too long into an error.
    fn timed(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.taken += bytes;
            if self.taken >= TAKEN_BYTES {
                self.taken_all();
            }
        }
        if written.is_pending() {
            ready!(self.write_timer.poll((), self.limits.taken_within, cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }

    fn taken_all(&mut self) {
        self.write_timer.stop();
        self.taken = 0;
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
                guard.hand_on(buf);
            } else if guard.is_over {
                // hyper asks for the head that was refused: all before it is answered.
                if let Some(refused) = guard.refused.take() {
                    guard.parting = refused.raw();
                }
                break;
            } else if let Poll::Ready(read) = Pin::new(&mut guard.socket).poll_read(cx, buf) {
                read?;
                if buf.filled().len() == start {
                    guard.is_over = true;
                } else {
                    guard.sift(buf, start);
                }
            } else {
                ready!(guard.poll_too_slow(cx));
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
        guard.timed(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guard = self.get_mut();
        let written = Pin::new(&mut guard.socket).poll_write_vectored(cx, bufs);
        guard.timed(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    /// hyper flushes when it has nothing left to write.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        guard.taken_all();
        Pin::new(&mut guard.socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let guard = self.get_mut();
        loop {
            guard.farewell = match guard.farewell {
                Farewell::Words if guard.parting.has_remaining() => {
                    let written = Pin::new(&mut guard.socket).poll_write(cx, &guard.parting);
                    let bytes = ready!(guard.timed(cx, written))?;
                    if bytes == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    guard.parting.advance(bytes);
                    Farewell::Words
                }
                Farewell::Words => Farewell::Close,
                Farewell::Close => {
                    ready!(Pin::new(&mut guard.socket).poll_shutdown(cx))?;
                    Farewell::Linger { left: LINGER_BYTES }
                }
                Farewell::Linger { left } => ready!(guard.poll_linger(cx, left)),
                Farewell::Done => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Guard<S> {
    /// Throws away what the client still sends: closing over unread bytes resets the
    /// connection, and the reset may overtake our last answer.
    fn poll_linger(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<Farewell> {
        let mut scratch = [0; 4096];
        let mut buf = ReadBuf::new(&mut scratch);
        let is_more_to_come = self.is_over || !self.framing.is_in_head() || left < LINGER_BYTES;
        match Pin::new(&mut self.socket).poll_read(cx, &mut buf) {
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                let left = left.saturating_sub(buf.filled().len());
                Poll::Ready(if left == 0 { Farewell::Done } else { Farewell::Linger { left } })
            }
            Poll::Ready(_) => Poll::Ready(Farewell::Done),
            Poll::Pending if is_more_to_come => {
                ready!(self.poll_elapsed(Awaited::End, cx));
                Poll::Ready(Farewell::Done)
            }
            Poll::Pending => Poll::Ready(Farewell::Done),
        }
    }
}

/// One clock, started when something is first waited for; its allocation is kept.
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
    /// Ready `within` after the first call for `what`; a call for something else starts anew.
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
