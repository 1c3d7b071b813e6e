//! The response cache against a plain model of it.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const TTL: Duration = Duration::from_mins(30);
const KEYS: u64 = 8;
const SLOTS: usize = 3;

#[derive(Clone, Debug)]
enum Op {
    /// Seconds.
    Wait(u32),
    Begin(usize, Mode),
    Get(usize, Vec<u64>),
    Put(usize, Vec<(u64, usize)>),
    Finish(usize, Finished),
    /// The process dies, as far as the store can see.
    Die(usize),
    Resume(usize),
    Evict(Limits),
    Prune(Limits),
    Clear,
    Reopen,
}

fn op() -> impl Strategy<Value = Op> {
    let slot = 0..SLOTS;
    let mode = prop_oneof![Just(Mode::Shared), Just(Mode::Refresh), Just(Mode::Private)];
    let finished = prop_oneof![3 => Just(Finished::Completed), 1 => Just(Finished::Failed), 1 => Just(Finished::Interrupted)];
    let limits = (prop_oneof![Just(TTL), Just(TTL / 3), Just(Duration::MAX)], 0_u64..3000)
        .prop_map(|(ttl, max_bytes)| Limits { ttl, max_bytes });
    prop_oneof![
        4 => (0_u32..900).prop_map(Op::Wait),
        2 => (slot.clone(), mode).prop_map(|(slot, mode)| Op::Begin(slot, mode)),
        6 => (slot.clone(), prop::collection::vec(0..KEYS, 0..6)).prop_map(|(slot, keys)| Op::Get(slot, keys)),
        6 => (slot.clone(), prop::collection::vec((0..KEYS, 0_usize..300), 0..5)).prop_map(|(slot, put)| Op::Put(slot, put)),
        2 => (slot.clone(), finished).prop_map(|(slot, finished)| Op::Finish(slot, finished)),
        1 => slot.clone().prop_map(Op::Die),
        2 => slot.prop_map(Op::Resume),
        2 => limits.clone().prop_map(Op::Evict),
        1 => limits.prop_map(Op::Prune),
        1 => Just(Op::Clear),
        1 => Just(Op::Reopen),
    ]
}

#[derive(Clone)]
struct ModelRow {
    response: Response,
    created: Timestamp,
    used: Timestamp,
    run: i64,
    id: u64,
}

/// What the store should hold.
#[derive(Default)]
struct Model {
    rows: HashMap<(i64, u64), ModelRow>,
    marks: HashMap<(i64, u64), Timestamp>,
}

impl Model {
    /// Every write takes the marks along.
    fn flush(&mut self) {
        for (place, now) in self.marks.drain() {
            if let Some(row) = self.rows.get_mut(&place) {
                row.used = row.used.max(now);
            }
        }
    }

    fn get(&mut self, (scope, run): (i64, i64), key: u64, now: Timestamp) -> Option<Response> {
        let row = self.rows.get(&(scope, key))?;
        if scope == 0 && now.0 - row.created.0 > TTL.as_millis() as i64 && row.run != run {
            return None;
        }
        if now.0 - row.used.0 > 60_000 {
            self.marks.insert((scope, key), now);
        }
        Some(row.response.clone())
    }

    fn put(&mut self, (scope, run): (i64, i64), key: u64, response: Response, now: Timestamp) {
        let next = self.rows.values().map(|row| row.id + 1).max().unwrap_or(1);
        let id = self.rows.get(&(scope, key)).map_or(next, |row| row.id);
        self.rows.insert((scope, key), ModelRow { response, created: now, used: now, run, id });
    }

    fn complete(&mut self, id: i64, mode: Mode) {
        let own: Vec<_> = self.rows.keys().copied().filter(|&(scope, _)| scope == id).collect();
        for place in own {
            let row = self.rows.remove(&place).unwrap();
            if mode == Mode::Refresh {
                self.rows.insert((0, place.1), row);
            }
        }
    }

    /// Entries and bytes of what is shared, or of what is not.
    fn size(&self, shared: bool) -> (u64, u64) {
        let rows = self.rows.iter().filter(|((scope, _), _)| (*scope == 0) == shared);
        rows.fold((0, 0), |(entries, bytes), (_, row)| {
            let text = row.response.text.as_ref().map_or(0, String::len);
            (entries + 1, bytes + (row.response.answer.len() + text) as u64 + 200)
        })
    }

