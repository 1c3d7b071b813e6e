//! The checkup for a terminal: a line for each check, each as soon as it is known.

use anstyle::{AnsiColor, Style as Ansi};

use crate::record::{Check, Checkup, Status};
use crate::report::escape::terminal as clean;
use crate::report::number::plural;
use crate::report::paint::{BOLD, Paint};
use crate::report::{Style, wrap};

/// Columns before a check's figure: its status, and its name.
const INDENT: usize = 6 + 9;

/// One check, with what to do where something is.
#[must_use]
pub fn line(check: &Check, style: Style) -> String {
    let paint = Paint { color: style.color };
    let status = paint.on(of_status(check.status), check.status.name());
    let gap = " ".repeat(6 - check.status.name().len());
    let head = format!("{status}{gap}{:9}", check.name);
    let mut text = wrap::hang(&head, INDENT, &clean(&check.figure), style.width);
    for hint in &check.hints {
        let head = format!("{}{}: ", " ".repeat(INDENT), paint.on(BOLD, "hint"));
        text += &wrap::hang(&head, INDENT + "hint: ".len(), &clean(hint), style.width);
    }
    text
}

/// What the checks come to.
#[must_use]
pub fn summary(checkup: &Checkup) -> String {
    let (warnings, bad) = (checkup.count(Status::Warn) as u64, checkup.count(Status::Bad));
    match (bad, warnings) {
        (0, 0) => "\nall is well\n".to_owned(),
        (0, _) => format!("\n{}, and nothing is bad\n", plural(warnings, "warning")),
        (_, 0) => format!("\n{bad} bad\n"),
        _ => format!("\n{bad} bad, {}\n", plural(warnings, "warning")),
    }
}

fn of_status(status: Status) -> Ansi {
    let color = match status {
        Status::Ok => AnsiColor::Green,
        Status::Warn => AnsiColor::Yellow,
        Status::Bad => AnsiColor::Red,
    };
    Ansi::new().bold().fg_color(Some(color.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Vec<Check> {
        let hint = "delete models that are not needed, or set HF_HUB_CACHE to a folder on a larger disk";
        vec![
            Check::ok("memory", "22.1 GB available of 25.3 GB"),
            Check::ok("disk", "30 MB free at the cache, which is on a file system with a long story to tell")
                .but(Status::Bad, hint),
            Check::ok("hub", "\u{1b}[2Jhttps://hub answers").but(Status::Warn, "look"),
        ]
    }

    fn rendered(style: Style) -> String {
        let lines: Vec<String> = checks().iter().map(|check| line(check, style)).collect();
        lines.concat() + &summary(&Checkup::of(checks()))
    }

    #[test]
    fn lines_hang_beside_their_names() {
        insta::assert_snapshot!(rendered(Style::default()), @r"
        ok    memory   22.1 GB available of 25.3 GB
        bad   disk     30 MB free at the cache, which is on a file system with a long
                       story to tell
                       hint: delete models that are not needed, or set HF_HUB_CACHE to a
                             folder on a larger disk
        warn  hub      �[2Jhttps://hub answers
                       hint: look

        1 bad, 1 warning
        ");
    }

    #[test]
    fn no_line_is_wider_than_asked() {
        for width in [60, 80, 120] {
            let text = rendered(Style { color: false, width });
            assert!(text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
        assert_eq!(stripped(&rendered(Style { color: true, width: 80 })), rendered(Style::default()));
    }

    /// Without colours; what a figure holds of escapes is no longer one.
    fn stripped(text: &str) -> String {
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\u{1b}') {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain + rest
    }

    #[test]
    fn the_end_counts_what_is_wrong() {
        let of = |checks: &[Check]| summary(&Checkup::of(checks.to_vec()));
        let [ok, bad, warn] = checks().try_into().unwrap();
        assert_eq!(of(std::slice::from_ref(&ok)), "\nall is well\n");
        assert_eq!(of(&[ok.clone(), warn.clone()]), "\n1 warning, and nothing is bad\n");
        assert_eq!(of(&[ok, bad.clone()]), "\n1 bad\n");
        assert_eq!(of(&[bad, warn.clone(), warn]), "\n1 bad, 2 warnings\n");
    }
}
