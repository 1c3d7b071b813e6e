//! A client that goes on asking while something goes wrong for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use crate::daemon::{Daemon, healthy, until};
use crate::http::Connection;
use crate::questions::{in_process, lines};
use crate::world::HEALTHY;

/// It asks the healthy adapter in a thread of its own, over one connection, and expects the bytes of a process of its own.
pub struct Bystander {
    enough: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    thread: JoinHandle<()>,
}

impl Bystander {
    pub fn of(daemon: &Daemon) -> Self {
        let questions = lines(0..70);
        let expected = in_process(HEALTHY, &questions);
        let (enough, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let port = daemon.port();
        let thread = thread::spawn({
            let (enough, asked) = (Arc::clone(&enough), Arc::clone(&asked));
            move || {
                let mut connection = Connection::to(port);
                for (question, expected) in questions.iter().zip(&expected).cycle() {
                    let told = connection.post(&healthy(), question);
                    assert_eq!((told.status, &told.body), (200, expected), "{question}");
                    asked.fetch_add(1, Ordering::Relaxed);
                    if enough.load(Ordering::Relaxed) {
                        return;
                    }
                }
            }
        });
        let bystander = Self { enough, asked, thread };
        bystander.goes_on();
        bystander
    }

    /// Waits until another few of its questions are answered.
    pub fn goes_on(&self) {
        let before = self.asked.load(Ordering::Relaxed);
        until("the other client is answered", || {
            assert!(!self.thread.is_finished(), "the other client noticed");
            self.asked.load(Ordering::Relaxed) > before + 3
        });
    }

    /// The daemon is healthy, and this one noticed nothing.
    pub fn noticed_nothing(self, daemon: &Daemon) {
        assert!(daemon.is_healthy());
        self.goes_on();
        self.enough.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
