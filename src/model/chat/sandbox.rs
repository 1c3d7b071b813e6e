//! A template is somebody else's program: it runs on a thread of its own, with bounded steps, stack, output and time.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use minijinja::{Environment, ErrorKind, Value};

use super::in_words;

/// Longest text that a template may write, in bytes; a conversation that long has left every model's context behind.
const LONGEST_OUTPUT: usize = 64 << 20;

/// A template that counts its steps can still take long over one (sorting a long list). None in use takes a thousandth of this.
const PATIENCE: Duration = Duration::from_secs(30);

/// Macros that call themselves are stopped by a limit on their depth, which this leaves room for.
const STACK: usize = 16 << 20;

/// Renders the template `name`.
///
/// A thread that outlasts its time can't be stopped: it is left behind, and ends with its steps.
pub fn render(environment: &Arc<Environment<'static>>, name: String, context: Value) -> Result<String, String> {
    let (send, receive) = mpsc::channel();
    let environment = Arc::clone(environment);
    let work = move || {
        // Nobody waits any more where the time is over.
        let _ = send.send(render_here(&environment, &name, context));
    };
    let spawned = thread::Builder::new().name("chat template".to_owned()).stack_size(STACK).spawn(work);
    spawned.map_err(|error| format!("no thread could be started for it: {error}"))?;
    match receive.recv_timeout(PATIENCE) {
        Ok(rendered) => rendered,
        Err(RecvTimeoutError::Timeout) => Err(format!("it did not end within {} s", PATIENCE.as_secs())),
        Err(RecvTimeoutError::Disconnected) => Err("the engine that runs it panicked".to_owned()),
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
