//! From paths through a trie to forward passes: each node once, as many rows as the budget allows, and what later paths need of
//! a pass is kept.

use std::collections::{HashMap, HashSet};

use super::kernel::LANES;
use super::pages::Pages;
use super::rows::{Keep, Rows, Segment};
use super::trie::{Node, Place, Trie};
use crate::request::View;

/// What bounds a pass and what is kept between passes.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Rows of one pass: bounds the memory of its activations.
    pub rows: usize,
    /// Bytes of kept keys and values. Beyond, what is needed last is computed again; what the next path needs is always kept.
    pub kept_bytes: usize,
}

/// A sequence of tokens under a view.
struct Path {
    nodes: Vec<usize>,
    /// Its keys and values are kept after it is complete, until it is released.
    held: bool,
}

/// Plans the passes that compute some paths.
pub struct Planner {
    pub trie: Trie,
    budget: Budget,
    /// With whether its texts are long.
    views: Vec<(View, bool)>,
    /// By node: the index of its view.
    view_of: Vec<usize>,
    /// By node: the same tokens whatever the view.
    tokens_of: Vec<usize>,
    /// Rows of different views begin alike, and are computed once up to some layer.
    shares_trunk: bool,
    paths: Vec<Path>,
    /// Paths in the order of a walk through the tokens of all views, so that paths with a common beginning follow on each other.
    order: Vec<usize>,
    /// The first in `order` that is not complete.
    next: usize,
    /// Nodes that no path needs any more, to be given back once the pass has run.
    dying: Vec<usize>,
    /// Nodes in each page.
    in_page: HashMap<usize, usize>,
    /// Slots of each page that were taken.
    filled: HashMap<usize, usize>,
}

/// The rows of a pass as they are before any adapter touches them: those of several views with the same tokens are one.
#[derive(Default)]
pub struct Trunk {
    pub rows: Rows,
    /// By row of the pass: its row here.
    pub of: Vec<usize>,
}

/// One forward pass.
#[derive(Default)]
pub struct Planned {
    pub rows: Rows,
    /// Where views share one and there are several.
    pub trunk: Option<Trunk>,
    /// The node of each row of `rows.asked`.
    pub asked: Vec<usize>,
    /// Paths that are complete after it.
    pub complete: Vec<usize>,
    /// Rows that were added for each path.
    pub computed: Vec<(usize, usize)>,
}

impl Planner {
    /// `shares_trunk`: the first layers are the same for all views.
    pub fn new(budget: Budget, shares_trunk: bool) -> Self {
        Self {
            shares_trunk,
            tokens_of: Vec::new(),
            trie: Trie::default(),
            budget,
            views: Vec::new(),
            view_of: Vec::new(),
            paths: Vec::new(),
            order: Vec::new(),
            next: 0,
            dying: Vec::new(),
            in_page: HashMap::new(),
            filled: HashMap::new(),
        }
    }

    /// Adds a path; gives its number. All are added before the first pass is planned.
    ///
    /// `long`: the text has the angles of one that is longer than the rope's original context, and shares nothing with others.
    pub fn add(&mut self, view: View, long: bool, tokens: &[u32], held: bool) -> usize {
        let index = self.views.iter().position(|known| *known == (view, long)).unwrap_or_else(|| {
            self.views.push((view, long));
            self.views.len() - 1
        });
        let nodes = self.trie.insert(index, tokens);
        self.view_of.resize(self.trie.nodes.len(), index);
        for &node in &nodes {
            self.trie.nodes[node].uses += 1;
        }
        self.paths.push(Path { nodes, held });
        self.paths.len() - 1
    }

    /// The node of a path's token.
    pub fn node(&self, path: usize, position: usize) -> usize {
        self.paths[path].nodes[position]
    }

    /// Asks for the hidden state after a path's token; gives its node.
    pub fn ask(&mut self, path: usize, position: usize) -> usize {
        let node = self.node(path, position);
        self.trie.nodes[node].asked = true;
        node
    }

    /// Puts the paths in order; called once all are added.
    pub fn arrange(&mut self) {
        // Over the tokens of all views: what stands side by side in a comparison is computed in one pass where it can be.
        let mut tokens = Trie::default();
        let mut ends = Vec::with_capacity(self.paths.len());
        self.tokens_of = vec![0; self.trie.nodes.len()];
        for path in &self.paths {
            let ids: Vec<u32> = path.nodes.iter().map(|&node| self.trie.nodes[node].token).collect();
            let same = tokens.insert(0, &ids);
            path.nodes.iter().zip(&same).for_each(|(&node, &same)| self.tokens_of[node] = same);
            ends.push(same.last().copied());
        }
        let ranks = tokens.ranks();
        self.order = (0..self.paths.len()).collect();
        self.order.sort_by_key(|&path| ends[path].map(|node| ranks[node]));
    }