    fn evict(&mut self, limits: Limits, now: Timestamp) {
        let ttl = i64::try_from(limits.ttl.as_millis()).unwrap_or(i64::MAX);
        self.rows.retain(|(scope, _), row| *scope != 0 || now.0 - row.created.0 <= ttl);
        while self.size(true).1 > limits.max_bytes {
            let shared = self.rows.iter().filter(|((scope, _), _)| *scope == 0);
            let oldest = shared.min_by_key(|(_, row)| (row.used, row.id)).map(|(place, _)| *place);
            self.rows.remove(&oldest.unwrap());
        }
    }
}

enum Slot {
    Empty,
    Open(Run),
    Dead(RunId, Mode),
}

impl Slot {
    /// The scope and the run of who asks.
    fn scope(&self) -> (i64, i64) {
        match self {
            // Without a run no response is one's own.
            Self::Empty | Self::Dead(..) => (0, -1),
            Self::Open(run) if run.mode() == Mode::Shared => (0, run.id().0),
            Self::Open(run) => (run.id().0, run.id().0),
        }
    }

    /// The run that is in progress here.
    fn open(&self) -> Option<i64> {
        if let Self::Open(run) = self { Some(run.id().0) } else { None }
    }

    fn responses(&self, store: &Store) -> Responses {
        match self {
            Self::Open(run) => run.responses(TTL),
            Self::Empty | Self::Dead(..) => store.responses(TTL),
        }
    }

    fn die(&mut self) {
        if let Self::Open(run) = self {
            *self = Self::Dead(run.id(), run.mode());
        }
    }
}

fn check(ops: &[Op], salt: Index) {
    let home = Home::new();
    let mut store = home.open();
    let mut model = Model::default();
    let mut slots = [const { Slot::Empty }; SLOTS];
    let mut now = minute(0);
    let mut content = salt.index(1000) as u64;
    for op in ops {
        match op {
            Op::Wait(seconds) => now = Timestamp(now.0 + i64::from(*seconds) * 1000),
            Op::Begin(slot, mode) => {
                slots[*slot] = Slot::Open(store.begin(&new_run(*mode), now).unwrap());
                model.flush();
            }
            Op::Get(slot, keys) => {
                let asked: Vec<_> = keys.iter().map(|&n| key(n)).collect();
                let found = slots[*slot].responses(&store).get(&asked, now).unwrap();
                let expected: Vec<_> = keys.iter().map(|&n| model.get(slots[*slot].scope(), n, now)).collect();
                assert_eq!(found, expected);
            }
            Op::Put(slot, put) => {
                model.flush();
                let mut rows = Vec::new();
                for &(n, bytes) in put {
                    content += 1;
                    rows.push((key(n), response(content, bytes)));
                    let (scope, run) = slots[*slot].scope();
                    // What no run wrote is nobody's own.
                    model.put((scope, if run < 0 { -2 } else { run }), n, response(content, bytes), now);
                }
                slots[*slot].responses(&store).put(&rows, now).unwrap();
            }
            Op::Finish(slot, finished) => {
                if let Slot::Open(run) = std::mem::replace(&mut slots[*slot], Slot::Empty) {
                    let (id, mode) = (run.id(), run.mode());
                    run.finish(&finish(*finished), now).unwrap();
                    model.flush();
                    if *finished == Finished::Completed {
                        model.complete(id.0, mode);
                    } else {
                        slots[*slot] = Slot::Dead(id, mode);
                    }
                }
            }
            Op::Die(slot) => slots[*slot].die(),
            Op::Resume(slot) => {
                if let Slot::Dead(id, mode) = slots[*slot] {
                    let run = store.resume(id, now).unwrap();
                    assert_eq!((run.id(), run.mode()), (id, mode));
                    slots[*slot] = Slot::Open(run);
                    model.flush();
                }
            }
            Op::Evict(limits) | Op::Prune(limits) => {
                model.flush();
                let before = model.size(true);
                model.evict(*limits, now);
                let after = model.size(true);
                let is_prune = matches!(op, Op::Prune(_));
                if is_prune {
                    let open: Vec<i64> = slots.iter().filter_map(Slot::open).collect();
                    let ttl = i64::try_from(limits.ttl.as_millis()).unwrap_or(i64::MAX);
                    model.rows.retain(|(scope, _), row| *scope == 0 || open.contains(scope) || now.0 - row.created.0 <= ttl);
                }
                let evicted = if is_prune { store.prune(*limits, now) } else { store.evict(*limits, now) };
                let expected = Evicted { entries: before.0 - after.0, bytes: before.1 - after.1, facts: 0 };
                assert_eq!(evicted.unwrap(), expected);
            }
            Op::Clear => {
                model.flush();
                let (entries, bytes) = model.size(true);
                model.rows.retain(|(scope, _), _| *scope != 0);
                assert_eq!(store.clear().unwrap(), Evicted { entries, bytes, facts: 0 });
            }
            Op::Reopen => {
                slots.iter_mut().for_each(Slot::die);
                drop(store);
                store = home.open();
                model.marks.clear();
            }
        }
        let stats = store.stats().unwrap();
        assert_eq!((stats.entries, stats.bytes), model.size(true), "after {op:?}");
        assert_eq!((stats.private_entries, stats.private_bytes), model.size(false), "after {op:?}");
        let created = || model.rows.iter().filter(|((scope, _), _)| *scope == 0).map(|(_, row)| row.created);
        assert_eq!((stats.oldest, stats.newest), (created().min(), created().max()));
        assert_eq!(stats.ops.iter().map(|op| op.bytes).sum::<u64>(), stats.bytes);
        assert_eq!(stats.ops.iter().map(|op| op.entries).sum::<u64>(), stats.entries);
    }
    store.integrity_check().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_cache_agrees_with_a_plain_model(ops in prop::collection::vec(op(), 1..80), salt: Index) {
        check(&ops, salt);
    }
}

