//! Passwords as Argon2id, a bounded number at a time.
//!
//! A hash costs 19 MiB and tens of milliseconds on purpose. Two at a time leave the ledger its
//! cores, and a flood is refused, not queued (RELIABILITY K7). Whoever can show that they are no
//! stranger has places in the queue that a flood does not take. Invariant: a slot is free only when
//! its thread has finished hashing, even if the client has disconnected.
//!
//! A password is hashed as RFC 8265 (OpaqueString) prepares it, so that one that is composed
//! otherwise on another keyboard is the same.

use crate::limits;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use domain::Random;
use domain::refusal::{BusyRefused, TooFast, Unavailable};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::{Semaphore, oneshot};
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// OWASP's password storage cheat sheet, Argon2id: m=19 MiB, t=2, p=1.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// Verified against when there is no login: it costs as much as a real hash, and no password hashes
/// to it.
const NO_LOGIN: &str = concat!(
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

/// The result of verifying a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    Right {
        /// Hashed with other parameters than the current ones, or as it was typed.
        is_stale: bool,
    },
    Wrong,
}

/// The password that was meant: other spaces than the ASCII one become that one, and characters are
/// composed (RFC 8265, 4.2.2; case and width stay).
pub(super) fn prepared(password: &str) -> Cow<'_, str> {
    // Of these, White_Space has more than Unicode's spaces (Zs): line breaks and the tab stay.
    let is_other_space = |c: char| {
        c.is_whitespace() && !c.is_control() && c != ' ' && !matches!(c, '\u{2028}' | '\u{2029}')
    };
    if !password.contains(is_other_space) && is_nfc(password) {
        return Cow::Borrowed(password);
    }
    let spaced = password.chars().map(|c| if is_other_space(c) { ' ' } else { c });
    Cow::Owned(spaced.nfc().collect())
}

/// Whose places in the queue a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueShare {
    /// Of a known device of the login, or of a session.
    Known,
    /// Of everybody else.
    Unknown,
}

/// Hashes and verifies, two at a time.
pub(crate) struct Hasher {
    /// Requests that hash or wait for a slot, of each share.
    known: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
    /// In the order of their arrival, whatever the share.
    slots: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Hasher {
        let unknown = limits::HASHES_AT_ONCE + limits::HASHES_WAITING;
        Hasher {
            known: Arc::new(Semaphore::new(limits::HASHES_OF_KNOWN)),
            unknown: Arc::new(Semaphore::new(unknown)),
            slots: Arc::new(Semaphore::new(limits::HASHES_AT_ONCE)),
        }
    }

    /// Hashes with a new salt, into a PHC string. Refuses with `TooFast` when too many wait.
    pub(super) async fn hash(
        &self,
        password: &str,
        random: &dyn Random,
    ) -> Result<String, BusyRefused> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt).map_err(|_| Unavailable { retry_after_s: 5 })?;
        let password = password.to_owned();
        let hash = move || {
            let argon2 = argon2()?;
            let password = prepared(&password);
            let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt).ok()?;
            Some(hash.to_string())
        };
        Ok(self.run(QueueShare::Unknown, hash).await?.ok_or(Unavailable { retry_after_s: 5 })?)
    }

    /// Verifies against a stored hash. Without one it takes the same time, and the answer is
    /// `Wrong`.
    pub(super) async fn verify(
        &self,
        share: QueueShare,
        password: &str,
        stored: Option<&str>,
    ) -> Result<PasswordCheck, BusyRefused> {
        let password = password.to_owned();
        let stored = stored.unwrap_or(NO_LOGIN).to_owned();
        self.run(share, move || check(&password, &stored)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        share: QueueShare,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BusyRefused> {
        let full = |_| TooFast { retry_after_s: limits::HASHES_FULL_RETRY_S };
        let queue = match share {
            QueueShare::Known => &self.known,
            QueueShare::Unknown => &self.unknown,
        };
        let queued = queue.clone().try_acquire_owned().map_err(full)?;
        let broken = Unavailable { retry_after_s: 5 };
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| broken.clone())?;
        let (done, is_done) = oneshot::channel();
        // A thread of its own, because its priority cannot be raised again.
        let hash = move || {
            give_way();
            // The client may have disconnected.
            let _ = done.send(work());
            drop((slot, queued));
        };
        let thread = std::thread::Builder::new().name("hash".to_owned()).spawn(hash);
        thread.map_err(|_| broken.clone())?;
        Ok(is_done.await.map_err(|_| broken)?)
    }
}

