//! `POST /v1/run`: a suite in, what happens as it happens out, the record last.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;

use super::input::{Params, whole};
use super::outlet::{Outlet, outlet};
use super::refusal::Refusal;
use super::state::Daemon;
use super::which::device;
use crate::engine::Loaded;
use crate::report::events::{self, Cause, Ended};
use crate::runner::{self, Aids, Plan, PlanError, PlanOptions, Replacements, RunError};
use crate::serve::Lease;
use crate::serve::models::Served;
use crate::serve::panic::caught;
use crate::suite::{Source, toml_of_json};

/// What goes with a suite, in the words of `sway run`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    /// Where the suite is: what its paths are relative to, and as what its record names it. It is not read.
    path: Option<PathBuf>,
    folder: Option<PathBuf>,
    filter: Option<String>,
    base: Option<String>,
    adapter: Option<String>,
    revision: Option<String>,
    adapter_revision: Option<String>,
    device: Option<String>,
}

pub async fn run(
    State(daemon): State<Arc<Daemon>>,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let text = text(&headers, &whole(body, &daemon.limits).await?)?;
    let permit = Arc::clone(&daemon.runs).acquire_owned().await.map_err(|error| Refusal::fault(error.to_string()))?;
    let planner = Arc::clone(&daemon);
    let plan = tokio::task::spawn_blocking(move || plan(&planner, &asked, text)).await;
    let plan = plan.map_err(|error| Refusal::fault(format!("the suite could not be read: {error}")))??;
    let (model, places) = daemon.lease(plan.sources.clone()).await?;
    daemon.names.remember(&plan.sources, false);
    let (outlet, events) = outlet(daemon.limits.stall_time);
    tokio::spawn(async move {
        let (outlet, left) = (Arc::new(outlet), Arc::new(AtomicBool::new(false)));
        let running = Running { plan, model, left: Arc::clone(&left), outlet: Arc::clone(&outlet), _permit: permit };
        let mut running = tokio::task::spawn_blocking(move || match running.model.loaded(&running.plan.sources, places) {
            Ok(loaded) => running.run(loaded),
            Err(error) => running.tell_end("model", error.to_string(), 4),
        });
        tokio::select! {
            () = outlet.closed() => left.store(true, Ordering::Relaxed),
            _ = &mut running => outlet.end().await,
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], events).into_response())
}

/// The suite's text, from TOML or from JSON of the same form.
fn text(headers: &HeaderMap, body: &[u8]) -> Result<String, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/toml" | "text/plain" => {
            let text = std::str::from_utf8(body).map_err(|error| Refusal::bad(format!("the suite is not UTF-8: {error}")))?;
            Ok(text.to_owned())
        }
        "application/json" => {
            let value: Value =
                serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("the suite is no JSON: {error}")))?;
            toml_of_json(&value).map_err(|error| Refusal::bad(error.to_string()))
        }
        other => {
            let message = format!(
                "a suite comes as application/toml or application/json, not as `{other}`\nhint: curl -H 'content-type: application/toml' --data-binary @suite.toml"
            );
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type", message))
        }
    }
}

fn plan(daemon: &Daemon, asked: &Asked, text: String) -> Result<Plan, Refusal> {
    let Asked { path, folder, filter, base, adapter, revision, adapter_revision, device: name } = asked.clone();
    let replacements =
        Replacements { base, adapter, revision, adapter_revision, device: name.map(|name| device(Some(&name))).transpose()? };
    let path = path.unwrap_or_else(|| PathBuf::from("suite.toml"));
    let source = Source::new(path.display().to_string(), text);
    let options = PlanOptions { workspace: daemon.workspace(folder)?, filter, ..PlanOptions::default() };
    let plan = Plan::of(source, &path, options);
    let plan = plan.and_then(|mut plan| plan.replace_models(&replacements).map(|()| plan));
    plan.map_err(|error| refuse(&error))
}

/// A suite that can't be run.
fn refuse(error: &PlanError) -> Refusal {
    /// Columns of what is told with carets.
    const WIDTH: usize = 100;
    match error {
        PlanError::Suite { source_text, diagnostics } => {
            Refusal::new(StatusCode::BAD_REQUEST, "suite", diagnostics.render(source_text, false, WIDTH))
        }
        PlanError::Data { .. } => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "data", error.to_string()),
        PlanError::Read(_) | PlanError::Filter { .. } | PlanError::NoAdapter { .. } | PlanError::StopsEarly { .. } => {
            Refusal::new(StatusCode::BAD_REQUEST, "suite", error.to_string())
        }
    }
}

/// A suite under way, with an engine of its own: its record is the one of a run in process.
struct Running {
    plan: Plan,
    model: Lease<Served>,
    outlet: Arc<Outlet>,
    /// Nobody reads what it finds any more.
    left: Arc<AtomicBool>,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    fn run(&self, mut loaded: Loaded) {
        loaded.engine.set_interrupt(Arc::clone(&self.left));
        let ran = caught(|| {
            runner::run(&self.plan, &mut loaded, Aids::default(), &mut |event| {
                let line = events::event_line(event).unwrap_or_default();
                if self.outlet.send_from_thread(line).is_err() {
                    self.left.store(true, Ordering::Relaxed);
                }
            })
        });
        match ran {
            Ok(Ok(_)) => {}
            Ok(Err(error @ RunError::Data { .. })) => self.tell_end("data", error.to_string(), 4),
            Ok(Err(error)) => self.tell_end("engine", error.to_string(), 5),
            Err(panic) => self.tell_end("internal", format!("the run panicked: {panic}"), 5),
        }
    }

    fn tell_end(&self, code: &str, message: String, exit: u8) {
        let ended = Ended { error: Cause { code: code.to_owned(), message }, exit: Some(exit) };
        // Who left misses nothing.
        let _ = self.outlet.send_from_thread(events::error_line(&ended).unwrap_or_default());
    }
}
