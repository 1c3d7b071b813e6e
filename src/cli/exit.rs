//! Exit codes, and the errors that lead to them.

use std::fmt::Write;
use std::process::ExitCode;

/// What the process ends with. Scripts rely on these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All ran, the gate holds.
    Ok = 0,
    /// The gate failed; of `score`, a request has no answer; of `doctor`, something is bad.
    Failed = 1,
    /// Usage, or the suite has errors.
    Usage = 2,
    /// It can't be told: inconclusive, or a probe errored, and nothing failed.
    Inconclusive = 3,
    /// A model, adapter, tokenizer or data file can't be loaded, or is refused.
    Input = 4,
    /// An output can't be written, or an internal fault.
    Internal = 5,
    /// Interrupted; what was finished is written.
    Interrupted = 130,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }

    /// In a word, for scripts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Inconclusive => "inconclusive",
            Self::Input => "input",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error with the exit code that it leads to.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    error: anyhow::Error,
    /// Written as it is, where an error has a form of its own (a suite's carets).
    rendered: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, error: anyhow::Error) -> Self {
        Self { exit, error, rendered: None }
    }

    pub fn rendered(exit: Exit, text: String) -> Self {
        Self { exit, error: anyhow::anyhow!("already told"), rendered: Some(text) }
    }

    /// As [`Self::render`], for others than people: without colours, and without what introduces it.
    pub fn plain(&self) -> String {
        let text = anstream::adapter::strip_str(&self.render()).to_string();
        text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
    }

    /// What was being done, the cause, and a hint where there is one.
    pub fn render(&self) -> String {
        if let Some(text) = &self.rendered {
            return text.clone();
        }
        let style = anstyle::Style::new().bold().fg_color(Some(anstyle::AnsiColor::Red.into()));
        let mut text = format!("{style}error{style:#}: ");
        let mut hints = Vec::new();
        for (index, cause) in self.error.chain().enumerate() {
            let message = cause.to_string();
            // An error that tells its cause itself does not need the cause to tell it again.
            if index > 0 && text.ends_with(message.as_str()) {
                continue;
            }
            let mut lines = message.lines();
            if index > 0 {
                text.push_str(": ");
            }
            text.push_str(lines.next().unwrap_or_default());
            for line in lines {
                match line.strip_prefix("hint: ") {
                    Some(hint) => hints.push(hint.to_owned()),
                    None => {
                        let _ = write!(text, " {line}");
                    }
                }
            }
        }
        text.push('\n');
        for hint in hints {
            let style = anstyle::Style::new().bold();
            let _ = writeln!(text, "{style}hint{style:#}: {hint}");
        }
        text
    }
}

/// Gives an error its exit code.
pub trait OrExit<T> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(exit, error.into()))
    }
}