/// Gives this thread a tenth of the share that others have in a core, if both want it: who buys
/// does not wait for who logs in.
fn give_way() {
    // Where it is not possible, hashing is as urgent as everything else.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, 10);
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn check(password: &str, stored: &str) -> PasswordCheck {
    let Ok(hash) = PasswordHash::new(stored) else {
        tracing::error!("a stored password hash cannot be read");
        return PasswordCheck::Wrong;
    };
    let is = |password: &str| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok();
    let meant = prepared(password);
    if !is(&meant) {
        // Older hashes are of what was typed, to the byte.
        let is_as_typed = meant != password && is(password);
        return if is_as_typed {
            PasswordCheck::Right { is_stale: true }
        } else {
            PasswordCheck::Wrong
        };
    }
    let is_current = Params::try_from(&hash)
        .is_ok_and(|p| (p.m_cost(), p.t_cost(), p.p_cost()) == (MEMORY_KIB, PASSES, LANES));
    let is_stale = !is_current || !stored.starts_with("$argon2id$v=19$");
    PasswordCheck::Right { is_stale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::NoRandom;
    use std::sync::mpsc;

    struct Same;

    impl Random for Same {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            bytes.fill(5);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_password_is_verified_and_an_old_hash_is_stale() {
        let hasher = Hasher::new();
        let hash = hasher.hash("a fine one", &Same).await.unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BQUFBQUFBQUFBQUFBQUFBQ$"),
            "{hash}"
        );
        let verify = async |password, stored| {
            hasher.verify(QueueShare::Unknown, password, stored).await.unwrap()
        };
        assert_eq!(
            verify("a fine one", Some(&hash)).await,
            PasswordCheck::Right { is_stale: false }
        );
        assert_eq!(verify("another", Some(&hash)).await, PasswordCheck::Wrong);
        assert_eq!(verify("a fine one", None).await, PasswordCheck::Wrong);
        assert_eq!(verify("a fine one", Some("no hash")).await, PasswordCheck::Wrong);
        assert!(PasswordHash::new(NO_LOGIN).is_ok());
        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let weak = weak.hash_password_with_salt(b"a fine one", &[1; 16]).unwrap().to_string();
        assert_eq!(
            verify("a fine one", Some(&weak)).await,
            PasswordCheck::Right { is_stale: true }
        );
    }

    /// What looks the same is the same, and an older hash of the bytes still is.
    #[tokio::test]
    async fn a_password_is_the_same_however_it_is_composed() {
        let hasher = Hasher::new();
        for (one, other) in [
            ("P\u{e2}t\u{e9} de campagne", "Pa\u{302}te\u{301} de campagne"),
            ("\u{9ac}\u{9af}\u{9bc}\u{9b8} 12345", "\u{9ac}\u{9df}\u{9b8} 12345"),
            ("a fine one", "a\u{a0}fine\u{3000}one"),
        ] {
            let hash = hasher.hash(one, &Same).await.unwrap();
            let right = PasswordCheck::Right { is_stale: false };
            for typed in [one, other] {
                let check = hasher.verify(QueueShare::Unknown, typed, Some(&hash)).await;
                assert_eq!(check, Ok(right), "{typed}");
            }
            let older = argon2().unwrap();
            let older = older.hash_password_with_salt(other.as_bytes(), &[1; 16]).unwrap();
            let check = hasher.verify(QueueShare::Unknown, other, Some(&older.to_string())).await;
            let is_stale = prepared(other) != other;
            assert_eq!(check, Ok(PasswordCheck::Right { is_stale }), "{other}");
        }
        for (one, other) in [("Password one", "password one"), ("line\none", "line one")] {
            let hash = hasher.hash(one, &Same).await.unwrap();
            let check = hasher.verify(QueueShare::Unknown, other, Some(&hash)).await;
            assert_eq!(check, Ok(PasswordCheck::Wrong), "{other}");
        }
    }

    /// Two hash, twenty wait, the next is refused. A client that disconnects frees its place in the
    /// queue, but not the slot of a thread that still hashes.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_queue_is_bounded() {
        let hasher = Arc::new(Hasher::new());
        let (go, gate) = mpsc::channel::<()>();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let mut tasks = Vec::new();
        for _ in 0..22 {
            let (hasher, gate) = (hasher.clone(), gate.clone());
            tasks.push(tokio::spawn(async move {
                let wait = move || gate.lock().unwrap().recv().unwrap();
                hasher.run(QueueShare::Unknown, wait).await
            }));
        }
        while hasher.unknown.available_permits() > 0 || hasher.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = BusyRefused::from(TooFast { retry_after_s: limits::HASHES_FULL_RETRY_S });
        let verify = async |share| hasher.verify(share, "x", None).await;
        assert_eq!(verify(QueueShare::Unknown).await, Err(refused.clone()));
        // A flood of strangers leaves the others their places, and they are bounded too.
        let known: Vec<_> = (0..limits::HASHES_OF_KNOWN)
            .map(|_| {
                let hasher = hasher.clone();
                tokio::spawn(async move { hasher.verify(QueueShare::Known, "x", None).await })
            })
            .collect();
        while hasher.known.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(verify(QueueShare::Known).await, Err(refused));
        tasks.pop().unwrap().abort();
        while hasher.unknown.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        for task in &tasks {
            task.abort();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(hasher.slots.available_permits(), 0, "two threads still hash");
        go.send(()).unwrap();
        go.send(()).unwrap();
        while hasher.unknown.available_permits() < 22 {
            tokio::task::yield_now().await;
        }
        assert_eq!(verify(QueueShare::Unknown).await, Ok(PasswordCheck::Wrong));
        for one in known {
            assert_eq!(one.await.unwrap(), Ok(PasswordCheck::Wrong));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_hash_gives_way_and_nothing_else_does() {
        let hasher = Hasher::new();
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        assert_eq!(hasher.run(QueueShare::Unknown, nice).await, Ok(10));
        assert_eq!(nice(), before);
    }
}
