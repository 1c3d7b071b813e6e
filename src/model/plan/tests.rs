//! Plans are carried out on paper: each pass writes down which tokens its rows and pages stand for, and reads them back.

use std::collections::{BTreeSet, HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::model::kernel::attention::{Heads, Values, padded};
use crate::model::kernel::panels::Panels;
use crate::model::rows::Run;

const HEADS: Heads = Heads { queries: 2, key_values: 1, dim: 2 };

/// A token with what stands before it, under a view: what a row computes.
type Prefix = (View, Vec<u32>);

/// One path, and which of its positions are asked for.
#[derive(Clone, Debug)]
struct Wanted {
    view: View,
    tokens: Vec<u32>,
    asked: Vec<usize>,
    held: bool,
}

/// A planner whose passes are carried out on paper.
struct Paper {
    planner: Planner,
    pages: Pages,
    budget: Budget,
    wanted: Vec<Wanted>,
    /// What stands in the slots of pages.
    written: HashMap<(usize, usize), Prefix>,
    /// How often each was computed.
    computed: HashMap<Prefix, usize>,
    asked: HashSet<usize>,
    complete: BTreeSet<usize>,
    released: BTreeSet<usize>,
    /// Rows that exist, by pass.
    passes: Vec<usize>,
}

impl Paper {
    fn new(wanted: &[Wanted], budget: Budget, shares_trunk: bool) -> Self {
        let mut planner = Planner::new(budget, shares_trunk);
        for (number, path) in wanted.iter().enumerate() {
            assert_eq!(planner.add(path.view, false, &path.tokens, path.held), number);
            for &position in &path.asked {
                assert_eq!(planner.ask(number, position), planner.node(number, position));
            }
        }
        planner.arrange();
        Self {
            planner,
            pages: Pages::new(HEADS, 1),
            budget,
            wanted: wanted.to_vec(),
            written: HashMap::new(),
            computed: HashMap::new(),
            asked: HashSet::new(),
            complete: BTreeSet::new(),
            released: BTreeSet::new(),
            passes: Vec::new(),
        }
    }

    fn prefix(&self, node: usize) -> Prefix {
        let mut tokens = Vec::new();
        let mut at = Some(node);
        while let Some(node) = at {
            tokens.push(self.planner.trie.nodes[node].token);
            at = self.planner.trie.nodes[node].parent;
        }
        tokens.reverse();
        (self.planner.views[self.planner.view_of[node]].0, tokens)
    }

    /// What pages hold and will go on holding.
    fn kept(&self) -> HashSet<usize> {
        let in_page = |node: &usize| matches!(self.planner.trie.nodes[*node].place, Place::Page { .. });
        let dying: HashSet<usize> = self.planner.dying.iter().copied().collect();
        (0..self.planner.trie.nodes.len()).filter(in_page).filter(|node| !dying.contains(node)).collect()
    }

    /// The tokens that some runs lead along. `rows` tells what rows of the pass stand for; `view` is left out where all are alike.
    fn read(&self, runs: &[Run], rows: &[Option<Vec<u32>>], view: Option<View>) -> Vec<u32> {
        let mut path: Vec<u32> = Vec::new();
        let mut go = |tokens: &[u32]| {
            let (last, before) = tokens.split_last().expect("a row stands for tokens");
            assert_eq!(before, path, "a run goes on from elsewhere");
            path.push(*last);
        };
        for run in runs {
            match run {
                Run::Rows(range) => range.clone().for_each(|row| go(rows[row].as_ref().expect("a row that is computed"))),
                Run::Page { page, positions } => {
                    assert!((1..=Pages::POSITIONS).contains(positions));
                    for slot in 0..*positions {
                        let (of, tokens) = &self.written[&(*page, slot)];
                        assert!(view.is_none_or(|view| view == *of), "a page of {of} is read for {view:?}");
                        go(tokens);
                    }
                }
            }
        }
        path
    }

    /// Checks how rows are laid out; gives what each stands for.
    fn rows(&self, rows: &Rows, any_view: bool) -> Vec<Option<Vec<u32>>> {
        let count = rows.tokens.len();
        assert!(count.is_multiple_of(LANES) && rows.positions.len() == count);
        let mut next_panel = 0;
        for view in &rows.views {
            assert_eq!(view.panels.start, next_panel, "views follow on each other, each from the beginning of a panel");
            assert!(!view.panels.is_empty());
            next_panel = view.panels.end;
        }
        assert_eq!(next_panel * LANES, count);
        let views: HashSet<View> = rows.views.iter().map(|view| view.view).collect();
        assert_eq!(views.len(), rows.views.len(), "a view comes once");
        let mut stand_for = vec![None; count];
        let mut next_row = 0;
        for segment in &rows.segments {
            assert!(segment.rows.start >= next_row && !segment.rows.is_empty());
            next_row = segment.rows.end;
            let owns = |view: &&super::super::rows::ViewPanels| {
                view.panels.start * LANES <= segment.rows.start && segment.rows.end <= view.panels.end * LANES
            };
            let view = rows.views.iter().find(owns).expect("a segment stands in the panels of one view").view;
            let mut path = self.read(&segment.path, &stand_for, (!any_view).then_some(view));
            for row in segment.rows.clone() {
                assert_eq!(rows.positions[row] as usize, path.len());
                path.push(rows.tokens[row]);
                assert!(stand_for[row].replace(path.clone()).is_none(), "row {row} stands in two segments");
            }
        }
        let existing = rows.all();
        assert!((0..count).all(|place| existing.rows[place] == stand_for[place].is_some().then_some(place)));
        stand_for
    }

    /// Plans a pass and carries it out; gives whether there was one.
    fn pass(&mut self, most_paths: usize) -> bool {
        let kept: HashSet<Prefix> = self.kept().into_iter().map(|node| self.prefix(node)).collect();
        let Some(planned) = self.planner.next_pass(&mut self.pages, most_paths) else { return false };
        let rows = &planned.rows;
        let stand_for = self.rows(rows, false);
        let view_of = |row: usize| rows.views.iter().find(|view| view.panels.contains(&(row / LANES))).unwrap().view;
        let prefixes: Vec<(usize, Prefix)> =
            stand_for.iter().enumerate().filter_map(|(row, tokens)| Some((row, (view_of(row), tokens.clone()?)))).collect();
        assert!(prefixes.len() <= self.budget.rows, "{} rows", prefixes.len());
        assert!(planned.complete.len() <= most_paths);
        assert!(!prefixes.is_empty() || !planned.complete.is_empty(), "a pass that does nothing");
        for (_, prefix) in &prefixes {
            assert!(!kept.contains(prefix), "{prefix:?} was kept, and is computed again");
            *self.computed.entry(prefix.clone()).or_default() += 1;
        }
        assert_eq!(prefixes.iter().map(|(_, prefix)| prefix).collect::<HashSet<_>>().len(), prefixes.len(), "computed twice");
        assert_eq!(planned.computed.iter().map(|(_, rows)| rows).sum::<usize>(), prefixes.len());
        self.asked_for(&planned, &stand_for);
        if let Some(trunk) = &planned.trunk {
            self.trunk(trunk, &planned, &stand_for);
        } else {
            assert!(!self.planner.shares_trunk || rows.views.len() < 2);
        }
        self.write(&planned, &prefixes.iter().cloned().collect());
        for &path in &planned.complete {
            assert!(self.complete.insert(path), "path {path} is complete twice");
            let Wanted { view, tokens, asked, .. } = &self.wanted[path];
            assert!((1..=tokens.len()).all(|end| self.computed.contains_key(&(*view, tokens[..end].to_vec()))));
            assert!(asked.iter().all(|&position| self.asked.contains(&self.planner.node(path, position))), "path {path}");
        }
        self.passes.push(prefixes.len());
        true
    }

    /// Each node that is asked for is read once, from a row that stands for it.
    fn asked_for(&mut self, planned: &Planned, stand_for: &[Option<Vec<u32>>]) {
        assert!(planned.rows.asked.is_sorted_by(|a, b| a < b) && planned.asked.len() == planned.rows.asked.len());
        for (&row, &node) in planned.rows.asked.iter().zip(&planned.asked) {
            let (_, tokens) = self.prefix(node);
            assert_eq!(stand_for[row].as_ref(), Some(&tokens));
            assert!(self.asked.insert(node), "node {node} is asked for twice");
        }
        let picked = planned.rows.picked(&planned.rows.asked);
        assert!(picked.rows.iter().flatten().eq(&planned.rows.asked), "what is asked for is picked in its order");
    }

    /// Below the first layer that differs, rows with the same tokens are one, whatever their views.
    fn trunk(&self, trunk: &Trunk, planned: &Planned, stand_for: &[Option<Vec<u32>>]) {
        assert!(planned.rows.views.len() > 1);
        let shared = self.rows(&trunk.rows, true);
        let distinct: HashSet<&Vec<u32>> = stand_for.iter().flatten().collect();
        let once: HashSet<&Vec<u32>> = shared.iter().flatten().collect();
        assert_eq!(once, distinct);
        assert_eq!(shared.iter().flatten().count(), distinct.len(), "tokens stand in the trunk twice");
        for (row, tokens) in stand_for.iter().enumerate().filter(|(_, tokens)| tokens.is_some()) {
            assert_eq!(&shared[trunk.of[row]], tokens);
        }
        let kept = |keep: &[Keep], of: &dyn Fn(usize) -> usize| -> Vec<(usize, usize, usize)> {
            keep.iter().map(|keep| (of(keep.row), keep.page, keep.slot)).collect()
        };
        assert_eq!(kept(&trunk.rows.keep, &|row| row), kept(&planned.rows.keep, &|row| trunk.of[row]));
    }

    /// Stores what outlives the pass, and holds what the planner believes of the pages against what stands in them.
    fn write(&mut self, planned: &Planned, prefixes: &HashMap<usize, Prefix>) {
        let in_trunk = planned.trunk.iter().flat_map(|trunk| &trunk.rows.segments);
        let runs = planned.rows.segments.iter().chain(in_trunk).flat_map(|segment| &segment.path);
        let mut read = HashSet::new();
        for run in runs {
            if let Run::Page { page, positions } = run {
                read.extend((0..*positions).map(|slot| (*page, slot)));
            }
        }
        let mut slots = HashSet::new();
        for keep in &planned.rows.keep {
            let slot = (keep.page, keep.slot);
            // Attention reads a layer's pages after the pass has stored into them.
            assert!(!read.contains(&slot), "{keep:?} is read and written in one pass");
            assert!(keep.slot < Pages::POSITIONS && slots.insert(slot));
            self.written.insert((keep.page, keep.slot), prefixes[&keep.row].clone());
        }
        for node in 0..self.planner.trie.nodes.len() {
            match self.planner.trie.nodes[node].place {
                Place::Page { page, slot } => assert_eq!(self.written.get(&(page, slot)), Some(&self.prefix(node))),
                Place::Nowhere => {}
                Place::Row(_) => panic!("node {node} stands in a pass that is over"),
            }
        }
        let needed: HashSet<usize> = (0..self.wanted.len())
            .filter(|path| !self.complete.contains(path) && !planned.complete.contains(path) || self.planner.paths[*path].held)
            .flat_map(|path| self.planner.paths[path].nodes.clone())
            .collect();
        let needed: HashSet<Prefix> = needed.into_iter().map(|node| self.prefix(node)).collect();
        assert!(planned.rows.keep.iter().all(|keep| needed.contains(&prefixes[&keep.row])), "what nobody needs is kept");
        self.held();
    }

    /// What is held can be read back until it is released.
    fn held(&self) {
        let complete = self.complete.iter().filter(|path| !self.released.contains(path) && self.wanted[**path].held);
        for &path in complete {
            let Wanted { view, tokens, .. } = &self.wanted[path];
            let runs = self.planner.trie.runs(Some(self.planner.node(path, tokens.len() - 1)));
            assert_eq!(&self.read(&runs, &[], Some(*view)), tokens);
        }
    }

    fn release(&mut self, path: usize) {
        assert!(self.released.insert(path));
        self.planner.release(path);
        self.held();
    }

    /// Nodes that the pages may hold: as many as the budget has room for, the next path's, and what is held.
    fn allowed(&self) -> usize {
        let budget = self.budget.kept_bytes / self.pages.page_bytes() * LANES;
        let longest = self.wanted.iter().map(|path| path.tokens.len()).max().unwrap_or(0);
        let held: HashSet<usize> =
            self.planner.paths.iter().filter(|path| path.held).flat_map(|path| path.nodes.clone()).collect();
        budget.saturating_add(longest + held.len())
    }

    /// Pages that some nodes stand in.
    fn pages_of(&self, nodes: impl IntoIterator<Item = usize>) -> usize {
        let page =
            |node: usize| if let Place::Page { page, .. } = self.planner.trie.nodes[node].place { Some(page) } else { None };
        nodes.into_iter().filter_map(page).collect::<HashSet<_>>().len()
    }

    /// Carries out all passes; a held path is released some passes after it is complete.
    fn run(&mut self, most_paths: usize, patience: usize) {
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        while !self.planner.is_done() {
            let before = self.complete.clone();
            assert!(self.pass(most_paths));
            assert!(self.kept().len() <= self.allowed(), "{} nodes are kept of {}", self.kept().len(), self.allowed());
            let number = self.passes.len();
            let new = self.complete.difference(&before).filter(|path| self.wanted[**path].held);
            waiting.extend(new.map(|&path| (number + patience, path)));
            let (due, later): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(when, _)| *when <= number);
            waiting = later;
            for (_, path) in due {
                self.release(path);
            }
        }
        for (_, path) in waiting {
            self.release(path);
        }
        assert!(!self.pass(most_paths));
        assert_eq!(self.complete.len(), self.wanted.len());
        assert_eq!(self.pages.used(), 0, "pages are given back");
        let wanted: HashSet<usize> = self
            .wanted
            .iter()
            .enumerate()
            .flat_map(|(path, wanted)| wanted.asked.iter().map(move |&at| (path, at)))
            .map(|(path, at)| self.planner.node(path, at))
            .collect();
        assert_eq!(self.asked, wanted);
    }

    fn distinct(&self) -> HashSet<Prefix> {
        let prefixes =
            |path: &Wanted| (1..=path.tokens.len()).map(|end| (path.view, path.tokens[..end].to_vec())).collect::<Vec<_>>();
        self.wanted.iter().flat_map(prefixes).collect()
    }
}

