//! Against a plain list.

use proptest::prelude::*;

use super::*;

const MAX_MODELS: usize = 3;
const MAX_BYTES: u64 = 60;

#[derive(Clone, Debug)]
enum Step {
    /// Asks for a content by one of its spellings, and lets go at once or at a later [`Step::LetGo`].
    Get {
        content: usize,
        spelled: usize,
        holds: bool,
        makes_room: bool,
    },
    LetGo,
    Fail,
    Evict(usize),
    EvictAll,
    EvictIdle(u64),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0usize..7, 0usize..2, any::<bool>(), any::<bool>())
            .prop_map(|(content, spelled, holds, makes_room)| Step::Get { content, spelled, holds, makes_room }),
        4 => Just(Step::LetGo),
        1 => Just(Step::Fail),
        1 => (0usize..7).prop_map(Step::Evict),
        1 => Just(Step::EvictAll),
        1 => (0u64..6).prop_map(Step::EvictIdle),
        3 => (0u64..3).prop_map(Step::Pass),
    ]
}

/// Bytes of its own, and which base of 20 bytes it stands on, if any.
fn content(number: usize) -> (u64, Option<usize>) {
    [(5, Some(0)), (5, Some(0)), (9, Some(1)), (20, None), (31, None), (1, Some(1)), (40, None)][number]
}

#[derive(Clone)]
struct Entry {
    content: usize,
    leases: usize,
    hits: u64,
    last_used: u64,
    spelled: Vec<usize>,
}

/// The least recently used first.
#[derive(Clone, Default)]
struct List {
    entries: Vec<Entry>,
    now: u64,
    closed: usize,
}

impl List {
    fn find(&self, content: usize) -> Option<usize> {
        self.entries.iter().position(|entry| entry.content == content)
    }

    fn bytes(&self, beside: Option<usize>) -> u64 {
        let all = || self.entries.iter().map(|entry| entry.content).chain(beside);
        let own: u64 = all().map(|number| content(number).0).sum();
        let bases = (0..2).filter(|base| all().any(|number| content(number).1 == Some(*base))).count();
        own + 20 * bases as u64
    }

    /// The newest of an entry, after this was done to it.
    fn used(&mut self, at: usize, act: impl FnOnce(&mut Entry)) {
        let mut entry = self.entries.remove(at);
        act(&mut entry);
        entry.last_used = self.now;
        self.entries.push(entry);
    }

    /// Whether that is possible without waiting for a lease.
    fn evict_while(&mut self, spared: Option<usize>, is_over: impl Fn(&Self) -> bool) -> bool {
        while is_over(self) {
            let others = || self.entries.iter().enumerate().filter(|(_, entry)| Some(entry.content) != spared);
            if let Some((idle, _)) = others().find(|(_, entry)| entry.leases == 0) {
                self.entries.remove(idle);
                self.closed += 1;
            } else {
                return others().next().is_none();
            }
        }
        true
    }

    fn get(&mut self, number: usize, spelled: usize, makes_room: bool) -> bool {
        if let Some(at) = self.find(number) {
            if self.entries[at].spelled.contains(&spelled) {
                self.used(at, |entry| entry.hits += 1);
            } else {
                // Loaded again, room included, to be found a second copy.
                if makes_room && !self.evict_while(None, |list| list.bytes(None) + content(number).0 > MAX_BYTES) {
                    return false;
                }
                match self.find(number) {
                    Some(at) => {
                        self.closed += 1;
                        self.used(at, |entry| entry.spelled.push(spelled));
                    }
                    None => return self.insert(number, spelled),
                }
            }
            return true;
        }
        (!makes_room || self.evict_while(None, |list| list.bytes(Some(number)) > MAX_BYTES)) && self.insert(number, spelled)
    }

    fn insert(&mut self, content: usize, spelled: usize) -> bool {
        self.entries.push(Entry { content, leases: 0, hits: 0, last_used: self.now, spelled: vec![spelled] });
        self.evict_while(Some(content), |list| list.entries.len() > MAX_MODELS || list.bytes(None) > MAX_BYTES)
    }