    pub fn is_done(&self) -> bool {
        self.next == self.order.len()
    }

    /// The next pass, of which at most this many paths are complete; none when all paths are.
    pub fn next_pass(&mut self, pages: &mut Pages, most_paths: usize) -> Option<Planned> {
        self.bury(pages);
        if self.is_done() {
            return None;
        }
        let mut planned = Planned::default();
        let nodes = self.choose(&mut planned, most_paths);
        self.lay_out(&mut planned, &nodes);
        if self.shares_trunk && planned.rows.views.len() > 1 {
            planned.trunk = Some(self.trunk(&planned, &nodes));
        }
        self.keep(&mut planned, &nodes, pages);
        Some(planned)
    }

    /// Gives back the pages that are left once all paths are complete and released.
    pub fn give_up(&mut self, pages: &mut Pages) {
        debug_assert!(self.is_done());
        self.bury(pages);
    }

    /// Gives up what was held for a complete path.
    pub fn release(&mut self, path: usize) {
        self.paths[path].held = false;
        self.leave(path);
    }

    fn leave(&mut self, path: usize) {
        for &node in &self.paths[path].nodes {
            let uses = &mut self.trie.nodes[node].uses;
            *uses -= 1;
            if *uses == 0 {
                self.dying.push(node);
            }
        }
    }

    /// Gives back the pages of nodes that nobody needs.
    fn bury(&mut self, pages: &mut Pages) {
        for node in std::mem::take(&mut self.dying) {
            if let Place::Page { page, .. } = self.trie.nodes[node].place {
                self.trie.nodes[node].place = Place::Nowhere;
                let left = self.in_page.entry(page).or_default();
                *left -= 1;
                if *left == 0 {
                    self.in_page.remove(&page);
                    self.filled.remove(&page);
                    pages.give_back(page);
                }
            }
        }
    }

    /// Chooses the nodes of a pass, in the order of their paths, and tells which paths it completes.
    fn choose(&mut self, planned: &mut Planned, most_paths: usize) -> Vec<usize> {
        let mut chosen = Vec::new();
        while let Some(&path) = self.order.get(self.next) {
            let nodes = &self.paths[path].nodes;
            let done = nodes.partition_point(|&node| self.trie.nodes[node].place != Place::Nowhere);
            let missing = &nodes[done..];
            let room = self.budget.rows - chosen.len();
            // A short path waits for the next pass as a whole; only a long one is worth cutting.
            let waits = missing.len() > room && missing.len() <= self.budget.rows / 4;
            if waits || planned.complete.len() == most_paths || (room == 0 && !missing.is_empty()) {
                break;
            }
            let taken = &missing[..missing.len().min(room)];
            for &node in taken {
                // The row is known once all nodes of the pass are.
                self.trie.nodes[node].place = Place::Row(usize::MAX);
            }
            chosen.extend_from_slice(taken);
            planned.computed.push((path, taken.len()));
            if taken.len() < missing.len() {
                break;
            }
            planned.complete.push(path);
            self.next += 1;
            if !self.paths[path].held {
                self.leave(path);
            }
        }
        chosen
    }

    /// Gives each node its row: views in turn, the nodes of a view in their order.
    fn lay_out(&mut self, planned: &mut Planned, nodes: &[usize]) {
        let mut views: Vec<usize> = (0..self.views.len()).collect();
        views.sort_by_key(|&view| self.views[view]);
        let mut by_view: Vec<Vec<usize>> = vec![Vec::new(); self.views.len()];
        for &node in nodes {
            by_view[self.view_of[node]].push(node);
        }
        let rows = &mut planned.rows;
        for view in views.into_iter().filter(|&view| !by_view[view].is_empty()) {
            let (of, long) = self.views[view];
            rows.begin_view(of, long);
            let mut before = None;
            for &node in &by_view[view] {
                let Node { token, position, parent, .. } = self.trie.nodes[node];
                let row = rows.push(token, position);
                match rows.segments.last_mut() {
                    Some(segment) if before.is_some() && parent == before => segment.rows.end = row + 1,
                    _ => rows.segments.push(Segment { rows: row..row + 1, path: self.trie.runs(parent) }),
                }
                self.trie.nodes[node].place = Place::Row(row);
                if std::mem::take(&mut self.trie.nodes[node].asked) {
                    rows.asked.push(row);
                    planned.asked.push(node);
                }
                before = Some(node);
            }
        }
        rows.finish();
    }

