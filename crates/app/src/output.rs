//! The output of a command: data for stdout, messages for stderr.
//!
//! It is collected first and printed at the end, because a server may run the command for another
//! process, which then prints it. Invariant: a line is one line, and a terminal obeys nothing in
//! it, whatever text from outside it repeats.

use crate::log::{self, escaped};
use std::fmt::{Display, Write as _};
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

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
        let _ = writeln!(self.data, "{}", escaped(&line.to_string()));
    }

    /// Adds lines of data: a file that is printed.
    pub(crate) fn lines(&mut self, text: &str) {
        text.lines().for_each(|line| self.line(line));
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
        let _ = writeln!(self.messages, "{}", escaped(&line.to_string()));
    }

    /// Adds lines for people that are our own text, or what the caller has typed.
    pub(crate) fn say_lines(&mut self, lines: impl Display) {
        lines.to_string().lines().for_each(|line| self.say(line));
    }

    /// Adds an error: each of its lines, those after the first indented, so that none that repeats
    /// text from outside looks like ours.
    pub(crate) fn say_error(&mut self, error: &anyhow::Error) {
        let text = format!("{error:#}");
        for (n, line) in text.lines().enumerate() {
            self.say(if n == 0 { line.to_owned() } else { format!("  {line}") });
        }
    }

    /// Prints the data, then the messages. Gives the command's exit code, or 1 if its data could
    /// not be written. A reader that goes away early has what it wanted.
    pub(crate) fn print(&self, exit: u8) -> ExitCode {
        let mut stdout = std::io::stdout();
        let printed = stdout.write_all(self.data.as_bytes()).and_then(|()| stdout.flush());
        let mut stderr = std::io::stderr();
        // Without stderr there is nobody to say so to.
        let _ = stderr.write_all(self.messages.as_bytes());
        match printed {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let _ = writeln!(stderr, "saldo: the output could not be written: {error}");
                ExitCode::from(1)
            }
            Ok(()) | Err(_) => ExitCode::from(exit),
        }
    }

    /// Prints the messages without waiting for who reads them, as a serving process must.
    pub(crate) fn print_from_server(&self) {
        log::print(&self.messages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_several_lines_is_lines_and_no_terminal_obeys_it() {
        let mut output = Output::default();
        output.say_error(&anyhow::anyhow!("first\n  | name = \u{1b}[31m\nlast\r"));
        assert_eq!(output.messages, "first\n    | name = \\u001b[31m\n  last\\r\n");
    }
}
