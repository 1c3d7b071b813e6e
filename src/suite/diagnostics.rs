use std::ops::Range;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::{Diagnostic, Source, syntax::touch};

/// The mistakes of a suite, in the order of their places.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    sorted: Vec<Diagnostic>,
    /// Where the text is not TOML; what it seems to say there is no one's mistake.
    garbled: Vec<Range<usize>>,
}

impl Diagnostics {
    /// Starts with mistakes of syntax. `garbled` is the text that they made unreadable.
    pub(super) fn of_syntax(found: Vec<Diagnostic>, garbled: Vec<Range<usize>>) -> Self {
        let mut this = Self::default();
        this.extend(found);
        this.garbled = garbled;
        this
    }

    /// Whether the suite is without a mistake.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// How many mistakes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// In the order of their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.sorted.iter()
    }

    /// Adds one, unless it is there, or stands where the text is not TOML: then it would only follow from that.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let span = &diagnostic.span;
        let follows = self.garbled.iter().any(|bad| touch(bad, span));
        if follows || self.sorted.contains(&diagnostic) {
            return;
        }
        let at = self.sorted.partition_point(|earlier| earlier.span.start <= span.start);
        self.sorted.insert(at, diagnostic);
    }

    /// All of them with their lines and carets, for a terminal `width` columns wide.
    #[must_use]
    pub fn render(&self, source: &Source, color: bool, width: usize) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() }.term_width(width);
        let mut blocks: Vec<String> = self.sorted.iter().map(|one| render(&renderer, source, one, width)).collect();
        if blocks.len() > 1 {
            blocks.push(format!("{} errors in {}", blocks.len(), printable(source.path())));
        }
        blocks.join("\n\n") + "\n"
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

fn render(renderer: &Renderer, source: &Source, diagnostic: &Diagnostic, width: usize) -> String {
    let text = source.text();
    // Only the span's first line is given to the renderer: it lists the lines of all that it is given each time.
    let start = text.floor_char_boundary(diagnostic.span.start);
    let end = text.floor_char_boundary(diagnostic.span.end);
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let caret = (start - line_start).min(line.len());
    let caret = caret..end.saturating_sub(line_start).clamp(caret, line.len());

    let snippet = Snippet::source(line)
        .line_start(source.line(line_start))
        .path(printable(source.path()))
        .annotation(AnnotationKind::Primary.span(caret).label(diagnostic.label.as_deref().map(printable)));
    let mut group = Level::ERROR.primary_title(printable(&diagnostic.message)).element(snippet);
    if let Some(hint) = &diagnostic.hint {
        // Beside the line number and " = hint: ".
        let room = width.saturating_sub(source.line(line_start).to_string().len() + 9);
        group = group.element(Level::HELP.with_name("hint").message(wrap(&printable(hint), room)));
    }
    renderer.render(&[group])
}

/// Breaks lines between words; a word longer than a line stands alone.
fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    let mut column = 0;
    for word in text.split_inclusive([' ', '\n']) {
        if column > 0 && column + word.trim_end().chars().count() > width {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            wrapped.push('\n');
            column = 0;
        }
        wrapped += word;
        column = if word.ends_with('\n') { 0 } else { column + word.chars().count() };
    }
    wrapped
}

/// A suite must not steer the terminal: its control characters are shown as escapes.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() && character != '\n' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