fn views() -> impl Strategy<Value = View> {
    prop::sample::select(&[View::Base, View::Ft, View::Null(3)][..])
}

/// Paths of few tokens, which share much; some are the beginnings of one long text.
fn paths(held: bool) -> impl Strategy<Value = Vec<Wanted>> {
    let asked = || prop::collection::vec(0usize..1000, 0..4);
    let few = prop_oneof![prop::collection::vec(0u32..2, 1..12), prop::collection::vec(0u32..3, 1..60)];
    let stem = (prop::collection::vec(0u32..50, 70), 1usize..70, prop::collection::vec(0u32..3, 0..5));
    let one = (views(), few, any::<bool>(), asked(), prop::bool::weighted(0.5));
    let of_stem = (views(), 1usize..70, prop::collection::vec(0u32..3, 0..5), asked(), prop::bool::weighted(0.5));
    (prop::collection::vec(one, 0..20), stem, prop::collection::vec(of_stem, 0..20)).prop_map(
        move |(ones, (stem, length, end), stems)| {
            let stems = stems.into_iter().map(|(view, length, end, asked, held)| {
                (view, stem[..length].iter().chain(&end).copied().collect(), asked, held)
            });
            let whole = (View::Base, stem[..length].iter().chain(&end).copied().collect::<Vec<u32>>(), vec![0], true);
            let all =
                ones.into_iter().map(|(view, tokens, _, asked, held)| (view, tokens, asked, held)).chain(stems).chain([whole]);
            let wanted = |(view, tokens, asked, hold): (View, Vec<u32>, Vec<usize>, bool)| {
                let asked = asked.iter().map(|at| at % tokens.len()).collect();
                Wanted { view, tokens, asked, held: held && hold }
            };
            all.map(wanted).collect()
        },
    )
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// Bytes of that many pages.
fn pages(count: usize) -> usize {
    count * Pages::new(HEADS, 1).page_bytes()
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn with_room_for_all_each_node_is_computed_once(wanted in paths(false), rows in 1usize..100, shares_trunk: bool) {
        let mut paper = Paper::new(&wanted, Budget { rows, kept_bytes: usize::MAX }, shares_trunk);
        paper.run(usize::MAX, 0);
        let computed: HashSet<Prefix> = paper.computed.keys().cloned().collect();
        prop_assert_eq!(computed, paper.distinct());
        prop_assert!(paper.computed.values().all(|count| *count == 1));
    }

    #[test]
    fn with_little_room_everything_is_computed_all_the_same(
        wanted in paths(false), rows in 1usize..100, kept in 0usize..6, shares_trunk: bool,
    ) {
        let mut paper = Paper::new(&wanted, Budget { rows, kept_bytes: pages(kept) }, shares_trunk);
        paper.run(usize::MAX, 0);
        let computed: HashSet<Prefix> = paper.computed.keys().cloned().collect();
        prop_assert_eq!(computed, paper.distinct());
    }

    #[test]
    fn what_is_held_stays_until_it_is_released(
        wanted in paths(true), rows in 1usize..100, kept in prop_oneof![0usize..6, Just(1 << 20)], most_paths in 1usize..8,
        patience in 0usize..6, shares_trunk: bool,
    ) {
        let mut paper = Paper::new(&wanted, Budget { rows, kept_bytes: pages(kept) }, shares_trunk);
        paper.run(most_paths, patience);
        let computed: HashSet<Prefix> = paper.computed.keys().cloned().collect();
        prop_assert_eq!(computed, paper.distinct());
    }
}

/// Paths without a common token, of these lengths.
fn apart(lengths: &[usize]) -> Vec<Wanted> {
    let path = |(number, &length): (usize, &usize)| {
        let tokens = (0..length as u32).map(|at| at * lengths.len() as u32 + number as u32).collect();
        Wanted { view: View::Base, tokens, asked: vec![length - 1], held: false }
    };
    lengths.iter().enumerate().map(path).collect()
}

fn passes(wanted: &[Wanted], budget: Budget) -> Vec<usize> {
    let mut paper = Paper::new(wanted, budget, false);
    paper.run(usize::MAX, 0);
    paper.passes
}

#[test]
fn passes_are_cut_by_their_rows() {
    let budget = Budget { rows: 2048, kept_bytes: usize::MAX };
    assert_eq!(passes(&apart(&[1000, 1048, 1, 2000, 49]), budget), [2048, 2001, 49]);
    assert_eq!(passes(&apart(&[40, 2000, 50]), budget), [2040, 50], "a short path waits as a whole");
    assert_eq!(passes(&apart(&[10, 5000, 10]), budget), [2048, 2048, 924], "a long one is cut");
    assert_eq!(passes(&apart(&[1600, 600]), budget), [2048, 152]);
}

#[test]
fn a_text_and_its_beginnings_are_one_row_a_token() {
    let whole: Vec<u32> = (0..100).collect();
    let beginnings =
        (1..=100).map(|end| Wanted { view: View::Base, tokens: whole[..end].to_vec(), asked: vec![end - 1], held: false });
    let wanted: Vec<Wanted> = beginnings.collect();
    assert_eq!(passes(&wanted, Budget { rows: 1000, kept_bytes: 0 }), [100]);
    let backwards: Vec<Wanted> = wanted.iter().rev().cloned().collect();
    assert_eq!(passes(&backwards, Budget { rows: 1000, kept_bytes: 0 }), [100]);
    let twice: Vec<Wanted> = wanted.iter().chain(&backwards).cloned().collect();
    assert_eq!(passes(&twice, Budget { rows: 30, kept_bytes: usize::MAX }), [30, 30, 30, 10]);
}

#[test]
fn what_there_is_no_room_to_keep_is_computed_again_where_it_is_needed_again() {
    let of = |view, last: u32| Wanted { view, tokens: (0..20).chain([last]).collect(), asked: vec![20], held: false };
    let one_view = [100, 101, 102].map(|last| of(View::Base, last));
    assert_eq!(passes(&one_view, Budget { rows: 21, kept_bytes: 0 }), [21, 2], "what the next path needs is always kept");
    let in_turn = [100, 101, 102, 103].map(|last| of(if last % 2 == 0 { View::Base } else { View::Ft }, last));
    assert_eq!(passes(&in_turn, Budget { rows: 21, kept_bytes: 0 }), [21; 4]);
    assert_eq!(passes(&in_turn, Budget { rows: 21, kept_bytes: pages(4) }), [21, 21, 2]);
}

/// A conversation in which every turn is asked about: what is kept of it is a stem with a branch at every token.
#[test]
fn pages_stay_within_the_budget_where_every_token_of_a_stem_has_a_branch() {
    let turn =
        |end: u32| Wanted { view: View::Base, tokens: (0..end).chain([1000 + end]).collect(), asked: vec![0], held: false };
    let wanted: Vec<Wanted> = (1..200).map(turn).collect();
    let mut paper = Paper::new(&wanted, Budget { rows: 128, kept_bytes: pages(16) }, false);
    while paper.pass(usize::MAX) {
        let (kept, pages) = (paper.kept(), paper.pages_of(paper.kept()));
        assert!(pages <= 16, "{} positions are kept in {pages} pages of {} positions", kept.len(), Pages::POSITIONS);
    }
}

#[test]
fn views_of_the_same_tokens_stand_in_one_pass_in_panels_of_their_own() {
    let of = |view, length: u32| Wanted { view, tokens: (0..length).collect(), asked: vec![0], held: false };
    let wanted = [of(View::Ft, 5), of(View::Base, 20), of(View::Null(1), 3), of(View::Base, 20)];
    let mut paper = Paper::new(&wanted, Budget { rows: 100, kept_bytes: 0 }, true);
    let planned = paper.planner.next_pass(&mut paper.pages, usize::MAX).unwrap();
    let views: Vec<_> = planned.rows.views.iter().map(|view| (view.view, view.panels.clone())).collect();
    assert_eq!(views, [(View::Base, 0..2), (View::Ft, 2..3), (View::Null(1), 3..4)]);
    let trunk = planned.trunk.unwrap();
    assert_eq!(trunk.rows.segments.iter().map(|segment| segment.rows.len()).sum::<usize>(), 20);
    assert_eq!(planned.computed.iter().map(|(_, rows)| rows).sum::<usize>(), 28);
}

#[test]
fn picked_rows_of_a_view_move_together_and_begin_a_panel() {
    let of = |view, tokens: Vec<u32>, asked: Vec<usize>| Wanted { view, tokens, asked, held: false };
    let wanted = [
        of(View::Base, (0..40).collect(), vec![3, 20, 39]),
        of(View::Ft, (0..3).collect(), vec![]),
        of(View::Null(1), vec![7], vec![0]),
    ];
    let mut paper = Paper::new(&wanted, Budget { rows: 100, kept_bytes: 0 }, false);
    let rows = paper.planner.next_pass(&mut paper.pages, usize::MAX).unwrap().rows;
    let picked = rows.picked(&rows.asked);
    assert_eq!(picked.views.iter().map(|view| view.panels.clone()).collect::<Vec<_>>(), [0..1, 1..1, 1..2]);
    assert_eq!(picked.rows.iter().position(|row| *row == Some(39)), Some(2));
    assert_eq!(picked.count(0..1), 3);
    let [query] = picked.queries[0].as_slice() else { panic!("{:?}", picked.queries) };
    assert_eq!((query.lanes.clone(), query.last, &query.positions[..4]), (0..3, 39, &[3, 20, 39, 3][..]));
}

#[test]
fn a_page_gives_back_what_was_stored_in_each_of_its_layers() {
    let heads = Heads { queries: 4, key_values: 2, dim: 6 };
    let (size, width) = (heads.key_size(), padded(heads.dim));
    let mut pages = Pages::new(heads, 3);
    let (first, second) = (pages.take(), pages.take());
    assert_eq!((pages.used(), first == second), (2, false));
    let number =
        |page: usize, layer: usize, slot: usize, feature: usize| (page * 10_000 + layer * 1000 + slot * 30 + feature) as f32;
    for page in [first, second] {
        for layer in 0..3 {
            let mut rows = Panels::new(2, 2 * size);
            for slot in 0..LANES {
                // Rows of a pass stand anywhere.
                let row = 31 - slot;
                rows.set_row(row, (0..2 * size).map(|feature| number(page, layer, slot, feature)));
                pages.store(page, layer, slot, &rows, row);
            }
        }
    }
    for page in [first, second] {
        for layer in 0..3 {
            let (keys, values) = pages.layer(page, layer);
            let Values::ByPosition(values) = values else { panic!("pages hold values by position") };
            for slot in 0..LANES {
                for feature in 0..size {
                    assert_eq!(keys[feature * LANES + slot].to_bits(), number(page, layer, slot, feature).to_bits());
                    let (head, d) = (feature / heads.dim, feature % heads.dim);
                    let value = values[(head * LANES + slot) * width + d];
                    assert_eq!(value.to_bits(), number(page, layer, slot, size + feature).to_bits());
                }
            }
        }
    }
    pages.give_back(first);
    assert_eq!(pages.used(), 1);
    assert_eq!(pages.take(), first, "what was given back is taken again");
}

#[test]
fn a_walk_through_a_trie_goes_down_before_it_goes_on() {
    let mut trie = Trie::default();
    let mut ends = [[1, 2, 3], [4, 5, 6], [1, 2, 9], [1, 7, 7]].map(|tokens| *trie.insert(0, &tokens).last().unwrap()).to_vec();
    ends.push(*trie.insert(1, &[1, 2, 3]).last().unwrap());
    ends.push(*trie.insert(0, &[1]).last().unwrap());
    assert_eq!(trie.nodes.len(), 3 + 3 + 1 + 2 + 3, "each prefix of a view once");
    let ranks = trie.ranks();
    let mut sorted = ranks.clone();
    sorted.sort_unstable();
    assert!(sorted.into_iter().eq(0..trie.nodes.len()));
    let mut order: Vec<usize> = (0..ends.len()).collect();
    order.sort_by_key(|&path| ranks[ends[path]]);
    assert_eq!(order, [5, 0, 2, 3, 1, 4]);
}
