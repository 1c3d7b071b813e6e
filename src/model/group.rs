//! How the rows of a pass are dealt out: groups that a thread takes through a stage, and units that are multiplied together.

use std::ops::Range;

use super::crew::threads;
use super::kernel::LANES;
use super::kernel::product::MOST_PANELS;
use super::rows::Picked;

/// One or two panels of a group that are multiplied together: they are of one view.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// The first, counted from the group's first.
    pub panel: usize,
    pub panels: usize,
    /// Rows that exist.
    pub rows: usize,
    /// Index among the views of the pass.
    pub view: usize,
}

/// Panels that one thread takes through a stage, so that what a stage makes of them stays in its cache.
pub struct Group {
    pub panels: Range<usize>,
    pub units: Vec<Unit>,
}

/// Panels of a group: 64 to 256 rows.
const LEAST: usize = 4;
const MOST: usize = 16;

/// Multiplications of a product that are worth the waking of another thread: some tens of microseconds of work.
const WORTH_DIVIDING: usize = 1 << 20;

/// Whether threads gain by dividing a product of this many panels with a matrix of so many weights.
pub fn is_worth_dividing(panels: usize, weights: usize) -> bool {
    panels * LANES * weights >= WORTH_DIVIDING
}

/// How the panels of a pass are worked on.
pub struct Grouping {
    pub groups: Vec<Group>,
    /// There are too few groups to keep every thread busy: products are divided by their outputs instead.
    pub divided: bool,
}

impl Grouping {
    /// Groups are taken in turn, by whoever is free: large ones first, in whose time the weights pass once for many rows, and
    /// small ones last, so that nobody waits long for the others. `weights` are those of the matrices that the panels are multiplied
    /// with, of each more or less: few panels of a small model are best taken through by one thread.
    pub fn new(picked: &Picked, weights: usize) -> Self {
        let threads = threads();
        let panels = picked.panels();
        let divided = threads > 1 && panels < 2 * threads * MOST_PANELS && is_worth_dividing(panels, weights);
        let mut groups = Vec::new();
        let mut first = 0;
        while first < panels {
            let share = (panels - first).div_ceil(2 * threads).clamp(LEAST, MOST).next_multiple_of(MOST_PANELS);
            let size = if divided { panels } else { share.min(panels - first) };
            groups.push(Group::new(picked, first..first + size));
            first += size;
        }
        Self { groups, divided }
    }
}

impl Group {
    fn new(picked: &Picked, panels: Range<usize>) -> Self {
        let mut units = Vec::new();
        for (view, of) in picked.views.iter().enumerate() {
            let (first, end) = (of.panels.start.max(panels.start), of.panels.end.min(panels.end));
            for panel in (first..end).step_by(MOST_PANELS) {
                let count = MOST_PANELS.min(end - panel);
                let rows = picked.count(panel..panel + count);
                units.push(Unit { panel: panel - panels.start, panels: count, rows, view });
            }
        }
        Self { panels, units }
    }

    /// Rows of no view, from the first lane on.
    pub fn alone(rows: usize) -> Self {
        let panels = rows.div_ceil(LANES);
        let unit = |panel: usize| {
            let count = MOST_PANELS.min(panels - panel);
            Unit { panel, panels: count, rows: (rows - panel * LANES).min(count * LANES), view: 0 }
        };
        Self { panels: 0..panels, units: (0..panels).step_by(MOST_PANELS).map(unit).collect() }
    }

    /// The places of rows that exist, counted from the group's first.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.units.iter().flat_map(|unit| unit.panel * LANES..unit.panel * LANES + unit.rows)
    }

    /// Values of the group's panels with `features` features.
    pub fn size(&self, features: usize) -> usize {
        self.panels.len() * features * LANES
    }
}
