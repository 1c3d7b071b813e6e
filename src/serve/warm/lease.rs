//! A model in use.

use std::ops::Deref;
use std::sync::Arc;

use super::ledger::Id;
use super::shelf::{Shelf, State};
use crate::serve::name::Key;

/// A warm model, kept from being closed as long as this is held.
///
/// Who holds one must not wait for an eviction (`get_or_load` of another model, `evict`, …): the model that has to go may be
/// this one.
pub struct Lease<R> {
    // Dropped in this order, so that who waits for the last lease has the model for itself.
    resident: Arc<R>,
    hold: Hold<R>,
}

/// Counted from the making of it until it is dropped.
struct Hold<R> {
    shelf: Arc<Shelf<R>>,
    id: Id,
    key: Key,
}

impl<R> Lease<R> {
    pub(super) fn new(shelf: &Arc<Shelf<R>>, state: &mut State<R>, id: Id, key: Key, resident: Arc<R>) -> Self {
        state.ledger.lease(id);
        Self { resident, hold: Hold { shelf: shelf.clone(), id, key } }
    }

    /// Not a method, for the model may have one of this name.
    pub fn key(lease: &Self) -> &Key {
        &lease.hold.key
    }
}

impl<R> Deref for Lease<R> {
    type Target = R;

    fn deref(&self) -> &R {
        &self.resident
    }
}

impl<R> Clone for Lease<R> {
    fn clone(&self) -> Self {
        let Hold { shelf, id, key } = &self.hold;
        Self::new(shelf, &mut shelf.state(), *id, key.clone(), self.resident.clone())
    }
}

impl<R> Drop for Hold<R> {
    fn drop(&mut self) {
        let now = self.shelf.now();
        let mut state = self.shelf.state();
        if state.ledger.release(self.id, now) {
            self.shelf.change(&mut state);
        }
    }
}
