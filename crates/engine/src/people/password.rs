//! Passwords as Argon2id, a bounded number at a time.
//!
//! A hash costs 19 MiB and tens of milliseconds on purpose; two at a time leave the ledger its
//! cores, and a flood is refused, not queued (RELIABILITY K7). Invariant: a seat is free only when
//! the thread that hashes is, whatever became of the asker.

use crate::limits;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use domain::clock::Random;
use domain::refusal::Refusal;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// OWASP's password storage cheat sheet, Argon2id: m=19 MiB, t=2, p=1.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;

/// Verified when there is no login: costs what a real one costs, and nothing hashes to it.
const NOBODYS: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A password's hash, as a PHC string.
pub(crate) struct Hashed(pub(crate) String);

/// What verifying found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordCheck {
    Right {
        /// Hashed with other parameters than today's.
        is_stale: bool,
    },
    Wrong,
}

/// Hashes and verifies, two at a time.
pub(crate) struct Hasher {
    line: Arc<Semaphore>,
    slots: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Hasher {
        let line = limits::HASHES_AT_ONCE + limits::HASHES_WAITING;
        Hasher {
            line: Arc::new(Semaphore::new(line)),
            slots: Arc::new(Semaphore::new(limits::HASHES_AT_ONCE)),
        }
    }

    /// Hashes with a fresh salt. Refuses with `TooFast` when too many wait.
    pub(super) async fn hash(
        &self,
        password: &str,
        random: &dyn Random,
    ) -> Result<Hashed, Refusal> {
        let mut salt = [0; SALT_BYTES];
        random.fill(&mut salt).map_err(|_| Refusal::Unavailable { retry_after_s: 5 })?;
        let password = password.to_owned();
        let hash = move || {
            let argon2 = argon2()?;
            let hash = argon2.hash_password_with_salt(password.as_bytes(), &salt).ok()?;
            Some(Hashed(hash.to_string()))
        };
        self.run(hash).await?.ok_or(Refusal::Unavailable { retry_after_s: 5 })
    }

    /// Verifies against a stored hash; against nobody's if there is none, in the same time.
    pub(super) async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<PasswordCheck, Refusal> {
        let password = password.to_owned();
        let stored = stored.unwrap_or(NOBODYS).to_owned();
        self.run(move || verdict(&password, &stored)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Refusal> {
        let full = |_| Refusal::TooFast { retry_after_s: limits::HASHES_FULL_RETRY_S };
        let place = self.line.clone().try_acquire_owned().map_err(full)?;
        let broken = Refusal::Unavailable { retry_after_s: 5 };
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| broken.clone())?;
        let hashing = tokio::task::spawn_blocking(move || {
            let done = work();
            drop((slot, place));
            done
        });
        hashing.await.map_err(|_| broken)
    }
}

fn argon2() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn verdict(password: &str, stored: &str) -> PasswordCheck {
    let Ok(hash) = PasswordHash::new(stored) else {
        tracing::error!("a stored password hash cannot be read");
        return PasswordCheck::Wrong;
    };
    if Argon2::default().verify_password(password.as_bytes(), &hash).is_err() {
        return PasswordCheck::Wrong;
    }
    let is_today = Params::try_from(&hash)
        .is_ok_and(|p| (p.m_cost(), p.t_cost(), p.p_cost()) == (MEMORY_KIB, PASSES, LANES));
    let is_stale = !is_today || !stored.starts_with("$argon2id$v=19$");
    PasswordCheck::Right { is_stale }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::clock::NoRandom;
    use std::sync::mpsc;

    struct Same;

    impl Random for Same {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
            bytes.fill(5);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_password_is_verified_and_an_old_hash_is_noticed() {
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
        assert!(PasswordHash::new(NOBODYS).is_ok());
        let weak =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let weak = weak.hash_password_with_salt(b"a fine one", &[1; 16]).unwrap().to_string();
        assert_eq!(
            verify("a fine one", Some(&weak)).await,
            PasswordCheck::Right { is_stale: true }
        );
    }

    /// Two work, twenty wait, the next is refused; whoever hangs up frees its place in the line but
    /// not the seat of a thread that still works.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_line_is_bounded() {
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
        while hasher.line.available_permits() > 0 || hasher.slots.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = Refusal::TooFast { retry_after_s: limits::HASHES_FULL_RETRY_S };
        assert_eq!(hasher.verify("x", None).await, Err(refused));
        tasks.pop().unwrap().abort();
        while hasher.line.available_permits() == 0 {
            tokio::task::yield_now().await;
        }
        for task in &tasks {
            task.abort();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(hasher.slots.available_permits(), 0, "two threads are still at it");
        go.send(()).unwrap();
        go.send(()).unwrap();
        while hasher.line.available_permits() < 22 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hasher.verify("x", None).await, Ok(PasswordCheck::Wrong));
    }
}
