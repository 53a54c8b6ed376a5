//! The files that a verb names, read by the process that was started with its arguments.
//!
//! A server runs verbs for others. It never opens what they name: a pipe would hold it up, and
//! `/dev/stdin` is its own. Invariant: no file is read further than its bound, whatever it is; no
//! error and no `Debug` output shows what it contains.

use crate::files::cannot;
use anyhow::{Context as _, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// A secret or a file of settings is not larger.
pub(crate) const SETTINGS_BYTES_MAX: u64 = 64 * 1024;
/// A catalog or a file of cases is not larger: some thousand rows.
pub(crate) const ROWS_BYTES_MAX: u64 = 1024 * 1024;

/// A file that the arguments of a verb name.
pub(crate) struct NamedFile {
    pub(crate) path: PathBuf,
    pub(crate) bytes_max: u64,
}

/// Their texts, by the paths in the arguments.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct GivenFiles(BTreeMap<String, String>);

impl GivenFiles {
    /// Reads them, each once. Waits as long as it takes to read a pipe.
    pub(crate) fn read(named: &[NamedFile]) -> Result<GivenFiles> {
        let mut given = GivenFiles::default();
        for NamedFile { path, bytes_max } in named {
            if let Entry::Vacant(entry) = given.0.entry(path.to_string_lossy().into_owned()) {
                entry.insert(read_text(path, *bytes_max)?);
            }
        }
        Ok(given)
    }

    /// The text of a file that the arguments name.
    pub(crate) fn text(&self, path: &Path) -> Result<&str> {
        let text = self.0.get(path.to_string_lossy().as_ref()).map(String::as_str);
        text.ok_or_else(|| {
            anyhow!("{} was not sent: this program and the server differ", path.display())
        })
    }
}

/// The text of a file, a pipe or a device; refused beyond `bytes_max`, and if it is no text.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String> {
    let mut bytes = Vec::new();
    let file = File::open(path).with_context(cannot(path, "be read"))?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).with_context(cannot(path, "be read"))?;
    let is_bounded = u64::try_from(bytes.len()).is_ok_and(|length| length <= bytes_max);
    ensure!(is_bounded, "{} is too large: at most {} KiB", path.display(), bytes_max / 1024);
    String::from_utf8(bytes).map_err(|_| anyhow!("{} is no text", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_file_is_refused() {
        let refused = read_text(Path::new("/dev/zero"), 1024).unwrap_err().to_string();
        assert_eq!(refused, "/dev/zero is too large: at most 1 KiB");
        assert_eq!(read_text(Path::new("/dev/null"), 1024).unwrap(), "");
    }

    #[test]
    fn what_a_file_contains_is_in_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, b"very\xffsecret").unwrap();
        let refused = format!("{:#}", read_text(&path, 1024).unwrap_err());
        assert!(refused.ends_with("secret is no text") && !refused.contains("very"), "{refused}");
        std::fs::write(&path, "very secret").unwrap();
        let refused = format!("{:#}", read_text(&path, 5).unwrap_err());
        assert!(refused.contains("too large") && !refused.contains("very"), "{refused}");
    }

    #[test]
    fn a_file_that_was_not_read_is_not_opened_later() {
        let refused = GivenFiles::default().text(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(refused.contains("was not sent"), "{refused}");
    }
}
