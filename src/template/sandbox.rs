//! A template is somebody else's program: it runs on a thread of its own, with bounded steps, stack, memory, output and time.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use minijinja::{Environment, ErrorKind, Value};

use super::{budget, in_words};

/// Most memory that it may hold at once, in bytes.
const MEMORY: usize = 256 << 20;

/// Longest text that a template may write, in bytes; a conversation that long has left every model's context behind.
const LONGEST_OUTPUT: usize = 64 << 20;

/// A template that counts its steps can still take long over one (sorting a long list). None in use takes a thousandth of this.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked at whether the thread was held.
const LOOK: Duration = Duration::from_millis(20);

/// Macros that call themselves are stopped by a limit on their depth, which this leaves room for.
const STACK: usize = 16 << 20;

/// Runs `work` on a thread of its own within the bounds of memory, stack and time.
///
/// # Errors
/// Which bound it met. The thread that met it can't be ended, only left behind with what it holds.
pub fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (send, receive) = mpsc::channel();
    let held = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&held);
    let work = move || {
        let result = budget::within(MEMORY, &flag, work);
        // Nobody waits any more where the time is over.
        let _ = send.send(result);
    };
    let spawned = thread::Builder::new().name("template".to_owned()).stack_size(STACK).spawn(work);
    spawned.map_err(|error| format!("no thread could be started for it: {error}"))?;
    let start = Instant::now();
    loop {
        match receive.recv_timeout(LOOK) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Disconnected) => return Err("the engine that runs it panicked".to_owned()),
            Err(RecvTimeoutError::Timeout) if held.load(Ordering::Acquire) => {
                return Err(format!("it takes more than {} MiB of memory", MEMORY >> 20));
            }
            Err(RecvTimeoutError::Timeout) if start.elapsed() > PATIENCE => {
                return Err(format!("it did not end within {} s", PATIENCE.as_secs()));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

/// Templates that were read, where they are rendered.
pub struct Sandbox {
    environment: Arc<Environment<'static>>,
    /// Why a thread was left behind. There is one such thread at most, since after it no template of this environment runs again.
    given_up: OnceLock<String>,
}

impl Sandbox {
    pub fn new(environment: Environment<'static>) -> Self {
        Self { environment: Arc::new(environment), given_up: OnceLock::new() }
    }

    /// Renders the template `name`.
    pub fn render(&self, name: String, context: Value) -> Result<String, String> {
        if let Some(why) = self.given_up.get() {
            return Err(why.clone());
        }
        let environment = Arc::clone(&self.environment);
        run(move || render_here(&environment, &name, context))
            .unwrap_or_else(|why| Err(self.given_up.get_or_init(|| why).clone()))
    }
}

fn render_here(environment: &Environment<'static>, name: &str, context: Value) -> Result<String, String> {
    let template = environment.get_template(name).map_err(|error| in_words(&error))?;
    let mut output = Bounded(Vec::new());
    template.render_captured_to(context, &mut output).map_err(|error| match error.kind() {
        ErrorKind::OutOfFuel => "it does not end: it took more steps than any template needs".to_owned(),
        ErrorKind::WriteFailure => format!("it writes more than {LONGEST_OUTPUT} bytes"),
        _ => in_words(&error),
    })?;
    String::from_utf8(output.0).map_err(|error| error.to_string())
}

/// Takes [`LONGEST_OUTPUT`] bytes and no more.
struct Bounded(Vec<u8>);

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LONGEST_OUTPUT {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
