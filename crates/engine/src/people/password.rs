//! Passwords as Argon2id, a bounded number at a time.
//!
//! A hash costs 19 MiB and tens of milliseconds on purpose. Two at a time leave the ledger its
//! cores, and a flood is refused, not queued (RELIABILITY K7). Invariant: a slot is free only when
//! its thread has finished hashing, even if the client has disconnected.

use crate::limits;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use domain::Random;
use domain::refusal::{BusyRefused, TooFast, Unavailable};
use std::sync::Arc;
use tokio::sync::Semaphore;

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

/// A password's hash, as a PHC string.
pub(crate) struct Hashed(pub(crate) String);

/// The result of verifying a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    Right {
        /// Hashed with other parameters than the current ones.
        is_stale: bool,
    },
    Wrong,
}

/// Hashes and verifies, two at a time.
pub(crate) struct Hasher {
    /// Requests that hash or wait for a slot.
    queue: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Hasher {
        let queue = limits::HASHES_AT_ONCE + limits::HASHES_WAITING;
        Hasher {
            queue: Arc::new(Semaphore::new(queue)),
            slots: Arc::new(Semaphore::new(limits::HASHES_AT_ONCE)),
        }
    }

    /// Hashes with a new salt. Refuses with `TooFast` when too many wait.
    pub(super) async fn hash(
        &self,
        password: &str,
        random: &dyn Random,
    ) -> Result<Hashed, BusyRefused> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt).map_err(|_| Unavailable { retry_after_s: 5 })?;
        let password = password.to_owned();
        let hash = move || {
            let argon2 = argon2()?;
            let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt).ok()?;
            Some(Hashed(hash.to_string()))
        };
        Ok(self.run(hash).await?.ok_or(Unavailable { retry_after_s: 5 })?)
    }

    /// Verifies against a stored hash. Without one it takes the same time, and the answer is
    /// `Wrong`.
    pub(super) async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<PasswordCheck, BusyRefused> {
        let password = password.to_owned();
        let stored = stored.unwrap_or(NO_LOGIN).to_owned();
        self.run(move || check(&password, &stored)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BusyRefused> {
        let full = |_| TooFast { retry_after_s: limits::HASHES_FULL_RETRY_S };
        let queued = self.queue.clone().try_acquire_owned().map_err(full)?;
        let broken = Unavailable { retry_after_s: 5 };
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| broken.clone())?;
        let hashing = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((slot, queued));
            done
        });
        Ok(hashing.await.map_err(|_| broken)?)
    }
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
    if Argon2::default().verify_password(password.as_bytes(), &hash).is_err() {
        return PasswordCheck::Wrong;
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
        let hash = hasher.hash("a fine one", &Same).await.unwrap().0;
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$BQUFBQUFBQUFBQUFBQUFBQ$"),
            "{hash}"
        );
        let verify = async |password, stored| hasher.verify(password, stored).await.unwrap();
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
                hasher.run(move || gate.lock().unwrap().recv().unwrap()).await
            }));
        }
        while hasher.queue.available_permits() > 0 || hasher.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = TooFast { retry_after_s: limits::HASHES_FULL_RETRY_S }.into();
        assert_eq!(hasher.verify("x", None).await, Err(refused));
        tasks.pop().unwrap().abort();
        while hasher.queue.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        for task in &tasks {
            task.abort();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(hasher.slots.available_permits(), 0, "two threads still hash");
        go.send(()).unwrap();
        go.send(()).unwrap();
        while hasher.queue.available_permits() < 22 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.verify("x", None).await, Ok(PasswordCheck::Wrong));
    }
}
