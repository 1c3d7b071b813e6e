//! `sway serve`

use std::sync::Arc;

use anyhow::Context;

use super::args::{LimitArgs, ServeArgs};
use super::daemon::TOKEN_VARIABLE;
use super::exit::{Exit, Failure, OrExit};
use super::log::Log;
use super::output::write_stdout;
use crate::serve::{Address, Limits, Listen, ServeError, Settings, Token, serve};

pub fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    let settings = settings(args)?;
    let log = Log::start().context("starting the log").or_exit(Exit::Internal)?;
    let take = if args.quiet { Arc::new(|_: &str| {}) } else { log.taker() };
    let mut told = Ok(());
    let served = serve(settings, take, |address| {
        let line = match address {
            Address::Url(url) => format!("listening on {url}\n"),
            Address::Socket(path) => format!("listening on unix:{}\n", path.display()),
        };
        told = write_stdout(line.as_bytes());
    });
    log.flush();
    served.map_err(|error| {
        let exit = match &error {
            ServeError::Listen { .. } | ServeError::System(_) => Exit::Internal,
            ServeError::Suite { .. } | ServeError::Model { .. } => Exit::Input,
            _ => Exit::Usage,
        };
        Failure::new(exit, error.into())
    })?;
    told.map(|()| Exit::Ok)
}

fn settings(args: &ServeArgs) -> Result<Settings, Failure> {
    let listen = match &args.socket {
        Some(path) => Listen::Socket(path.clone()),
        None => Listen::Address(args.listen),
    };
    let token = match (&args.token_file, std::env::var(TOKEN_VARIABLE)) {
        (Some(path), _) => Some(Token::read(path).or_exit(Exit::Usage)?),
        (None, Ok(token)) if !token.is_empty() => Some(Token::new(&token).or_exit(Exit::Usage)?),
        _ => None,
    };
    Ok(Settings {
        listen,
        token,
        allow: args.allow.clone(),
        max_models: args.max_models,
        max_bytes: args.max_bytes.map(|bytes| bytes.0),
        idle_timeout: args.idle_timeout.map(|time| time.0),
        preload: args.preload.clone(),
        limits: limits(&args.limits)?,
    })
}

fn limits(args: &LimitArgs) -> Result<Limits, Failure> {
    if args.max_open == Some(0) || args.max_connections == Some(0) {
        return Err(Failure::new(Exit::Usage, anyhow::anyhow!("a daemon that may serve nobody is of no use: give 1 or more")));
    }
    let limits = Limits::default();
    Ok(Limits {
        open_requests: args.max_open.unwrap_or(limits.open_requests),
        connections: args.max_connections.unwrap_or(limits.connections),
        drain_time: args.drain_time.map_or(limits.drain_time, |time| time.0),
        head_time: args.head_time.map_or(limits.head_time, |time| time.0),
        stall_time: args.stall_time.map_or(limits.stall_time, |time| time.0),
        ..limits
    })
}
