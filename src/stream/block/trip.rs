//! The way to blocks: first to the cache, and for what is not there, to who fetches.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

use super::BlockError;
use super::board::Board;
use super::desk::Desk;
use super::divided::{Divided, Key};
use super::flights::Want;
use super::ticket::Ticket;

/// Adjacent blocks that are fetched by one request, at most.
pub const GROUP: u64 = 8;

/// One flight of a trip.
struct Leg {
    flight: u64,
    index: u64,
    key: Key,
}

/// The flights of a trip that have not landed. However the trip ends, those who wait for them are told.
struct Legs {
    board: Arc<Board>,
    /// In the order of their blocks.
    left: Vec<Leg>,
}

impl Desk {
    /// Asks for blocks, in their order, as one trip. What is for later gives a permit for all their bytes.
    pub fn ask(
        self: &Arc<Self>,
        divided: &Arc<Divided>,
        blocks: impl IntoIterator<Item = u64>,
        want: Want,
        mut permit: Option<OwnedSemaphorePermit>,
    ) -> Vec<Ticket> {
        let trip = self.board.trip();
        let mut legs = Legs { board: Arc::clone(&self.board), left: Vec::new() };
        let mut tickets = Vec::new();
        for index in blocks {
            let key = divided.key(index);
            let part = permit.as_mut().and_then(|permit| permit.split(divided.len(index) as usize));
            let asked = self.board.ask(key, want, part, trip);
            legs.left.extend(asked.new.map(|flight| Leg { flight, index, key }));
            tickets.push(asked.ticket);
        }
        if !legs.left.is_empty() {
            let task = self.handle.spawn(travel(Arc::clone(self), Arc::clone(divided), legs));
            self.board.depart(trip, task.abort_handle());
        }
        tickets
    }
}

async fn travel(desk: Arc<Desk>, divided: Arc<Divided>, legs: Legs) {
    let start = Instant::now();
    let looks = desk.cache.has_folder() || legs.left.iter().any(|leg| desk.cache.is_in_memory(&leg.key));
    let missing = if looks {
        let Ok(turn) = Arc::clone(&desk.lookers).acquire_owned().await else { return };
        let (desk, divided) = (Arc::clone(&desk), Arc::clone(&divided));
        // Reading and unpacking are too long for a thread that others wait for.
        let looked = tokio::task::spawn_blocking(move || {
            let missing = look(&desk, &divided, legs);
            drop(turn);
            missing
        })
        .await;
        let Ok(missing) = looked else { return };
        missing
    } else {
        look(&desk, &divided, legs)
    };
    let mut runs = JoinSet::new();
    for run in missing.runs() {
        runs.spawn(fetch(Arc::clone(&desk), Arc::clone(&divided), run, start));
    }
    // Those that are not done are dropped with this. One that fails tells those who wait for it.
    while runs.join_next().await.is_some() {}
}

/// Lands what is in the cache, and gives back what is not.
fn look(desk: &Desk, divided: &Divided, mut legs: Legs) -> Legs {
    let board = Arc::clone(&legs.board);
    legs.left.retain(|leg| match desk.cache.find(&leg.key, divided.len(leg.index)) {
        Some(raw) => {
            board.land(leg.flight, Ok(raw), false);
            false
        }
        None => true,
    });
    legs
}

/// Fetches adjacent blocks by one request.
async fn fetch(desk: Arc<Desk>, divided: Arc<Divided>, mut legs: Legs, start: Instant) {
    let (Some(first), Some(last)) = (legs.left.first(), legs.left.last()) else { return };
    let range = divided.bytes(first.index..last.index + 1);
    let uri = || divided.object.uri.clone();
    let brought = match desk.fetch.fetch(&divided.object, range.clone()).await {
        Err(source) => Err(BlockError::Fetch { uri: uri(), range: range.clone(), source }),
        Ok(bytes) if bytes.len() as u64 != range.end - range.start => {
            Err(BlockError::Length { uri: uri(), range: range.clone(), got: bytes.len() as u64 })
        }
        Ok(bytes) => Ok(bytes),
    };
    let bytes = match brought {
        Ok(bytes) => bytes,
        Err(error) => {
            for leg in std::mem::take(&mut legs.left) {
                legs.board.land(leg.flight, Err(error.clone()), false);
            }
            return;
        }
    };
    desk.board.fetched(bytes.len() as u64);
    let is_one = legs.left.len() == 1;
    while let Some(leg) = legs.left.first() {
        let own = divided.bytes(leg.index..leg.index + 1);
        let part = bytes.slice((own.start - range.start) as usize..(own.end - range.start) as usize);
        // A part would keep the whole in memory.
        let raw = if is_one { part } else { bytes::Bytes::copy_from_slice(&part) };
        desk.cache.came(start.elapsed());
        if !desk.cache.keeps() {
            desk.board.land(leg.flight, Ok(raw), false);
            legs.left.remove(0);
            continue;
        }
        // What has come and is not kept yet must not pile up where the disk is slower than the network.
        let Ok(turn) = Arc::clone(&desk.keepers).acquire_owned().await else { return };
        let (key, keeping) = (leg.key, Keeping { board: Arc::clone(&legs.board), flight: leg.flight });
        desk.board.land(leg.flight, Ok(raw.clone()), true);
        legs.left.remove(0);
        let cache = Arc::clone(&desk.cache);
        tokio::task::spawn_blocking(move || {
            cache.keep(&key, &raw);
            drop((turn, keeping));
        });
    }
}

impl Legs {
    /// As trips of adjacent blocks.
    fn runs(mut self) -> Vec<Legs> {
        let mut runs: Vec<Legs> = Vec::new();
        for leg in std::mem::take(&mut self.left) {
            let run = runs.last_mut().filter(|run| {
                let is_next = run.left.last().is_some_and(|last| last.index + 1 == leg.index);
                is_next && (run.left.len() as u64) < GROUP
            });
            match run {
                Some(run) => run.left.push(leg),
                None => runs.push(Legs { board: Arc::clone(&self.board), left: vec![leg] }),
            }
        }
        runs
    }
}

impl Drop for Legs {
    fn drop(&mut self) {
        for leg in &self.left {
            self.board.land(leg.flight, Err(BlockError::Lost), false);
        }
    }
}

/// A flight whose block is being kept. However that ends, it is over.
struct Keeping {
    board: Arc<Board>,
    flight: u64,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.board.kept(self.flight);
    }
}
