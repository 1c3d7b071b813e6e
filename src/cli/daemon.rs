//! A daemon as the other commands speak to it.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context;

use super::args::DaemonArgs;
use super::exit::{Exit, Failure, OrExit};
use crate::serve::{Client, ClientError};

/// The variable that holds the token, where no file does.
pub const TOKEN_VARIABLE: &str = "SWAY_TOKEN";

pub fn client(server: &str, args: &DaemonArgs, interrupted: Arc<AtomicBool>) -> Result<Client, Failure> {
    let token = match &args.token_file {
        Some(path) => {
            let read = std::fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()));
            Some(read.or_exit(Exit::Usage)?)
        }
        None => std::env::var(TOKEN_VARIABLE).ok(),
    };
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    let busy = || {
        // Where stderr is gone, nobody wants to know.
        let _ = writeln!(anstream::stderr(), "the daemon has too much to do: waiting until it can take more");
    };
    Client::new(server, token, interrupted, busy).or_exit(Exit::Usage)
}

/// What relative paths start at, for a daemon that was started elsewhere.
pub fn folder() -> Result<(&'static str, String), Failure> {
    let folder = std::env::current_dir().context("can't tell the working folder").or_exit(Exit::Internal)?;
    Ok(("folder", folder.display().to_string()))
}

/// A daemon's refusal, with the exit code that the same has in process. `loading`: what was being done where a model is refused.
pub fn client_failure(error: ClientError, loading: String) -> Failure {
    if error.is_input() {
        return Failure::new(Exit::Input, anyhow::Error::new(error).context(loading));
    }
    let exit = match &error {
        ClientError::Address { .. } => Exit::Usage,
        ClientError::Refused { code, .. } if code == "bad_request" || code == "suite" => Exit::Usage,
        ClientError::Interrupted => Exit::Interrupted,
        ClientError::Unreachable { .. }
        | ClientError::NoDaemon { .. }
        | ClientError::Refused { .. }
        | ClientError::CutOff
        | ClientError::OtherModel => Exit::Input,
    };
    Failure::new(exit, error.into())
}
