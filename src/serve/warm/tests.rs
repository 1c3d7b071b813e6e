//! Models that are a name and a size, real threads, and a clock that is told the time.

mod books;
mod closing;
mod flight;
mod history;
mod names;
mod order;
mod room;
mod stress;

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use super::*;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    Well,
    Refused,
    Panics,
}

/// What happened, in order: models closed, lines logged, and what a test writes between.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    fn push(&self, event: impl Into<String>) {
        self.0.lock().unwrap().push(event.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

struct Model {
    name: String,
    bytes: u64,
    shared: Option<Shared>,
    closing: Closing,
    events: Events,
}

impl Model {
    fn weighing(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    fn on(self, id: &str, bytes: u64) -> Self {
        Self { shared: Some(base(id, bytes)), ..self }
    }

    fn closing(self, closing: Closing) -> Self {
        Self { closing, ..self }
    }
}

impl Resident for Model {
    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn shared(&self) -> Option<Shared> {
        self.shared.clone()
    }

    fn close(&self) -> Result<(), String> {
        self.events.push(format!("closed {}", self.name));
        match self.closing {
            Closing::Well => Ok(()),
            Closing::Refused => Err(format!("{} is stuck", self.name)),
            Closing::Panics => panic!("{} is on fire", self.name),
        }
    }
}

fn base(id: &str, bytes: u64) -> Shared {
    Shared { id: id.to_owned(), bytes }
}

fn spelling(name: &str) -> Spelling {
    Spelling::new(name)
}

fn key(name: &str) -> Key {
    Key::new(name)
}

struct House {
    models: WarmModels<Model, String>,
    events: Events,
    clock: Arc<Mutex<Instant>>,
}

impl House {
    fn of(max_models: usize) -> Self {
        Self::within(Bounds { max_models, max_bytes: None })
    }

    fn bytes(max_bytes: u64) -> Self {
        Self::within(Bounds { max_models: 100, max_bytes: Some(max_bytes) })
    }

    fn within(limits: Bounds) -> Self {
        let (events, clock) = (Events::default(), Arc::new(Mutex::new(Instant::now())));
        let (lines, time) = (events.clone(), clock.clone());
        let log: Log = Arc::new(move |line| lines.push(format!("log: {line}")));
        let models = WarmModels::with_clock(limits, log, Arc::new(move || *time.lock().unwrap())).unwrap();
        Self { models, events, clock }
    }

    fn model(&self, name: &str) -> Model {
        Model { name: name.to_owned(), bytes: 1, shared: None, closing: Closing::Well, events: self.events.clone() }
    }

    /// Asks for a model of this name.
    fn warm(&self, name: &str) -> Lease<Model> {
        self.load(self.model(name))
    }

    /// Asks for a model by its own name; this one comes if none is warm.
    fn load(&self, model: Model) -> Lease<Model> {
        let name = model.name.clone();
        self.models.get_or_load(&spelling(&name), |_| Ok((key(&name), model))).unwrap()
    }

    /// Loads a model that makes room for itself.
    fn load_in_room(&self, model: Model) -> Result<Lease<Model>, LoadError<String>> {
        let name = model.name.clone();
        self.models.get_or_load(&spelling(&name), |room| {
            room.make(model.bytes).map_err(|error| error.to_string())?;
            self.events.push(format!("room for {name}"));
            Ok((key(&name), model))
        })
    }

    /// Most recently used first.
    fn names(&self) -> Vec<String> {
        self.models.list().iter().map(|model| model.key.to_string()).collect()
    }

    fn pass(&self, time: Duration) {
        *self.now() += time;
    }

    fn now(&self) -> MutexGuard<'_, Instant> {
        self.clock.lock().unwrap()
    }
}

/// Until another thread has come so far.
fn until(happened: impl Fn() -> bool) {
    while !happened() {
        thread::yield_now();
    }
}

#[test]
fn room_for_no_model_is_refused() {
    let limits = Bounds { max_models: 0, max_bytes: None };
    let error = WarmModels::<Model, String>::new(limits, Arc::new(|_| ())).err().unwrap();
    assert_eq!(error.to_string(), "max_size must be >= 1");
}

#[test]
fn threads_may_share_it_and_send_its_leases() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<WarmModels<Model, String>>();
    shared::<Lease<Model>>();
    shared::<LoadError<String>>();
}
