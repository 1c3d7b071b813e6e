//! Colour for a terminal, or none. Whatever is coloured also says in words what the colour means.

use anstyle::{AnsiColor, Style};

use crate::record::Verdict;

#[derive(Clone, Copy)]
pub(super) struct Paint {
    pub color: bool,
}

impl Paint {
    pub fn on(self, style: Style, text: &str) -> String {
        if self.color && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    pub fn bold(self, text: &str) -> String {
        self.on(BOLD, text)
    }

    pub fn faint(self, text: &str) -> String {
        self.on(FAINT, text)
    }
}

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const FAINT: Style = Style::new().dimmed();

pub(super) fn of_verdict(verdict: Verdict) -> Style {
    let color = |color: AnsiColor| Style::new().bold().fg_color(Some(color.into()));
    match verdict {
        Verdict::Pass => color(AnsiColor::Green),
        Verdict::Fail | Verdict::Error => color(AnsiColor::Red),
        Verdict::Warn | Verdict::Inconclusive => color(AnsiColor::Yellow),
        Verdict::Skip => FAINT,
    }
}