    /// One row for the nodes of all views that have the same tokens.
    fn trunk(&self, planned: &Planned, nodes: &[usize]) -> Trunk {
        let mut trunk = Trunk { of: vec![0; planned.rows.tokens.len()], ..Trunk::default() };
        let mut row_of: HashMap<usize, usize> = HashMap::new();
        let mut before = None;
        trunk.rows.begin_view(View::Base, false);
        for &node in nodes {
            let (Place::Row(row), tokens) = (self.trie.nodes[node].place, self.tokens_of[node]) else { continue };
            if let Some(known) = row_of.get(&tokens) {
                trunk.of[row] = *known;
                continue;
            }
            let Node { token, position, parent, .. } = self.trie.nodes[node];
            let shared = trunk.rows.push(token, position);
            match trunk.rows.segments.last_mut() {
                Some(segment) if before.is_some() && parent.map(|parent| self.tokens_of[parent]) == before => {
                    segment.rows.end = shared + 1;
                }
                _ => {
                    let place = |node: usize| {
                        row_of.get(&self.tokens_of[node]).map_or(self.trie.nodes[node].place, |row| Place::Row(*row))
                    };
                    let path = self.trie.runs_by(parent, place);
                    trunk.rows.segments.push(Segment { rows: shared..shared + 1, path });
                }
            }
            row_of.insert(tokens, shared);
            trunk.of[row] = shared;
            before = Some(tokens);
        }
        trunk.rows.finish();
        trunk
    }

    /// Finds pages for the rows that later paths need, and forgets the others.
    fn keep(&mut self, planned: &mut Planned, nodes: &[usize], pages: &mut Pages) {
        let wanted = self.affordable(pages, nodes);
        let kept =
            |node: usize, trie: &Trie| trie.nodes[node].uses > 0 && wanted.as_ref().is_none_or(|wanted| wanted.contains(&node));
        // Parents come before their children, and who needs a node needs what stands before it.
        for &node in nodes {
            let Place::Row(row) = self.trie.nodes[node].place else { continue };
            if !kept(node, &self.trie) {
                continue;
            }
            let parent = self.trie.nodes[node].parent.map(|parent| self.trie.nodes[parent].place);
            let (page, slot) = match parent {
                // On from its parent, if no other child has gone on from there.
                Some(Place::Page { page, slot }) if slot + 1 < Pages::POSITIONS && self.filled[&page] == slot + 1 => {
                    (page, slot + 1)
                }
                _ => (pages.take(), 0),
            };
            self.filled.insert(page, slot + 1);
            *self.in_page.entry(page).or_default() += 1;
            planned.rows.keep.push(Keep { row, page, slot });
            if let Some(trunk) = &mut planned.trunk {
                trunk.rows.keep.push(Keep { row: trunk.of[row], page, slot });
            }
            self.trie.nodes[node].place = Place::Page { page, slot };
        }
        for &node in nodes {
            if matches!(self.trie.nodes[node].place, Place::Row(_)) {
                self.trie.nodes[node].place = Place::Nowhere;
            }
        }
    }

    /// The nodes that may stay, where not all can: those of the paths that come next.
    fn affordable(&mut self, pages: &Pages, nodes: &[usize]) -> Option<HashSet<usize>> {
        let most = self.budget.kept_bytes / pages.page_bytes() * LANES;
        let new = nodes.iter().filter(|&&node| self.trie.nodes[node].uses > 0).count();
        if pages.used() * LANES + new <= most {
            return None;
        }
        let mut wanted = HashSet::new();
        for (index, &path) in self.order[self.next..].iter().enumerate() {
            if index > 0 && wanted.len() >= most {
                break;
            }
            wanted.extend(self.paths[path].nodes.iter().copied());
        }
        for path in self.paths.iter().filter(|path| path.held) {
            wanted.extend(path.nodes.iter().copied());
        }
        let dropped = |node: &usize| matches!(self.trie.nodes[*node].place, Place::Page { .. }) && !wanted.contains(node);
        // They may be read in this pass.
        let dropped: Vec<usize> =
            (0..self.trie.nodes.len()).filter(dropped).filter(|node| self.trie.nodes[*node].uses > 0).collect();
        self.dying.extend(dropped);
        Some(wanted)
    }
}

#[cfg(test)]
mod tests;
