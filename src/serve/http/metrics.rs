//! `GET /metrics`: counts for Prometheus, in its text format (version 0.0.4).

use std::fmt::{Display, Write};
use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::models::Told;
use super::state::Daemon;
use crate::record::Stats;

pub async fn metrics(State(daemon): State<Arc<Daemon>>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], daemon.metrics()).into_response()
}

/// Characters of a model's key that tell it from others.
const KEY: usize = 12;

impl Daemon {
    fn metrics(&self) -> String {
        let mut page = Page::default();
        page.family("sway_build_info", "gauge", "The daemon's version.");
        page.sample("", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page.family("sway_uptime_seconds", "gauge", "Time since the daemon was started.");
        page.sample("", &[], self.started.elapsed().as_secs_f64());
        self.requests(&mut page);
        self.cache(&mut page);
        engines(&mut page, &self.warm());
        page.text
    }

    fn requests(&self, page: &mut Page) {
        let routes = self.meter.stats();
        page.family(
            "sway_requests_total",
            "counter",
            "Answers that ended, by status; 499 where the client left before there was one.",
        );
        for (route, stats) in &routes {
            for (status, count) in &stats.by_status {
                page.sample("", &[("route", route), ("status", &status.to_string())], count);
            }
        }
        page.family("sway_requests_open", "gauge", "Requests in progress.");
        for (route, stats) in &routes {
            page.sample("", &[("route", route)], stats.open);
        }
        page.family("sway_request_seconds", "summary", "Time from a request's head to the last byte of its answer.");
        for (route, stats) in &routes {
            for (quantile, milliseconds) in [("0.5", stats.p50_ms), ("0.99", stats.p99_ms)] {
                page.sample("", &[("route", route), ("quantile", quantile)], milliseconds / 1e3);
            }
            page.sample("_sum", &[("route", route)], stats.total_s);
            page.sample("_count", &[("route", route)], stats.timed);
        }
    }

    fn cache(&self, page: &mut Page) {
        let cache = self.models.warm().stats();
        let gauges = [
            ("sway_models", "Models that are warm.", cache.models as u64),
            ("sway_models_leaving", "Models that were evicted, and are in use yet.", cache.leaving as u64),
            ("sway_model_bytes", "What the weights of both take, those of a shared base once.", cache.bytes),
        ];
        let counters = [
            ("sway_model_hits_total", "Requests whose model was warm.", cache.hits),
            ("sway_model_loads_total", "Loads that were begun.", cache.misses),
            ("sway_model_joins_total", "Waits for a load that another request had begun.", cache.joins),
            ("sway_model_load_failures_total", "Loads that gave nothing.", cache.failures),
            ("sway_model_evictions_total", "Models that had to go, or were told to.", cache.evictions),
        ];
        for (kind, families) in [("gauge", gauges.as_slice()), ("counter", counters.as_slice())] {
            for (name, help, value) in families {
                page.family(name, kind, help);
                page.sample("", &[], value);
            }
        }
    }
}

/// What the engines of warm models did.
fn engines(page: &mut Page, warm: &[Told]) {
    type Figure = fn(&Stats) -> f64;
    let figures: [(&'static str, &str, Figure); 7] = [
        ("sway_engine_cache_hits_total", "Questions answered without the model.", |stats| stats.cache_hits as f64),
        ("sway_engine_cache_misses_total", "Questions that the model computed.", |stats| stats.cache_misses as f64),
        ("sway_engine_batches_total", "Calls of the model that answered something.", |stats| stats.batches_sent as f64),
        ("sway_engine_batched_questions_total", "Questions in them.", |stats| stats.batched_prompts as f64),
        ("sway_engine_tokens_requested_total", "Tokens of all questions, as if each were computed alone.", |stats| {
            stats.tokens_requested as f64
        }),
        ("sway_engine_tokens_computed_total", "Tokens that went through the model.", |stats| stats.tokens_computed as f64),
        ("sway_engine_scoring_seconds_total", "Time in which the model computed.", |stats| stats.scoring_wall_s),
    ];
    for (name, help, figure) in figures {
        page.family(name, "counter", help);
        for model in warm {
            let adapter = model.adapter.as_deref().unwrap_or_default();
            let key = model.key.get(..KEY).unwrap_or(&model.key);
            page.sample("", &[("model", key), ("base", &model.base), ("adapter", adapter)], figure(&model.engine));
        }
    }
}

/// A page of the text format.
#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Samples of this name follow.
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        self.family = name;
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.text, "{}{suffix}{labels} {value}", self.family);
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_can_not_end_its_line() {
        let mut page = Page::default();
        page.family("sway_models", "gauge", "Models.");
        page.sample("_sum", &[("base", "a\"b\\c\nd"), ("n", "1")], 2.5);
        let want =
            "# HELP sway_models Models.\n# TYPE sway_models gauge\nsway_models_sum{base=\"a\\\"b\\\\c\\nd\",n=\"1\"} 2.5\n";
        assert_eq!(page.text, want);
    }
}
