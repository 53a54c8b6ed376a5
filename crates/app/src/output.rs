//! What a command says: data to stdout, words to stderr. Gathered first, so that a command can be
//! run by a server on another process's behalf.

use std::fmt::Write as _;

/// What a command wants to say.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Output {
    data: String,
    words: String,
}

impl Output {
    /// A line of data.
    pub(crate) fn line(&mut self, line: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.data, "{line}");
    }

    /// A line for people.
    pub(crate) fn say(&mut self, line: impl std::fmt::Display) {
        let _ = writeln!(self.words, "{line}");
    }

    /// Prints everything.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is where a command speaks")]
    pub(crate) fn print(&self) {
        print!("{}", self.data);
        eprint!("{}", self.words);
    }
}
