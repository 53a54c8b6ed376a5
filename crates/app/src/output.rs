//! The output of a command: data for stdout, messages for stderr.
//!
//! It is collected first and printed at the end, because a server may run the command for another
//! process, which then prints it.

use std::fmt::{Display, Write as _};

/// The collected output. The reply on the control socket contains it too; the names of its fields
/// there stay.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Output {
    data: String,
    #[serde(rename = "words")]
    messages: String,
}

impl Output {
    /// Adds a line of data, which a program may read.
    pub(crate) fn line(&mut self, line: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.data, "{line}");
    }

    /// Adds a line of data as the caller asked: the JSON, or the text for people.
    pub(crate) fn row(&mut self, is_json: bool, json: impl Display, text: impl Display) {
        match is_json {
            true => self.line(json),
            false => self.line(text),
        }
    }

    /// Adds a line for people.
    pub(crate) fn say(&mut self, line: impl Display) {
        let _ = writeln!(self.messages, "{line}");
    }

    /// Prints the data, then the messages.
    #[expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]
    pub(crate) fn print(&self) {
        print!("{}", self.data);
        eprint!("{}", self.messages);
    }
}
