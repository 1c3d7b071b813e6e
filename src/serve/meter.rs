//! Requests, counted and timed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// Longest time that is told apart from a longer one, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// What was answered so far, by route.
#[derive(Default)]
pub struct Meter(Mutex<BTreeMap<&'static str, Route>>);

struct Route {
    by_status: BTreeMap<u16, u64>,
    open: u64,
    /// Microseconds from a request's head to the last byte of its answer; `None` where no histogram could be had.
    times: Option<Histogram<u64>>,
}

/// What is known of one route.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RouteStats {
    /// Answers that ended, by status; among them those to requests that were turned away, which are in no time below.
    pub by_status: BTreeMap<u16, u64>,
    /// How many were timed.
    #[serde(skip)]
    pub timed: u64,
    /// In progress.
    pub open: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
    pub total_s: f64,
}

impl Default for Route {
    fn default() -> Self {
        Self { by_status: BTreeMap::new(), open: 0, times: Histogram::new_with_bounds(1, LONGEST, 3).ok() }
    }
}

impl Meter {
    /// A request has begun.
    pub fn begin(&self, route: &'static str) -> Instant {
        self.routes().entry(route).or_default().open += 1;
        Instant::now()
    }

    /// Its answer has ended.
    pub fn end(&self, route: &'static str, status: u16, took: Duration) {
        let mut routes = self.routes();
        let route = routes.entry(route).or_default();
        route.open = route.open.saturating_sub(1);
        *route.by_status.entry(status).or_default() += 1;
        if let Some(times) = &mut route.times {
            times.saturating_record(u64::try_from(took.as_micros()).unwrap_or(LONGEST).max(1));
        }
    }

    /// One was turned away before it had begun: counted, and not timed.
    pub fn turned_away(&self, route: &'static str, status: u16) {
        *self.routes().entry(route).or_default().by_status.entry(status).or_default() += 1;
    }

    pub fn stats(&self) -> BTreeMap<&'static str, RouteStats> {
        self.routes().iter().map(|(name, route)| (*name, route.stats())).collect()
    }

    fn routes(&self) -> MutexGuard<'_, BTreeMap<&'static str, Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Route {
    fn stats(&self) -> RouteStats {
        let milliseconds = |micros: u64| micros as f64 / 1e3;
        let of = |figure: fn(&Histogram<u64>) -> u64| self.times.as_ref().map_or(0.0, |times| milliseconds(figure(times)));
        let total = self.times.as_ref().map_or(0.0, |times| times.mean() * times.len() as f64 / 1e6);
        RouteStats {
            by_status: self.by_status.clone(),
            timed: self.times.as_ref().map_or(0, Histogram::len),
            open: self.open,
            p50_ms: of(|times| times.value_at_quantile(0.5)),
            p99_ms: of(|times| times.value_at_quantile(0.99)),
            max_ms: of(Histogram::max),
            total_s: total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_timed() {
        let meter = Meter::default();
        for milliseconds in 1..=200 {
            meter.begin("score");
            meter.end("score", if milliseconds == 7 { 500 } else { 200 }, Duration::from_millis(milliseconds));
        }
        meter.begin("score");
        meter.turned_away("score", 429);
        let stats = &meter.stats()["score"];
        assert_eq!((stats.open, stats.timed), (1, 200));
        assert_eq!(stats.by_status, BTreeMap::from([(200, 199), (429, 1), (500, 1)]));
        for (figure, want) in
            [(stats.p50_ms, 100.0), (stats.p99_ms, 198.0), (stats.max_ms, 200.0), (stats.total_s * 1e3, 20_100.0)]
        {
            assert!((figure / want - 1.0).abs() < 2e-3, "{figure} {want}");
        }
    }
}
