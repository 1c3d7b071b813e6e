//! Text that others wrote, made safe for each format. Names, prompts and messages can hold anything.

use std::fmt::{self, Display, Formatter, Write};

/// For a terminal: one line, without the controls that would move the cursor, colour the rest or turn the reading direction.
pub(super) fn terminal(text: &str) -> String {
    text.chars()
        .filter(|c| !turns_direction(*c))
        .map(|c| match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            c if c.is_control() => '\u{FFFD}',
            c => c,
        })
        .collect()
}

/// For HTML, as text or inside a quoted attribute.
pub(super) struct Html<'a>(pub &'a str);

impl Display for Html<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().filter(|c| !turns_direction(*c)).try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            '\n' | '\r' | '\t' => f.write_char(c),
            c if c.is_control() => f.write_char('\u{FFFD}'),
            c => f.write_char(c),
        })
    }
}

/// A message for HTML: what stands between two backticks is a name, and looks like one.
pub(super) struct HtmlProse<'a>(pub &'a str);

impl Display for HtmlProse<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.split('`').collect();
        if parts.len().is_multiple_of(2) {
            return Html(self.0).fmt(f);
        }
        parts.iter().enumerate().try_for_each(|(i, part)| match i % 2 {
            0 => Html(part).fmt(f),
            _ => write!(f, "<code>{}</code>", Html(part)),
        })
    }
}

/// For XML 1.0, inside a quoted attribute or as text. What XML cannot hold even escaped becomes `�`.
pub(super) struct Xml<'a>(pub &'a str);

impl Display for Xml<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&apos;"),
            // Written raw, an attribute's line break is read back as a space.
            '\n' | '\r' | '\t' => write!(f, "&#{};", u32::from(c)),
            '\u{FFFE}' | '\u{FFFF}' => f.write_char('\u{FFFD}'),
            c if c.is_control() => f.write_char('\u{FFFD}'),
            c => f.write_char(c),
        })
    }
}

/// For Markdown on a code host: one line of plain text, in a table's cell or outside one.
pub(super) struct Markdown<'a>(pub &'a str);

impl Display for Markdown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        terminal(self.0).chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' => write!(f, "\\{c}"),
            // No escape keeps a code host from notifying whoever is named, an invisible character does.
            '@' => f.write_str("@\u{200B}"),
            c => f.write_char(c),
        })
    }
}

/// A sentence for Markdown: what stands between backticks is code, the rest plain text.
pub(super) struct MarkdownProse<'a>(pub &'a str);

impl Display for MarkdownProse<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.0.split('`').collect();
        // An even number of parts leaves a backtick without its twin: then none of them marks code.
        if parts.len().is_multiple_of(2) {
            return Markdown(self.0).fmt(f);
        }
        parts.iter().enumerate().try_for_each(|(i, part)| {
            if i % 2 == 0 { write!(f, "{}", Markdown(part)) } else { write!(f, "<code>{}</code>", Markdown(part)) }
        })
    }
}

/// The marks with which a text can make the words after it read backwards.
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(terminal("a\x1b[31mred\n\u{202E}b"), "a\u{FFFD}[31mred b");
    }

    #[test]
    fn markup_stays_text() {
        assert_eq!(Html("<b a='1'>&\"").to_string(), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;");
        assert_eq!(HtmlProse("`a<b` failed").to_string(), "<code>a&lt;b</code> failed");
        assert_eq!(HtmlProse("a ` alone").to_string(), "a ` alone");
        assert_eq!(Xml("a\u{0}<\n").to_string(), "a\u{FFFD}&lt;&#10;");
        assert_eq!(MarkdownProse("`a|b` failed").to_string(), "<code>a\\|b</code> failed");
        assert_eq!(MarkdownProse("a ` b").to_string(), "a \\` b");
        assert_eq!(Markdown("a|b `c` <i> @team").to_string(), "a\\|b \\`c\\` &lt;i&gt; @\u{200B}team");
    }
}
