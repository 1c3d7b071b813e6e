//! Progress on stderr, where that is a terminal.

use std::io::Write;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::model::hub::Progress;
use crate::record::Event;

/// A bar for what is being loaded, then one for the requests. indicatif draws nothing where stderr is no terminal.
pub struct Bars {
    /// Bars that are there at once take turns through it; each on its own would draw over the others.
    all: MultiProgress,
    loading: ProgressBar,
    requests: ProgressBar,
    tokens: u64,
    has_total: bool,
}

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
        Self { all, loading, requests, tokens: 0, has_total: true }
    }

    /// For what is loaded, above the bar that says so.
    pub fn downloads(&self) -> Downloads {
        Downloads { all: self.all.clone(), bar: Mutex::new(None) }
    }

    /// What shows that models are loaded, to be ended by whoever knows first that they are.
    pub fn loading(&self) -> ProgressBar {
        self.loading.clone()
    }

    /// How much there is to do is not known: what was done is shown alone.
    pub fn show_no_total(&mut self) {
        self.requests.unset_length();
        self.requests.set_style(style("{spinner} {pos} requests · {msg} · {elapsed} gone"));
        self.has_total = false;
    }

    /// The models are there.
    pub fn loaded(&self) {
        self.loading.finish_and_clear();
    }

    pub fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Started { requests, .. } if self.has_total => self.requests.set_length(*requests as u64),
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