    fn let_go(&mut self, content: usize) {
        if let Some(at) = self.find(content) {
            self.used(at, |entry| entry.leases -= 1);
        }
    }
}

struct Pair {
    house: House,
    began: Instant,
    list: List,
    held: Vec<(usize, Lease<Model>)>,
}

impl Pair {
    fn new() -> Self {
        let house = House::within(Bounds { max_models: MAX_MODELS, max_bytes: Some(MAX_BYTES) });
        let began = *house.now();
        Self { house, began, list: List::default(), held: Vec::new() }
    }

    fn let_go(&mut self) -> bool {
        let Some((content, lease)) = self.held.pop() else { return false };
        drop(lease);
        self.list.let_go(content);
        true
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Get { content: number, spelled, holds, makes_room } => {
                // What would wait for a lease of this thread would wait for ever.
                while !self.list.clone().get(number, spelled, makes_room) {
                    assert!(self.let_go());
                }
                assert!(self.list.get(number, spelled, makes_room));
                let lease = self.get(number, spelled, makes_room);
                if holds {
                    let at = self.list.find(number).unwrap();
                    self.list.entries[at].leases += 1;
                    self.held.push((number, lease));
                }
            }
            Step::LetGo => {
                self.let_go();
            }
            Step::Fail => {
                assert!(self.house.models.get_or_load(&spelling("broken"), |_| Err("broken".to_owned())).is_err());
            }
            Step::Evict(content) => {
                while self.held.iter().any(|(held, _)| *held == content) {
                    self.let_go();
                }
                let at = self.list.find(content);
                assert_eq!(self.house.models.evict(&key(&content.to_string())), at.is_some());
                if let Some(at) = at {
                    self.list.entries.remove(at);
                    self.list.closed += 1;
                }
            }
            Step::EvictAll => {
                while self.let_go() {}
                self.house.models.evict_all();
                self.list.closed += self.list.entries.len();
                self.list.entries.clear();
            }
            Step::EvictIdle(seconds) => {
                let (before, now) = (self.list.entries.len(), self.list.now);
                self.list.entries.retain(|entry| entry.leases > 0 || now - entry.last_used < seconds);
                let gone = before - self.list.entries.len();
                self.list.closed += gone;
                assert_eq!(self.house.models.evict_idle(*self.house.now(), Duration::from_secs(seconds)), gone);
            }
            Step::Pass(seconds) => {
                self.house.pass(Duration::from_secs(seconds));
                self.list.now += seconds;
            }
        }
    }

    fn get(&self, number: usize, spelled: usize, makes_room: bool) -> Lease<Model> {
        let (name, house) = (number.to_string(), &self.house);
        let (bytes, on) = content(number);
        let shared = on.map(|id| base(&id.to_string(), 20));
        let load = |room: &Room<'_, Model>| {
            if makes_room {
                match shared.clone() {
                    Some(shared) => room.make_sharing(bytes, shared),
                    None => room.make(bytes),
                }
                .map_err(|error| error.to_string())?;
            }
            Ok((key(&name), Model { shared, ..house.model(&name).weighing(bytes) }))
        };
        house.models.get_or_load(&Spelling::new(format!("{number} {spelled}")), load).unwrap()
    }

    fn agree(&self) {
        let told = self.house.models.list();
        let listed = self.list.entries.iter().rev();
        let expected: Vec<WarmModel> = listed
            .map(|entry| WarmModel {
                key: key(&entry.content.to_string()),
                bytes: content(entry.content).0,
                shared: content(entry.content).1.map(|id| base(&id.to_string(), 20)),
                leases: entry.leases,
                last_used: self.began + Duration::from_secs(entry.last_used),
                hits: entry.hits,
            })
            .collect();
        assert_eq!(told, expected);
        let stats = self.house.models.stats();
        assert_eq!((stats.bytes, stats.leaving, stats.reserved), (self.list.bytes(None), 0, 0));
        assert!(stats.models <= MAX_MODELS && stats.bytes <= MAX_BYTES);
        assert_eq!(self.house.events.all().len(), self.list.closed);
    }
}

proptest! {
    #[test]
    fn it_holds_what_a_plain_list_would(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.take(step);
            pair.agree();
        }
    }
}
