//! How the rows of one forward pass are laid out: by view, each view from the beginning of a panel, segment after segment.

use std::ops::Range;

use super::kernel::LANES;
use super::kernel::panels::panels_of;
use crate::request::View;

/// The rows of one forward pass. A row that only fills a panel stands in no segment.
#[derive(Debug, Default)]
pub struct Rows {
    /// One row a token; whole panels.
    pub tokens: Vec<u32>,
    /// The position of each row in its sequence.
    pub positions: Vec<u32>,
    pub views: Vec<ViewPanels>,
    pub segments: Vec<Segment>,
    /// What outlives the pass.
    pub keep: Vec<Keep>,
    /// Rows whose hidden state is wanted, ascending.
    pub asked: Vec<usize>,
}

/// The panels of one view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ViewPanels {
    pub view: View,
    /// Their texts are longer than the original context of the rope, which then has other angles.
    pub long: bool,
    pub panels: Range<usize>,
}

/// Consecutive rows at consecutive positions of one path.
#[derive(Debug)]
pub struct Segment {
    pub rows: Range<usize>,
    /// What stands before them, from position 0 on.
    pub path: Vec<Run>,
}

/// Consecutive positions of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// Rows of this pass.
    Rows(Range<usize>),
    /// The first positions of a page.
    Page { page: usize, positions: usize },
}

/// A row whose keys and values are kept in a slot of a page.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    pub row: usize,
    pub page: usize,
    pub slot: usize,
}

impl Rows {
    /// Adds rows for the tokens of one view, to the end of its panels; gives the first. Views come in turn.
    pub fn begin_view(&mut self, view: View, long: bool) {
        let rows = self.tokens.len().next_multiple_of(LANES);
        self.tokens.resize(rows, 0);
        self.positions.resize(rows, 0);
        let panel = rows / LANES;
        self.views.push(ViewPanels { view, long, panels: panel..panel });
    }

    /// Adds a row to the view begun last; gives its number.
    pub fn push(&mut self, token: u32, position: u32) -> usize {
        self.tokens.push(token);
        self.positions.push(position);
        if let Some(view) = self.views.last_mut() {
            view.panels.end = panels_of(self.tokens.len());
        }
        self.tokens.len() - 1
    }

    /// Fills the last panel.
    pub fn finish(&mut self) {
        let rows = self.tokens.len().next_multiple_of(LANES);
        self.tokens.resize(rows, 0);
        self.positions.resize(rows, 0);
    }

    /// All rows, in their own places.
    pub fn all(&self) -> Picked {
        let rows: Vec<usize> = self.segments.iter().flat_map(|segment| segment.rows.clone()).collect();
        self.picked(&rows)
    }

    /// Some rows, in ascending order, moved together; each view's begin a panel.
    pub fn picked(&self, rows: &[usize]) -> Picked {
        let mut picked = Picked::default();
        let mut segments = self.segments.iter().enumerate().peekable();
        let mut rows = rows.iter().copied().peekable();
        for view in &self.views {
            let first = picked.rows.len() / LANES;
            while let Some(row) = rows.next_if(|row| *row < view.panels.end * LANES) {
                while segments.next_if(|(_, segment)| segment.rows.end <= row).is_some() {}
                let Some((segment, _)) = segments.peek() else { break };
                picked.push(*segment, row, self.positions[row]);
            }
            picked.rows.resize(picked.rows.len().next_multiple_of(LANES), None);
            picked.queries.resize_with(picked.rows.len() / LANES, Vec::new);
            picked.views.push(ViewPanels { panels: first..picked.rows.len() / LANES, ..*view });
        }
        picked
    }
}

/// Rows of a pass that are computed together: all of them, or those that are asked for.
#[derive(Debug, Default)]
pub struct Picked {
    /// Where each stands in the pass; nowhere, if it only fills a panel.
    pub rows: Vec<Option<usize>>,
    pub views: Vec<ViewPanels>,
    /// By panel: what its rows look at.
    pub queries: Vec<Vec<QueryRows>>,
}

/// Rows of one panel that stand in one segment.
#[derive(Clone, Debug)]
pub struct QueryRows {
    pub segment: usize,
    pub lanes: Range<usize>,
    /// By lane; beyond the rows, the first row's.
    pub positions: [u32; LANES],
    /// The last of them, as a row of the pass: what it sees of its own segment ends there.
    pub last: usize,
}

impl Picked {
    fn push(&mut self, segment: usize, row: usize, position: u32) {
        let (panel, lane) = (self.rows.len() / LANES, self.rows.len() % LANES);
        self.rows.push(Some(row));
        self.queries.resize_with(self.queries.len().max(panel + 1), Vec::new);
        match self.queries[panel].last_mut() {
            Some(query) if query.segment == segment => {
                query.lanes.end = lane + 1;
                query.positions[lane] = position;
                query.last = row;
            }
            _ => self.queries[panel].push(QueryRows { segment, lanes: lane..lane + 1, positions: [position; LANES], last: row }),
        }
    }

    pub fn panels(&self) -> usize {
        self.rows.len() / LANES
    }

    /// Rows that exist.
    pub fn count(&self, panels: Range<usize>) -> usize {
        self.rows[panels.start * LANES..panels.end * LANES].iter().flatten().count()
    }
}
