//! A full disk: nothing is acknowledged that is not stored, and work continues once there is space.

use crate::harness::world::*;
use domain::{Reason, State};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use store::{Fault, Store, TakeOver};

/// A filesystem of a few MiB in memory; gone when it is dropped.
struct SmallDisk {
    at: PathBuf,
    _below: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount() -> Option<SmallDisk> {
        let below = tempfile::tempdir().unwrap();
        let at = below.path().join("disk");
        fs::create_dir(&at).unwrap();
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "none"]).arg(&at).output();
        let is_mounted = mount.is_ok_and(|output| output.status.success());
        is_mounted.then_some(SmallDisk { at, _below: below })
    }

    /// Fills the disk up to `leave` free bytes.
    fn fill(&self, leave: u64) -> PathBuf {
        let path = self.at.join("filler");
        let mut file = File::create(&path).unwrap();
        let block = [0_u8; 1024];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(leave)).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.at.display()
        );
    }
}

fn open_on(disk: &Path) -> Store {
    Store::open(&disk.join("data")).unwrap()
}

/// Waits until the store says that it can write.
async fn healthy(store: &Store) {
    let started = tokio::time::Instant::now();
    while let Err(fault) = store.ping() {
        assert!(started.elapsed().as_secs() < 10, "it does not recover: {fault}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
async fn a_full_disk_refuses_and_recovers() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("SKIPPED: this user may not mount a tmpfs");
        return;
    };
    // Several amounts of free space: the disk runs full in the WAL, in its index, in the database.
    let mut booked = 0;
    for round in 0..12_u64 {
        let store = open_on(&disk.at);
        if round == 0 {
            open_accounts(&store, 1).await;
            booked += deposit(&store, 2, 100 * TOTAL, "in").await;
        }
        let filler = disk.fill(round * 5_000);
        let mut acknowledged = booked;
        let mut refused = 0;
        for n in 0..400 {
            let deposit = fund(Reason::Deposit, 2, 1, &format!("{round} {n}"));
            match store.write(deposit).await {
                Ok(Ok(available_after)) => {
                    acknowledged += 1;
                    assert_eq!(available_after, acknowledged);
                }
                Err(Fault::DiskFull(_)) => refused += 1,
                other => panic!("round {round}, write {n}: {other:?}"),
            }
            if refused == 5 {
                break;
            }
        }
        assert_eq!(refused, 5, "round {round}: the disk did not run full");
        // Reads still work and see what was acknowledged.
        assert_eq!(wallet(&store, 2).0, acknowledged);
        assert!(matches!(store.ping(), Err(Fault::DiskFull(_))), "{:?}", store.ping());
        fs::remove_file(filler).unwrap();
        if round % 4 == 1 {
            // Without anybody who writes, too.
            healthy(&store).await;
        }
        let answer = store.write(fund(Reason::Deposit, 2, 1, &format!("{round} after"))).await;
        assert_eq!(answer.unwrap(), Ok(acknowledged + 1), "round {round}");
        store.ping().unwrap();
        booked = acknowledged + 1;
        assert_sound(&store);
        drop(store);
        assert_eq!(wallet(&open_on(&disk.at), 2).0, booked);
    }
    let store = open_on(&disk.at);
    let sent = store.write(open(purchase(2, 1, State::Sent))).await.unwrap();
    assert_eq!(sent, Ok(booked - TOTAL));
    store.commit(TakeOver { dead: Vec::new(), is_start: false, now: NOW }).await.unwrap();
    assert_sound(&store);
}