#[test]
fn a_run_keeps_what_it_wrote_itself_beyond_the_time_to_live_and_after_it_was_resumed() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Shared), minute(0)).unwrap();
    run.responses(HOUR).put(&[(key(1), response(1, 10))], minute(0)).unwrap();
    let id = run.id();
    assert_eq!(store.responses(HOUR).get(&[key(1)], minute(60)).unwrap(), [Some(response(1, 10))], "not yet too old");
    assert_eq!(store.responses(HOUR).get(&[key(1)], minute(61)).unwrap(), [None]);
    drop(run);
    let run = store.resume(id, minute(100)).unwrap();
    assert_eq!(run.responses(HOUR).get(&[key(1)], minute(100)).unwrap(), [Some(response(1, 10))]);
}

#[test]
fn a_complete_run_leaves_no_responses_of_its_own_even_if_somebody_still_holds_its_cache() {
    let home = Home::new();
    let store = home.open();
    let run = store.begin(&new_run(Mode::Private), minute(0)).unwrap();
    let responses = run.responses(HOUR);
    responses.put(&[(key(1), response(1, 10))], minute(0)).unwrap();
    run.finish(&finish(Finished::Completed), minute(1)).unwrap();
    let error = responses.put(&[(key(2), response(2, 10))], minute(2)).unwrap_err();
    assert_eq!(error.to_string(), "run 1 is complete");
    assert_eq!(store.stats().unwrap().private_entries, 0);
}

#[test]
fn a_latency_that_is_no_number_is_refused_with_all_that_came_with_it() {
    let home = Home::new();
    let store = home.open();
    let bad = Response { latency_ms: f64::NAN, ..response(2, 10) };
    let error = store.responses(HOUR).put(&[(key(1), response(1, 10)), (key(2), bad)], minute(0)).unwrap_err();
    assert_eq!(error.to_string(), "the latency is NaN, which can't be stored");
    assert_eq!(store.responses(HOUR).get(&[key(1), key(2)], minute(0)).unwrap(), [None, None]);
}

#[test]
fn pruning_gives_the_space_back() {
    let home = Home::new();
    let store = home.open();
    let many: Vec<_> = (0..200).map(|n| (key(n), response(n, 20_000))).collect();
    store.responses(HOUR).put(&many, minute(0)).unwrap();
    assert!(store.stats().unwrap().bytes_on_disk > 4_000_000);
    let evicted = store.prune(Limits { ttl: HOUR, max_bytes: 100_000 }, minute(1)).unwrap();
    assert_eq!(evicted.entries, 196);
    assert!(store.stats().unwrap().bytes_on_disk < 250_000, "{:?}", store.stats());
    assert_eq!(store.clear().unwrap().entries, 4);
    assert!(store.stats().unwrap().bytes_on_disk < 150_000, "{:?}", store.stats());
    store.integrity_check().unwrap();
}

#[test]
fn more_marks_than_are_kept_in_memory_are_written_by_the_read_itself() {
    let home = Home::new();
    let store = home.open();
    let many: Vec<_> = (0..5000).map(|n| (key(n), response(n, 1))).collect();
    store.responses(HOUR).put(&many, minute(0)).unwrap();
    let keys: Vec<_> = (1..5000).map(key).collect();
    store.responses(HOUR).get(&keys, minute(5)).unwrap();
    drop(store);
    let store = home.open();
    let bytes = store.stats().unwrap().bytes;
    store.evict(Limits { ttl: HOUR, max_bytes: bytes - 1 }, minute(6)).unwrap();
    assert_eq!(store.responses(HOUR).get(&[key(0), key(1)], minute(6)).unwrap(), [None, Some(response(1, 1))]);
}
