//! The one place that writes to the terminal.
//!
//! Answers go to standard output, as text or as JSON; remarks go to standard error. Whatever is
//! printed as text loses its control characters first: names and reasons come from agents, and
//! an agent must not be able to move the reader's cursor or reverse the reader's text.

use std::{
    fmt,
    io::{self, IsTerminal as _, Write as _},
};

use serde::Serialize;

/// The form of answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document, or one a line where answers keep coming.
    Json,
}

/// Writes answers and remarks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    output: Output,
}

impl Printer {
    /// A printer of answers in this form.
    pub(crate) const fn new(output: Output) -> Self {
        Self { output }
    }

    /// The form of answers.
    pub(crate) const fn output(self) -> Output {
        self.output
    }

    /// Prints the answer of a command: as JSON, or what `text` makes of it.
    ///
    /// # Errors
    ///
    /// Whatever standard output answers, `BrokenPipe` included.
    pub(crate) fn answer<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self.output {
            Output::Text => self.raw(&printable(&text(value))),
            Output::Json => self.raw(&serde_json::to_string_pretty(value)?),
        }
    }

    /// Prints one of many answers: as a line of JSON, or what `text` makes of it.
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub(crate) fn item<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> io::Result<()> {
        match self.output {
            Output::Text => self.raw(&printable(&text(value))),
            Output::Json => self.raw(&serde_json::to_string(value)?),
        }
    }

    /// Prints text that this program wrote itself, as it is.
    ///
    /// # Errors
    ///
    /// As [`Self::answer`].
    pub(crate) fn raw(self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.is_empty() && !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    /// Prints a remark, which is not part of the answer.
    pub(crate) fn note(self, line: &str) {
        // A remark that nobody can read is no reason to stop.
        let _gone = writeln!(io::stderr(), "{}", printable(line));
    }

    /// Prints why the program did not do what it was asked, with every cause.
    pub(crate) fn error(self, error: &anyhow::Error) {
        let mut causes = error.chain().map(ToString::to_string);
        let message = causes.next().unwrap_or_default();
        let causes: Vec<String> = causes.collect();
        match self.output {
            Output::Text => {
                self.note(&format!("error: {message}"));
                for cause in causes {
                    self.note(&format!("  because: {cause}"));
                }
            }
            Output::Json => {
                let body = serde_json::json!({ "error": message, "causes": causes });
                self.note(&body.to_string());
            }
        }
    }

    /// A progress bar over `total` steps, on standard error; hidden where nobody watches.
    pub(crate) fn progress(self, total: u64) -> indicatif::ProgressBar {
        if self.output == Output::Json || !io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        indicatif::ProgressBar::new(total)
    }
}

/// The text without characters that move the cursor or reorder the line.
///
/// Line breaks stay. Source of the reordering characters: Unicode UAX #9, the explicit
/// formatting characters.
fn printable(text: &str) -> String {
    let replaced = |one: char| match one {
        '\n' => one,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {
            '\u{fffd}'
        }
        _ if one.is_control() => '\u{fffd}',
        _ => one,
    };
    text.chars().map(replaced).collect()
}

/// Rows under headings, aligned.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings and no rows yet.
    pub(crate) fn new<const N: usize>(headings: [&str; N]) -> Self {
        Self { rows: vec![headings.map(str::to_owned).to_vec()] }
    }

    /// Adds a row; an empty cell shows as a dash.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let shown = |cell: &str| if cell.is_empty() { "-".to_owned() } else { cell.to_owned() };
        self.rows.push(cells.map(shown).to_vec());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut widths: Vec<usize> = Vec::new();
        for row in &self.rows {
            for (column, cell) in row.iter().enumerate() {
                let width = cell.chars().count();
                match widths.get_mut(column) {
                    Some(widest) => *widest = width.max(*widest),
                    None => widths.push(width),
                }
            }
        }
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// `name: value` lines, aligned; lines without a value are left out.
pub(crate) fn fields<const N: usize>(pairs: [(&str, Option<&str>); N]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or(0).saturating_add(1);
    let lines = pairs.into_iter().filter_map(|(name, value)| {
        value.map(|value| format!("{:width$} {value}\n", format!("{name}:")))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::{Table, fields, printable};

    #[test]
    fn an_agent_cannot_steer_the_terminal() {
        for (text, want) in [
            ("plain\nlines", "plain\nlines"),
            ("\u{1b}[2Jgone", "\u{fffd}[2Jgone"), // clears the screen
            ("a\rb", "a\u{fffd}b"),               // overwrites the line
            ("a\u{202e}b", "a\u{fffd}b"),         // reverses the line
            ("\u{9b}31m", "\u{fffd}31m"),         // the one-byte form of ESC [
            ("naïve €", "naïve €"),
        ] {
            assert_eq!(printable(text), want, "text = {text:?}");
        }
    }

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(["NAME", "PROJECT"]);
        table.row(["invoice-bot", "finance"]);
        table.row(["a", ""]);
        let want = "NAME         PROJECT\ninvoice-bot  finance\na            -\n";
        assert_eq!(table.to_string(), want);
        let lines = fields([("id", Some("1")), ("gone", None), ("agent", Some("x"))]);
        assert_eq!(lines, "id:    1\nagent: x\n");
    }
}
