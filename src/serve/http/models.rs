//! What the daemon tells of itself, and of the models that are warm.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::refusal::Refusal;
use super::state::Daemon;
use crate::record::Stats;
use crate::serve::models::Served;
use crate::serve::{Key, WarmModel};

/// A warm model as it is told.
#[derive(Debug, Serialize)]
pub struct Told {
    pub key: String,
    pub base: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    base_digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter_digest: Option<String>,
    dtype: &'static str,
    device: String,
    /// Its own, and those of its base.
    bytes: u64,
    base_bytes: u64,
    in_use: usize,
    hits: u64,
    idle_s: f64,
    load_s: f64,
    pub engine: Stats,
}

impl Daemon {
    /// All that is warm, the last used first.
    pub fn warm(&self) -> Vec<Told> {
        self.models.warm().list_with(Told::of)
    }
}

impl Told {
    fn of(one: WarmModel, served: &Served) -> Self {
        let about = served.about.clone();
        Self {
            key: one.key.as_str().to_owned(),
            base: about.base,
            adapter: about.adapter,
            base_digest: about.base_digest,
            adapter_digest: about.adapter_digest,
            dtype: about.dtype,
            device: about.device,
            bytes: one.bytes,
            base_bytes: one.shared.map_or(0, |shared| shared.bytes),
            in_use: one.leases,
            hits: one.hits,
            idle_s: Instant::now().saturating_duration_since(one.last_used).as_secs_f64(),
            load_s: about.load.as_secs_f64(),
            engine: served.worker.stats(),
        }
    }
}

/// `GET /openapi.json`
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("openapi.json")).into_response()
}

/// `GET /health`
pub async fn health(State(daemon): State<Arc<Daemon>>) -> Json<Value> {
    Json(json!({
        "status": "ok",
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": daemon.started.elapsed().as_secs_f64(),
        "models": daemon.models.warm().stats().models,
    }))
}

/// `GET /stats`
pub async fn stats(State(daemon): State<Arc<Daemon>>) -> Json<Value> {
    let cache = daemon.models.warm().stats();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_s": daemon.started.elapsed().as_secs_f64(),
        "requests": daemon.meter.stats(),
        "cache": {
            "models": cache.models,
            "leaving": cache.leaving,
            "bytes": cache.bytes,
            "reserved": cache.reserved,
            "hits": cache.hits,
            "misses": cache.misses,
            "joins": cache.joins,
            "failures": cache.failures,
            "evictions": cache.evictions,
        },
        "models": daemon.warm(),
    }))
}

/// `GET /v1/models`: what is warm, and under `data` the names that OpenAI's clients may use.
pub async fn list(State(daemon): State<Arc<Daemon>>) -> Json<Value> {
    let of = |one: crate::serve::names::Listed| json!({ "id": one.id, "object": "model", "created": 0, "owned_by": "sway", "base": one.base, "adapter": one.adapter });
    let data: Vec<Value> = daemon.names.list().into_iter().map(of).collect();
    Json(json!({ "object": "list", "data": data, "warm": daemon.warm() }))
}

/// `DELETE /v1/models/{key}`
pub async fn unload(State(daemon): State<Arc<Daemon>>, key: Result<Path<String>, PathRejection>) -> Result<Json<Value>, Refusal> {
    let Path(key) = key.map_err(|rejection| Refusal::bad(rejection.body_text()))?;
    let unloading = tokio::task::spawn_blocking({
        let key = Key::new(key.as_str());
        move || daemon.models.warm().evict(&key)
    });
    match unloading.await {
        Ok(true) => Ok(Json(json!({ "key": key, "unloaded": true }))),
        Ok(false) => Err(Refusal::new(StatusCode::NOT_FOUND, "not_found", format!("no model with the key {key} is warm"))),
        Err(error) => Err(Refusal::fault(error.to_string())),
    }
}
