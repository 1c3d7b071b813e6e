//! Any bytes of an object.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::BlockError;
use super::desk::Desk;
use super::divided::Divided;
use super::flights::Want;
use super::ticket::Ticket;
use super::trip::GROUP;

/// Groups of blocks that are asked for at a time.
const AT_ONCE: usize = 4;

/// A block that is wanted now.
enum Piece {
    Here(Bytes),
    Coming(Ticket),
}

impl Desk {
    /// Some bytes of an object. Only the blocks that hold them are fetched, adjacent ones by one request.
    ///
    /// # Errors
    /// Bytes beyond the object; any block that can't be had.
    pub fn read(self: &Arc<Self>, divided: &Arc<Divided>, range: &Range<u64>) -> Result<Bytes, BlockError> {
        let blocks = divided.blocks(range)?;
        let mut rest = blocks.clone().peekable();
        let mut asked: VecDeque<(u64, Vec<Piece>)> = VecDeque::new();
        let mut whole = Vec::new();
        loop {
            while let (Some(&first), true) = (rest.peek(), asked.len() < AT_ONCE) {
                let group = first..(first + GROUP).min(blocks.end);
                asked.push_back((first, self.pieces(divided, group.clone())));
                rest.by_ref().take((group.end - group.start) as usize).for_each(drop);
            }
            self.go_on();
            let Some((first, pieces)) = asked.pop_front() else { break };
            for (index, piece) in (first..).zip(pieces) {
                let block = match piece {
                    Piece::Here(block) => block,
                    Piece::Coming(ticket) => ticket.take().0?,
                };
                let own = divided.bytes(index..index + 1);
                let part = range.start.max(own.start) - own.start..range.end.min(own.end) - own.start;
                let part = part.start as usize..part.end as usize;
                if blocks.end - blocks.start == 1 {
                    self.go_on();
                    return Ok(block.slice(part));
                }
                // Only now, as an object that says it is huge may not be.
                if whole.is_empty() {
                    let memory = |_| BlockError::Memory { uri: divided.object.uri.clone(), range: range.clone() };
                    whole.try_reserve_exact((range.end - range.start) as usize).map_err(memory)?;
                }
                whole.extend_from_slice(&block[part]);
            }
        }
        Ok(whole.into())
    }

    /// Blocks of which those that are on their way are joined, and those that are nowhere are asked for together.
    fn pieces(self: &Arc<Self>, divided: &Arc<Divided>, blocks: Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut missing = Vec::new();
        for index in blocks {
            self.pass(divided, index);
            let joined = self.board.join(&divided.key(index)).map(Piece::Coming);
            let piece = joined.or_else(|| self.at_hand(divided, index).map(Piece::Here));
            missing.extend(piece.is_none().then_some(index));
            pieces.push(piece);
        }
        let mut coming = self.ask(divided, missing, Want::Now, None).into_iter();
        pieces.into_iter().filter_map(|piece| piece.or_else(|| coming.next().map(Piece::Coming))).collect()
    }
}
