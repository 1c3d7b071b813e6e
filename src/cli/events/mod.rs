//! Who hears of a run while it goes on.
//!
//! Progress, reports, the store, and `--events` are listeners. One that fails or panics is told of once and hears no more; the others
//! hear everything, and the run goes on as if nothing had been.

mod channel;
mod publisher;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::progress::Bars;
use super::reports::Reports;
use crate::record::Event;
use crate::runner::Keeper;

pub use publisher::{Publisher, run_id};

/// Hears of a run's events, in their order.
pub trait Listener {
    /// As messages call it.
    fn name(&self) -> String;

    /// Takes an event in.
    ///
    /// # Errors
    /// Whatever keeps it from hearing more.
    fn hear(&mut self, event: &Event<'_>) -> anyhow::Result<()>;
}

impl Listener for Bars {
    fn name(&self) -> String {
        "the progress bar".to_owned()
    }

    fn hear(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        self.see(event);
        Ok(())
    }
}

impl Listener for Reports<'_> {
    fn name(&self) -> String {
        "the report".to_owned()
    }

    fn hear(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        self.see(event);
        Ok(())
    }
}

impl Listener for Keeper {
    fn name(&self) -> String {
        "the store".to_owned()
    }

    fn hear(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        self.see(event);
        Ok(())
    }
}

/// All that listen.
#[derive(Default)]
pub struct Listeners<'a> {
    all: Vec<&'a mut dyn Listener>,
}

impl<'a> Listeners<'a> {
    pub fn add(&mut self, listener: &'a mut dyn Listener) {
        self.all.push(listener);
    }

    /// Tells all of them.
    pub fn tell(&mut self, event: &Event<'_>) {
        self.all.retain_mut(|listener| {
            // What it had its hands on is not used again.
            let why = match catch_unwind(AssertUnwindSafe(|| listener.hear(event))) {
                Ok(Ok(())) => return true,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "it panicked".to_owned(),
            };
            warn(&format!("{} hears no more of this run: {why}", listener.name()));
            false
        });
    }
}

/// Tells on stderr what does not end the run.
pub fn warn(message: &str) {
    // Where stderr is gone, there is nobody to be told.
    let _ = writeln!(anstream::stderr(), "warning: {message}");
}

/// Tells on stderr what somebody who starts a run may want to know of it, also where no report is wanted.
pub fn note(message: &str) {
    // As above.
    let _ = writeln!(anstream::stderr(), "note: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Notes {
        heard: usize,
        at: usize,
        does: Option<fn() -> anyhow::Result<()>>,
    }

    impl Listener for Notes {
        fn name(&self) -> String {
            "notes".to_owned()
        }

        fn hear(&mut self, _: &Event<'_>) -> anyhow::Result<()> {
            self.heard += 1;
            match self.does {
                Some(does) if self.heard == self.at => does(),
                _ => Ok(()),
            }
        }
    }

    #[test]
    fn a_listener_that_fails_or_panics_takes_nothing_from_the_others() {
        let failing = || Notes { at: 2, does: Some(|| Err(anyhow::anyhow!("no"))), ..Notes::default() };
        let panicking = || Notes { at: 1, does: Some(|| panic!("no")), ..Notes::default() };
        let (mut first, mut second, mut last) = (failing(), panicking(), Notes::default());
        let mut listeners = Listeners::default();
        listeners.add(&mut first);
        listeners.add(&mut second);
        listeners.add(&mut last);
        for requests in 0..5 {
            listeners.tell(&Event::Answered { requests, tokens: 0 });
        }
        assert_eq!((first.heard, second.heard, last.heard), (2, 1, 5));
    }
}
