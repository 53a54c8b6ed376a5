//! The master key: all secrets are derived from it or sealed with it.
//!
//! Without its file all webhook secrets, sessions and sealed tokens are lost; `saldo backup` copies
//! it.

use crate::clock::MachineRandom;
use crate::files::{cannot, write_private};
use anyhow::{Context as _, anyhow};
use domain::Random as _;
use ring::hmac;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The file of the master key in the data folder.
pub(crate) const MASTER_KEY_FILE: &str = "master.key";

/// 256 random bits.
pub(crate) struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads the master key of the data folder. Refuses one that every user of the machine may
    /// read or write. Without one it is created, unless the data was sealed with one already.
    pub(crate) fn of(data_dir: &Path, is_data_sealed: bool) -> anyhow::Result<MasterKey> {
        let path = data_dir.join(MASTER_KEY_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => {
                let mode = fs::metadata(&path).with_context(cannot(&path, "be read"))?.mode();
                anyhow::ensure!(
                    mode & 0o007 == 0,
                    "{} is open to every user of this machine; if nobody has read it, close it: \
                     chmod 600 {0}",
                    path.display()
                );
                bytes
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                anyhow::ensure!(
                    !is_data_sealed,
                    "{} is missing, and this data was sealed with it; put it back from a backup \
                     or another node",
                    path.display()
                );
                let mut bytes = [0; 32];
                MachineRandom::new()
                    .fill(&mut bytes)
                    .map_err(|_| anyhow!("the operating system gives no random numbers"))?;
                write_private(&path, &bytes)?;
                bytes.to_vec()
            }
            Err(error) => return Err(error).with_context(cannot(&path, "be read")),
        };
        let bytes = bytes.try_into().map_err(|_| {
            anyhow!("{} is not a master key (32 bytes); restore it from a backup", path.display())
        })?;
        Ok(MasterKey(bytes))
    }

    /// The key with which the simulator signs its callbacks.
    pub(crate) fn simulator_secret(&self) -> [u8; 32] {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&root, b"simulator callbacks").as_ref());
        secret
    }

    /// The vault from which the engine derives its secrets.
    pub(crate) fn vault(&self) -> engine::Vault {
        engine::Vault::new(&self.0)
    }
}
