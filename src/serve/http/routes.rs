//! The routes, and what every request goes through on its way to them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use futures_util::FutureExt;

use super::progress::{InProgress, Tracked};
use super::refusal::Refusal;
use super::state::Daemon;
use super::{metrics, models, openai, run, score};
use crate::serve::panic::message_of;

/// Those that cost nothing: told whatever else is going on.
const FREE: [&str; 4] = ["/health", "/stats", "/metrics", "/openapi.json"];

pub fn router(daemon: Arc<Daemon>) -> Router {
    Router::new()
        .route("/health", get(models::health))
        .route("/stats", get(models::stats))
        .route("/openapi.json", get(models::openapi))
        .route("/metrics", get(metrics::metrics))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{key}", delete(models::unload))
        .route("/v1/score", post(score::score))
        .route("/v1/run", post(run::run))
        .route("/v1/completions", post(openai::completions))
        .route("/v1/chat/completions", post(openai::chat))
        .method_not_allowed_fallback(|| async {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method", "the path is known, and not this method of it")
        })
        .fallback(|| async { Refusal::new(StatusCode::NOT_FOUND, "not_found", "there is nothing under this path") })
        .route_layer(middleware::from_fn_with_state(Arc::clone(&daemon), enter))
        .layer(middleware::from_fn_with_state(Arc::clone(&daemon), check))
        .with_state(daemon)
}

/// Who may ask at all.
async fn check(State(daemon): State<Arc<Daemon>>, request: Request, next: Next) -> Response {
    if let Err(refusal) = daemon.guard.check(request.method(), request.uri(), request.headers()) {
        return refusal.into_response();
    }
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let what = message_of(&*panic);
            (daemon.log)(&format!("a request panicked: {what}"));
            Refusal::fault(format!("the request panicked: {what}")).into_response()
        }
    }
}

/// Counts and times what a known route answers, and turns away what is too much.
async fn enter(State(daemon): State<Arc<Daemon>>, path: MatchedPath, request: Request, next: Next) -> Response {
    let route = match ROUTES.iter().find(|route| **route == path.as_str()) {
        Some(route) => route,
        None => "other",
    };
    let turn_away = |refusal: Refusal| {
        daemon.meter.turned_away(route, refusal.status.as_u16());
        refusal.into_response()
    };
    let permit = if FREE.contains(&route) {
        None
    } else if daemon.stopping.load(Ordering::Relaxed) {
        let stopping = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "the daemon was told to stop");
        return turn_away(Refusal { retry_after: Some(1), ..stopping });
    } else {
        let Ok(permit) = Arc::clone(&daemon.open).try_acquire_owned() else {
            let most = daemon.limits.open_requests;
            let requests = if most == 1 { "1 request is".to_owned() } else { format!("{most} requests are") };
            return turn_away(Refusal::busy(format!("{requests} in progress, and no more are begun")));
        };
        Some(permit)
    };
    let mut in_progress = InProgress::begin(Arc::clone(&daemon), route, permit);
    let response = next.run(request).await;
    in_progress.status = response.status().as_u16();
    response.map(|body| Body::new(Tracked { body, _in_progress: in_progress }))
}

/// As they are told apart in counts.
const ROUTES: [&str; 10] = [
    "/health",
    "/stats",
    "/metrics",
    "/openapi.json",
    "/v1/models",
    "/v1/models/{key}",
    "/v1/score",
    "/v1/run",
    "/v1/completions",
    "/v1/chat/completions",
];
