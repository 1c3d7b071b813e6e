//! Errands that are under way.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use super::stop::{Stop, Stopper};
use super::{Completion, Desk, Inside, Output, OutsideError, Program, Question};

/// How long the end of cancelled errands is waited for. A killed program is gone in milliseconds, unless the system is stuck in it.
const FAREWELL: Duration = Duration::from_secs(2);

/// Something to fetch from the outside.
#[derive(Clone, Debug)]
pub enum Errand {
    Ask(Question),
    Run(Program),
}

/// What an errand brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Brought {
    Completion(Completion),
    Output(Output),
}

type Back = (usize, Result<Brought, OutsideError>);

/// Errands that are under way, as an iterator over what they bring: in the order in which they finish, with the place of the errand in
/// the list that was sent. `next` waits; it ends when all are back.
///
/// Dropping it cancels what is under way: requests are dropped, and programs killed with their children.
pub struct Errands {
    receiver: Receiver<Back>,
    under_way: BTreeSet<usize>,
    stopper: Stopper,
    /// Keeps the runtime that they are on.
    _runtime: Arc<Inside>,
}

impl Errands {
    pub(super) fn start(runtime: Arc<Inside>, desk: &Arc<Desk>, interrupted: &Arc<AtomicBool>, errands: Vec<Errand>) -> Self {
        let (stopper, stop) = Stopper::new(interrupted);
        let (sender, receiver) = channel();
        let under_way = (0..errands.len()).collect();
        for (place, errand) in errands.into_iter().enumerate() {
            let (desk, stop, sender) = (Arc::clone(desk), stop.clone(), sender.clone());
            runtime.spawn(run(desk, place, errand, stop, sender));
        }
        drop(stop);
        runtime.spawn(stopper.clone().watch(Arc::clone(interrupted)));
        Self { receiver, under_way, stopper, _runtime: runtime }
    }

    /// What is back by now; `None` where nothing is. It does not wait.
    pub fn try_next(&mut self) -> Option<Back> {
        match self.receiver.try_recv() {
            Ok(back) => Some(self.arrived(back)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => self.lost(),
        }
    }

    /// How many are not back.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    fn arrived(&mut self, back: Back) -> Back {
        self.under_way.remove(&back.0);
        back
    }

    /// An errand whose task died without a word: it must not pass for one that was never sent.
    fn lost(&mut self) -> Option<Back> {
        self.under_way.pop_first().map(|place| (place, Err(OutsideError::Lost)))
    }
}

impl Iterator for Errands {
    type Item = Back;

    fn next(&mut self) -> Option<Back> {
        match self.receiver.recv() {
            Ok(back) => Some(self.arrived(back)),
            Err(_) => self.lost(),
        }
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.stopper.stop();
        // Each task holds a sender until it is done.
        let end = Instant::now() + FAREWELL;
        while self.receiver.recv_timeout(end.saturating_duration_since(Instant::now())).is_ok() {}
    }
}

impl fmt::Debug for Errands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Errands").field("under_way", &self.under_way).finish_non_exhaustive()
    }
}

async fn run(desk: Arc<Desk>, place: usize, errand: Errand, stop: Stop, sender: Sender<Back>) {
    let brought = match errand {
        Errand::Ask(question) => desk.ask(&question, &stop).await.map(Brought::Completion),
        Errand::Run(program) => desk.run(program, &stop).await.map(Brought::Output),
    };
    // Who no longer listens does not want it.
    let _ = sender.send((place, brought));
}

impl Desk {
    async fn ask(&self, question: &Question, stop: &Stop) -> Result<Completion, OutsideError> {
        let Some(line) = self.lines.get(&question.endpoint) else {
            return Err(OutsideError::UnknownEndpoint { endpoint: question.endpoint.clone() });
        };
        line.check(question)?;
        // A pause between tries keeps the turn: a server that wants to be asked for less is asked for less.
        let _turn = stop.turn(&line.turns).await?;
        stop.or(line.ask(question, &self.jitter)).await?
    }

    async fn run(&self, program: Program, stop: &Stop) -> Result<Output, OutsideError> {
        let _turn = stop.turn(&self.programs).await?;
        program.run(stop).await
    }
}
