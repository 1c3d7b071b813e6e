//! Progress on stderr, where that is a terminal.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::hub::Progress;
use crate::record::Event;
use crate::stream::{Progress as Progressed, Streams};

/// A bar for what is being loaded, then one for the requests. indicatif draws nothing where stderr is no terminal.
pub struct Bars {
    /// Bars that are there at once take turns through it; each on its own would draw over the others.
    all: MultiProgress,
    loading: ProgressBar,
    requests: ProgressBar,
    tokens: u64,
    /// Where how far they were read is shown in place of requests.
    sources: Option<Arc<Streams>>,
}

/// What a bar of sources counts to.
const PARTS: u64 = 10_000;

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ ")
}

fn target(quiet: bool) -> ProgressDrawTarget {
    if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() }
}

impl Bars {
    pub fn new(what: &str, quiet: bool) -> Self {
        let all = MultiProgress::with_draw_target(target(quiet));
        let loading = ProgressBar::no_length().with_style(style("{spinner} loading {msg}")).with_message(what.to_owned());
        let loading = all.add(loading);
        loading.enable_steady_tick(Duration::from_millis(120));
        let requests = ProgressBar::with_draw_target(Some(0), target(quiet))
            .with_style(style("{bar:24} {pos}/{len} requests · {msg} · {elapsed} gone, {eta} left"))
            .with_message("first batch");
        Self { all, loading, requests, tokens: 0, sources: None }
    }

    /// For what is loaded, above the bar that says so.
    pub fn downloads(&self) -> Downloads {
        Downloads { all: self.all.clone(), bar: Mutex::new(None) }
    }

    /// What shows that models are loaded, to be ended by whoever knows first that they are.
    pub fn loading(&self) -> ProgressBar {
        self.loading.clone()
    }

    /// How many requests there will be is not known: items come from sources, and how far these were read is shown.
    pub fn show_sources(&mut self, streams: Arc<Streams>) {
        // What is wider than the terminal is cut there.
        self.requests.set_style(style("{bar:12} {percent:>3}% · {eta} left · {wide_msg}"));
        self.requests.set_length(PARTS);
        self.sources = Some(streams);
    }

    /// The models are there.
    pub fn loaded(&self) {
        self.loading.finish_and_clear();
    }

    pub fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { requests, .. } if self.sources.is_none() => self.requests.set_length(*requests as u64),
            Event::Answered { .. } if self.sources.is_some() => self.show_how_far(),
            Event::Answered { requests, tokens } => {
                self.tokens += tokens;
                self.requests.inc(*requests as u64);
                // Later rounds and the liveness check are not in the count that was made beforehand.
                if self.requests.length().is_some_and(|length| length < self.requests.position()) {
                    self.requests.set_length(self.requests.position());
                }
                let seconds = self.requests.elapsed().as_secs_f64();
                if seconds > 0.0 {
                    self.requests.set_message(format!("{:.0} tokens/s", self.tokens as f64 / seconds));
                }
            }
            Event::Finished(_) | Event::Failed { .. } => self.requests.finish_and_clear(),
            Event::Started { .. }
            | Event::Liveness(_)
            | Event::ProbeStarted { .. }
            | Event::Stage(_)
            | Event::Scores(_)
            | Event::Probe(_) => {}
        }
    }
}

impl Bars {
    fn show_how_far(&self) {
        let Some(progress) = self.sources.as_ref().and_then(|streams| streams.progress()) else { return };
        self.requests.set_position((progress.share() * PARTS as f64) as u64);
        self.requests.set_message(how_far(&progress, self.requests.elapsed()));
    }
}

/// `12345 of 100000 items · 350/s · 2% waiting for rows · 1.20 GiB of 4.00 GiB`.
fn how_far(progress: &Progressed, elapsed: Duration) -> String {
    let Progressed { items, most_items, bytes, all_bytes, waited } = *progress;
    let most = most_items.map_or(String::new(), |most| format!(" of {most}"));
    let bytes = format!("{} of {}", HumanBytes(bytes.min(all_bytes)), HumanBytes(all_bytes));
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let (rate, waiting) = (items as f64 / seconds, (100.0 * waited.as_secs_f64() / seconds).min(100.0));
    format!("{items}{most} items · {rate:.0}/s · {waiting:.0}% waiting for rows · {bytes}")
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.loading.finish_and_clear();
        self.requests.finish_and_clear();
    }
}

/// A bar for each file that is downloaded.
pub struct Downloads {
    all: MultiProgress,
    bar: Mutex<Option<ProgressBar>>,
}

impl Downloads {
    /// Where nothing else is shown.
    pub fn new() -> Self {
        Self { all: MultiProgress::with_draw_target(target(false)), bar: Mutex::new(None) }
    }

    fn with_bar(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        // A bar that a panic left half drawn is drawn over.
        act(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Progress for Downloads {
    fn started(&self, file: &str, bytes: u64, kept: u64) {
        let bar = ProgressBar::new(bytes)
            .with_style(style("{msg} {bar:24} {bytes}/{total_bytes} · {bytes_per_sec} · {eta} left"))
            .with_message(file.to_owned())
            .with_position(kept);
        // What was there before came at no speed.
        bar.reset_eta();
        self.with_bar(|shown| {
            if let Some(before) = shown.take() {
                before.finish_and_clear();
            }
            *shown = Some(self.all.insert(0, bar));
        });
    }

    fn advanced(&self, bytes: u64) {
        self.with_bar(|shown| {
            if let Some(bar) = shown {
                bar.inc(bytes);
            }
        });
    }

    fn finished(&self) {
        self.with_bar(|shown| {
            if let Some(bar) = shown.take() {
                bar.finish_and_clear();
            }
        });
    }

    fn warn(&self, message: &str) {
        let text = format!("warning: {message}");
        if self.all.is_hidden() {
            // Where stderr is gone, there is nobody to be warned.
            let _ = writeln!(anstream::stderr(), "{text}");
        } else {
            let _ = self.all.println(text);
        }
    }

    fn waiting(&self, why: &str) {
        // Shown only where bars are; a failure to draw is no failure of the download.
        let _ = self.all.println(why);
    }
}
