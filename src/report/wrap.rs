//! Lines of a given width, measured in terminal columns.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Stands for a space at which no line may break, until the line is made.
const GLUE: char = '\u{E000}';

/// Pieces that belong on one line each, joined by a middle dot; too long a piece breaks like any text.
pub(super) fn pieces<S: AsRef<str>>(pieces: &[S]) -> String {
    let kept = |piece: &S| {
        let piece = piece.as_ref();
        if piece.width() <= 40 { glued(piece) } else { piece.to_owned() }
    };
    pieces.iter().map(kept).collect::<Vec<_>>().join(&format!("{GLUE}· "))
}

/// `text` as one word, to [`lines`].
pub(super) fn glued(text: &str) -> String {
    text.replace(' ', GLUE.encode_utf8(&mut [0; 4]))
}

/// `head`, then `text` wrapped beside it: later lines are indented by `indent` columns, the head's own width on screen.
pub(super) fn hang(head: &str, indent: usize, text: &str, width: usize) -> String {
    let lines = lines(text, width.saturating_sub(indent).max(20));
    format!("{head}{}\n", lines.join(&format!("\n{}", " ".repeat(indent))))
}

/// `text` in lines of at most `width` columns. A word that is longer stays whole, unless it is of wide characters,
/// between which a line may break.
pub(super) fn lines(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let gap = usize::from(!line.is_empty());
        if line.width() + gap + word.width() <= width {
            line.extend((gap > 0).then_some(' '));
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            let wide = c.width().is_some_and(|columns| columns > 1);
            if wide && line.width() + 2 > width {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines.iter().map(|line| line.replace(GLUE, " ")).collect()
}

/// `text` in at most `width` columns, its end cut for an ellipsis where it is longer.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let end =
        text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| text[..*end].width() < width).last().unwrap_or(0);
    // A joiner or a selector left at the end would reach over to the ellipsis.
    format!("{}…", text[..end].trim_end_matches(['\u{200D}', '\u{FE0F}', ' ']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_lines_hang_under_the_first_word() {
        assert_eq!(
            hang("base  ", 6, "one two three four five six seven", 26),
            "base  one two three four\n      five six seven\n"
        );
    }

    #[test]
    fn a_path_stays_whole_and_wide_text_breaks_anywhere() {
        assert_eq!(lines("see /a/very/long/path", 8), ["see", "/a/very/long/path"]);
        assert_eq!(lines("適応器が動いた", 8), ["適応器が", "動いた"]);
    }

    #[test]
    fn pieces_break_between_them_only() {
        assert_eq!(lines(&pieces(&["0.41 s", "3.21 s"]), 10), ["0.41 s ·", "3.21 s"]);
    }

    #[test]
    fn an_ellipsis_counts_in_the_width() {
        assert_eq!(shorten("paraphrases", 8), "paraphr…");
        assert_eq!(shorten("適応器が動いた", 8), "適応器…");
        assert_eq!(shorten("held", 4), "held");
    }
}
