//! A table that fits its width: columns go by rank before the others are broken into slivers.

use anstyle::Style;
use unicode_width::UnicodeWidthStr;

use super::paint::{FAINT, Paint};
use super::wrap::shorten;

const GAP: usize = 2;

#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

pub(super) struct Column {
    pub head: &'static str,
    pub align: Align,
    /// The width down to which its cells may be shortened; `None` where a shortened cell would say something else.
    pub least: Option<usize>,
    /// Columns of a low rank are kept first.
    pub rank: u8,
}

impl Column {
    pub fn left(head: &'static str, rank: u8) -> Self {
        Self { head, align: Align::Left, least: None, rank }
    }

    pub fn right(head: &'static str, rank: u8) -> Self {
        Self { head, align: Align::Right, least: None, rank }
    }

    pub fn at_least(self, least: usize) -> Self {
        Self { least: Some(least), ..self }
    }
}

#[derive(Clone, Default)]
pub(super) struct Cell {
    pub text: String,
    pub style: Style,
}

impl<S: Into<String>> From<S> for Cell {
    fn from(text: S) -> Self {
        Self { text: text.into(), style: Style::new() }
    }
}

pub(super) struct Table<const N: usize> {
    pub columns: [Column; N],
    pub rows: Vec<[Cell; N]>,
}

impl<const N: usize> Table<N> {
    /// Lines of at most `width` columns, each with its newline.
    pub fn render(&self, width: usize, paint: Paint) -> String {
        let widths = self.widths(width);
        let head = std::array::from_fn(|i| Cell { text: self.columns[i].head.to_owned(), style: FAINT });
        std::iter::once(&head).chain(&self.rows).map(|row| self.line(row, &widths, paint)).collect()
    }

    fn line(&self, row: &[Cell; N], widths: &[Option<usize>; N], paint: Paint) -> String {
        let mut line = String::new();
        let mut pending = 0;
        for (i, cell) in row.iter().enumerate() {
            let Some(width) = widths[i] else { continue };
            let text = shorten(&cell.text, width);
            let room = width.saturating_sub(text.width());
            let (before, after) = match self.columns[i].align {
                Align::Left => (0, room),
                Align::Right => (room, 0),
            };
            // What is blank at a line's end is not written.
            if text.is_empty() {
                pending += width + GAP;
                continue;
            }
            line.push_str(&" ".repeat(pending + before));
            line.push_str(&paint.on(cell.style, &text));
            pending = after + GAP;
        }
        line.push('\n');
        line
    }

    /// The width of each column, `None` for one that has no place or nothing to say.
    fn widths(&self, width: usize) -> [Option<usize>; N] {
        let natural: [usize; N] = std::array::from_fn(|i| {
            let widest = self.rows.iter().map(|row| row[i].text.width()).max().unwrap_or(0);
            if widest == 0 { 0 } else { widest.max(self.columns[i].head.width()) }
        });
        let least = |i: usize| self.columns[i].least.map_or(natural[i], |least| natural[i].min(least));
        let mut by_rank: Vec<usize> = (0..N).filter(|i| natural[*i] > 0).collect();
        by_rank.sort_by_key(|i| self.columns[*i].rank);

        let mut widths = [None; N];
        let mut used = 0;
        for &i in &by_rank {
            let gap = if used > 0 { GAP } else { 0 };
            if used == 0 || used + gap + least(i) <= width {
                widths[i] = Some(least(i));
                used += gap + least(i);
            }
        }
        for &i in &by_rank {
            if let Some(kept) = &mut widths[i] {
                let more = (natural[i] - *kept).min(width.saturating_sub(used));
                *kept += more;
                used += more;
            }
        }
        widths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<3> {
        Table {
            columns: [Column::left("probe", 0).at_least(6), Column::left("kind", 2), Column::right("score", 1)],
            rows: vec![["a_long_name".into(), "delta_kl".into(), "0.93".into()], ["b".into(), "leakage".into(), "".into()]],
        }
    }

    #[test]
    fn all_is_shown_where_there_is_room() {
        insta::assert_snapshot!(table().render(40, Paint { color: false }), @r"
        probe        kind      score
        a_long_name  delta_kl   0.93
        b            leakage
        ");
    }

    #[test]
    fn a_name_is_shortened_before_a_column_goes_and_a_column_goes_before_the_name_is_a_sliver() {
        insta::assert_snapshot!(table().render(25, Paint { color: false }), @r"
        probe     kind      score
        a_long_…  delta_kl   0.93
        b         leakage
        ");
        insta::assert_snapshot!(table().render(20, Paint { color: false }), @r"
        probe        score
        a_long_name   0.93
        b
        ");
    }
}
