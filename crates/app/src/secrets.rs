//! The master key, which everything secret is derived from or sealed with.
//!
//! Lost with its file: every webhook secret, session and sealed token. `saldo backup` takes it along.

use anyhow::{Context as _, anyhow};
use domain::clock::Random as _;
use ring::hmac;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use crate::clock::MachineRandom;

/// Its file in the data folder.
pub(crate) const MASTER_KEY_FILE: &str = "master.key";

/// 256 random bits that everything secret is derived from.
pub(crate) struct MasterKey([u8; 32]);

impl MasterKey {
    /// Reads the data folder's, or makes it.
    pub(crate) fn of(data_dir: &Path) -> anyhow::Result<MasterKey> {
        let path = data_dir.join(MASTER_KEY_FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut bytes = [0; 32];
                MachineRandom::new()
                    .fill(&mut bytes)
                    .map_err(|_| anyhow!("the operating system gives no random numbers"))?;
                write_private(&path, &bytes)?;
                bytes.to_vec()
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", path.display()));
            }
        };
        let bytes = bytes.try_into().map_err(|_| {
            anyhow!("{} is not a master key (32 bytes); restore it from a backup", path.display())
        })?;
        Ok(MasterKey(bytes))
    }

    /// What the simulator signs its callbacks with.
    pub(crate) fn simulator_secret(&self) -> [u8; 32] {
        let root = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&root, b"simulator callbacks").as_ref());
        secret
    }

    /// What the engine derives its own secrets from.
    pub(crate) fn vault(&self) -> engine::Vault {
        engine::Vault::new(&self.0)
    }
}

/// Writes a file that only its owner may read: whole, or not at all.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || -> std::io::Result<()> {
        let mut file = options.open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}
