//! What will be read soon.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use super::Inside;
use super::desk::Desk;
use super::divided::Divided;
use super::flights::Want;
use super::ticket::Ticket;
use super::trip::GROUP;

/// Some of an object's bytes that will be read soon. As much of them as there is room for is fetched ahead, in their order; what was read
/// makes room for the rest. Dropped, they are needed no more.
#[must_use = "dropping it gives up what is on its way"]
pub struct Need {
    plan: Arc<Plan>,
    desk: Arc<Desk>,
    _runtime: Arc<Inside>,
}

/// What of a [`Need`] is on its way, and what is still to be asked for.
pub struct Plan {
    divided: Arc<Divided>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// With the bytes that each holds.
    ahead: Vec<(Ticket, u64)>,
    /// Blocks, in their order.
    rest: VecDeque<u64>,
}

impl Need {
    /// `blocks` are in their order, each once.
    pub(super) fn new(runtime: Arc<Inside>, desk: Arc<Desk>, divided: Arc<Divided>, blocks: VecDeque<u64>) -> Self {
        let plan = Arc::new(Plan { divided, state: Mutex::new(State { ahead: Vec::new(), rest: blocks }) });
        desk.enter();
        desk.plan(&plan);
        plan.go_on(&desk);
        Self { plan, desk, _runtime: runtime }
    }
}

impl Plan {
    /// Asks for what comes next, as far as there is room.
    pub fn go_on(&self, desk: &Arc<Desk>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { ahead, rest } = &mut *state;
        ahead.retain(|(ticket, _)| ticket.is_live());
        let mut held: u64 = ahead.iter().map(|(_, bytes)| bytes).sum();
        while !rest.is_empty() {
            // What is in memory is not fetched, and one that was read meanwhile is not fetched again.
            while rest.front().is_some_and(|index| desk.cache.is_in_memory(&self.divided.key(*index))) {
                rest.pop_front();
            }
            let Some(&first) = rest.front() else { return };
            let adjacent = rest.iter().zip(first..first + GROUP).take_while(|(index, nth)| **index == *nth).count() as u64;
            // As large a piece as there is room for, if that is only a block.
            let Some((count, bytes, permit)) = (1..=adjacent).rev().find_map(|count| {
                let range = self.divided.bytes(first..first + count);
                let bytes = range.end - range.start;
                let is_fair = held + bytes <= desk.share() || held == 0 && count == 1;
                let permit = is_fair.then(|| desk.leave(bytes))?;
                permit.map(|permit| (count, bytes, permit))
            }) else {
                return;
            };
            let blocks = first..first + count;
            rest.drain(..count as usize);
            held += bytes;
            let tickets = desk.ask(&self.divided, blocks.clone(), Want::Announced, Some(permit));
            ahead.extend(tickets.into_iter().zip(blocks.map(|index| u64::from(self.divided.len(index)))));
        }
    }

    /// A block is read: it need not be asked for any more.
    pub fn pass(&self, divided: &Divided, index: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.divided.object == divided.object {
            state.rest.retain(|other| *other != index);
        }
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        let mut state = self.plan.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may be about to go on with it.
        state.rest.clear();
        let ahead = std::mem::take(&mut state.ahead);
        drop(state);
        drop(ahead);
        self.desk.exit();
    }
}
