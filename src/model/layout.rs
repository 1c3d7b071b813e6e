//! How the rows of one forward pass are laid out: sequences end to end, sorted by view, without padding.

use std::ops::Range;

use crate::request::View;

/// A sequence to be computed: tokens that follow what its cache already holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    pub view: View,
    pub tokens: Vec<u32>,
}

/// The rows of one forward pass.
pub struct Layout {
    /// One row a token.
    pub tokens: Vec<u32>,
    /// The position of each row in its sequence.
    pub positions: Vec<u32>,
    /// The rows of each view, in order and without gaps.
    pub views: Vec<ViewRows>,
    /// By the sequence's index as given: its rows.
    pub sequences: Vec<Range<usize>>,
}

/// The rows of one view.
pub struct ViewRows {
    pub view: View,
    pub rows: Range<usize>,
}

impl Layout {
    /// Lays sequences out; `past[i]` positions of sequence i are already in its cache.
    pub fn new<'a>(sequences: impl ExactSizeIterator<Item = (View, &'a [u32])>, past: &[usize]) -> Self {
        let sequences: Vec<(View, &[u32])> = sequences.collect();
        let mut order: Vec<usize> = (0..sequences.len()).collect();
        order.sort_by_key(|&i| sequences[i].0);
        let mut layout =
            Self { tokens: Vec::new(), positions: Vec::new(), views: Vec::new(), sequences: vec![0..0; sequences.len()] };
        for i in order {
            let (view, tokens) = sequences[i];
            let start = layout.tokens.len();
            layout.tokens.extend_from_slice(tokens);
            let past = past.get(i).copied().unwrap_or(0);
            layout.positions.extend((past..past + tokens.len()).map(|p| p as u32));
            let end = layout.tokens.len();
            layout.sequences[i] = start..end;
            match layout.views.last_mut() {
                Some(last) if last.view == view => last.rows.end = end,
                _ => layout.views.push(ViewRows { view, rows: start..end }),
            }
        }
        layout
    }

    pub fn rows(&self) -> usize {
        self.tokens.len()
    }
}

impl Layout {
    /// The layout of some of the rows, in ascending order: only its views are meaningful.
    pub fn picked(&self, rows: &[usize]) -> Self {
        let views = self
            .views
            .iter()
            .map(|view| {
                let before = |end: usize| rows.partition_point(|&row| row < end);
                ViewRows { view: view.view, rows: before(view.rows.start)..before(view.rows.end) }
            })
            .collect();
        Self { tokens: Vec::new(), positions: Vec::new(), views, sequences: Vec::new() }
    }
}
