//! The report for a person at a terminal, or for a log: the verdict first, then why, then what it stands on.
//!
//! All that depends on the machine's speed is in the last line, so that two runs differ only there.

use unicode_width::UnicodeWidthStr;

use crate::record::{Diagnosis, ProbeRecord, RunRecord, ShardRecord, Verdict};

use super::escape::terminal as clean;
use super::paint::{self, Paint};
use super::table::{Cell, Column, Table};
use super::{Style, criterion, number, outcome, wrap};

/// How many of a probe's unmeasured items are named.
const ITEM_ERRORS_SHOWN: usize = 3;

#[must_use]
pub fn render(run: &RunRecord, style: Style) -> String {
    let page = Page { run, paint: Paint { color: style.color }, width: style.width };
    if let Some(shard) = outcome::part(run) {
        return format!("{}\n{}\n{}", page.part(shard), page.subjects(), page.work());
    }
    let body = if outcome::dead(run).is_some() || run.probes.is_empty() {
        String::new()
    } else {
        format!("\n{}\n{}{}", page.table(), page.findings(), page.left_out())
    };
    format!("{}\n{}{body}\n{}{}", page.headline(), page.subjects(), page.diagnosis(), page.work())
}

struct Page<'a> {
    run: &'a RunRecord,
    paint: Paint,
    width: usize,
}

impl Page<'_> {
    fn headline(&self) -> String {
        let gate = &self.run.gate;
        let word = gate.verdict.name().to_uppercase();
        let indent = word.len() + 2;
        let head = format!("{}  ", self.paint.on(paint::of_verdict(gate.verdict), &word));
        let mut text = String::new();
        if let Some(interrupted) = outcome::interrupted(self.run) {
            let word = self.paint.on(paint::of_verdict(Verdict::Warn), "INTERRUPTED");
            text += &wrap::hang(&format!("{word}  "), 13, &interrupted, self.width);
        }
        if let Some(liveness) = outcome::dead(self.run) {
            let finding = format!("{}: {}", outcome::not_live(liveness), clean(&liveness.message));
            return text + &wrap::hang(&head, indent, &finding, self.width);
        }
        let tally = outcome::tally(&self.run.probes).split(", ").map(wrap::glued).collect::<Vec<_>>().join(", ");
        text += &wrap::hang(&head, indent, &wrap::pieces(&[outcome::score(self.run), tally]), self.width);
        text + &wrap::hang(&" ".repeat(indent), indent, &clean(&gate.message), self.width)
    }

    /// What a part came to, which has no verdict.
    fn part(&self, shard: &ShardRecord) -> String {
        let word = format!("PART {} of {}", shard.index, shard.count);
        let indent = word.len() + 2;
        let head = format!("{}  ", self.paint.on(paint::of_verdict(Verdict::Pass), &word));
        let measured = self.run.probes.iter().filter(|probe| probe.verdict != Verdict::Skip);
        let measured: Vec<String> =
            measured.map(|probe| wrap::glued(&format!("{} of {}", probe.n, clean(&probe.name)))).collect();
        let items = format!("items measured: {}", measured.join(", "));
        wrap::hang(&head, indent, &items, self.width)
            + &wrap::hang(&" ".repeat(indent), indent, &clean(&self.run.gate.message), self.width)
    }

    /// What was compared with what, and whether there is anything to compare.
    fn subjects(&self) -> String {
        let run = self.run;
        let base = &run.base;
        let mut source = vec![clean(&base.source)];
        source.extend(base.commit.as_deref().map(|commit| format!("commit {}", clean(number::short(commit)))));
        let mut text = self.labelled("suite", &[clean(&run.suite), clean(number::short(&run.suite_digest))]);
        source.extend([
            clean(&base.architecture),
            format!("{} parameters", number::parameters(base.parameters)),
            format!("in {}", base.computed_in()),
            clean(number::short(&base.digest)),
        ]);
        text += &self.labelled("base", &source);
        if let Some(adapter) = &run.adapter {
            let mut source = vec![clean(&adapter.source)];
            source.extend(adapter.commit.as_deref().map(|commit| format!("commit {}", clean(number::short(commit)))));
            let size = format!("{} parameters", number::parameters(adapter.parameters));
            source.extend([clean(&adapter.peft_type), size, clean(number::short(&adapter.digest))]);
            text += &self.labelled("adapter", &source);
        }
        for source in &run.sources {
            let pieces: Vec<String> =
                std::iter::once(&source.name).chain(&outcome::source(source)).map(|piece| clean(piece)).collect();
            text += &self.labelled("source", &pieces);
            for bad in &source.bad_rows {
                text += &wrap::hang(&" ".repeat(9), 9, &clean(bad), self.width);
            }
        }
        if let Some(liveness) = &run.liveness {
            let verdict = liveness.verdict();
            let head = match verdict {
                Verdict::Pass => "live",
                Verdict::Fail => "dead",
                _ => "open",
            };
            let head = format!("{}     ", self.paint.on(paint::of_verdict(verdict), head));
            let modules = outcome::modules(liveness);
            if liveness.live {
                text += &wrap::hang(&head, 9, &clean(&liveness.message), self.width);
                text += &modules.map(|modules| wrap::hang(&" ".repeat(9), 9, &modules, self.width)).unwrap_or_default();
            } else {
                // The message is the headline.
                text += &wrap::hang(&head, 9, &modules.unwrap_or_else(|| "no module has an update".to_owned()), self.width);
            }
        }
        text
    }

    fn table(&self) -> String {
        let table = Table {
            columns: [
                Column::left("verdict", 0),
                Column::left("probe", 1).at_least(16),
                Column::left("kind", 9),
                Column::right("score", 3),
                Column::left("metric", 6).at_least(16),
                Column::right("value", 2),
                Column::left("95 % interval", 5),
                Column::left("wanted", 7),
                Column::right("n", 8),
                Column::right("z", 4),
                Column::right("q", 10),
            ],
            rows: self.run.probes.iter().map(row).collect(),
        };
        table.render(self.width, self.paint)
    }

    fn findings(&self) -> String {
        self.run.probes.iter().map(|probe| self.finding(probe)).collect()
    }

    fn finding(&self, probe: &ProbeRecord) -> String {
        let mut lines = vec![self.finding_head(probe)];
        lines.push(wrap::hang("  ", 2, &clean(&probe.message), self.width));
        let mut point = |text: &str| lines.push(wrap::hang("  - ", 4, &clean(text), self.width));
        if probe.verdict != Verdict::Pass {
            probe.criteria.iter().for_each(|of| point(&criterion::sentence(of)));
        }
        if let Some(why) = outcome::degenerate(probe) {
            point(&format!("no z: {why}"));
        }
        if let Some(noise) = outcome::noise(probe) {
            point(&noise);
        }
        probe.item_errors.iter().take(ITEM_ERRORS_SHOWN).for_each(|error| point(error));
        if let Some(more) = probe.item_errors.len().checked_sub(ITEM_ERRORS_SHOWN).filter(|more| *more > 0) {
            point(&format!("and {} not measured", number::plural(more as u64, "more item")));
        }
        lines.concat()
    }

    fn finding_head(&self, probe: &ProbeRecord) -> String {
        let verdict = self.paint.on(paint::of_verdict(probe.verdict), probe.verdict.name());
        let name = clean(&probe.name);
        let kind = format!("({})", clean(&probe.kind));
        let width = name.width() + 1 + kind.width() + 2 + probe.verdict.name().len();
        if width <= self.width {
            return format!("{} {}: {verdict}\n", self.paint.bold(&name), self.paint.faint(&kind));
        }
        let name: String = wrap::lines(&name, self.width).iter().map(|line| self.paint.bold(line) + "\n").collect();
        format!("{name}  {}: {verdict}\n", self.paint.faint(&kind))
    }

    fn left_out(&self) -> String {
        let left_out: Vec<String> = outcome::left_out(&self.run.probes)
            .map(|probe| format!("{} ({})", clean(&probe.name), probe.verdict.name()))
            .collect();
        if left_out.is_empty() {
            return String::new();
        }
        format!("\n{}", wrap::hang("left out of the score: ", 23, &left_out.join(", "), self.width))
    }

    /// What it comes down to, each with what it stands on and what to do.
    fn diagnosis(&self) -> String {
        let mut text = String::new();
        for Diagnosis { finding, advice, probes, .. } in &self.run.diagnosis {
            let of = if probes.is_empty() { String::new() } else { format!(" ({})", probes.join(", ")) };
            text += &wrap::hang("  ", 2, &clean(&format!("{finding}{of}")), self.width);
            if !advice.is_empty() {
                text += &wrap::hang("  → ", 4, advice, self.width);
            }
        }
        if text.is_empty() { text } else { format!("{}\n{text}\n", self.paint.bold("diagnosis")) }
    }

    fn work(&self) -> String {
        let stats = &self.run.stats;
        let requests = stats.cache_hits + stats.cache_misses;
        let saved = stats.tokens_requested.saturating_sub(stats.tokens_computed);
        let mut text = self.labelled(
            "work",
            &[
                number::plural(requests, "request"),
                format!("{} from the cache ({})", number::count(stats.cache_hits), number::percent(stats.hit_rate)),
                number::plural(stats.forward_passes, "forward pass"),
                format!("{} (largest {})", number::plural(stats.batches_sent, "batch"), number::count(stats.max_batch_size)),
            ],
        );
        text += &self.labelled(
            "tokens",
            &[
                format!("{} requested", number::count(stats.tokens_requested)),
                format!("{} computed", number::count(stats.tokens_computed)),
                format!("{} saved ({})", number::count(saved), number::percent(ratio(saved, stats.tokens_requested as f64))),
            ],
        );
        let mut times = vec![
            format!("load {}", number::seconds(stats.load_s)),
            format!("scoring {}", number::seconds(stats.scoring_wall_s)),
            format!("{} tokens/s", number::fixed(ratio(stats.tokens_computed, stats.scoring_wall_s), 0)),
            format!("peak {}", number::bytes(stats.peak_rss_bytes)),
        ];
        times.extend(stats.sources.map(|sources| format!("{} waiting for rows", number::seconds(sources.starved_s))));
        text + &self.labelled("time", &times)
    }

    fn labelled(&self, label: &str, pieces: &[String]) -> String {
        wrap::hang(&self.paint.faint(&format!("{label:9}")), 9, &wrap::pieces(pieces), self.width)
    }
}

fn row(probe: &ProbeRecord) -> [Cell; 11] {
    let (value, interval) = probe.estimate.as_ref().map(number::estimate).unwrap_or_default();
    let wanted = probe.criteria.first().map(criterion::wanted_sign).unwrap_or_default();
    [
        Cell { text: probe.verdict.name().to_owned(), style: paint::of_verdict(probe.verdict) },
        clean(&probe.name).into(),
        clean(&probe.kind).into(),
        probe.score.map(number::score).unwrap_or_default().into(),
        clean(&probe.metric).into(),
        value.into(),
        interval.unwrap_or_default().into(),
        wanted.into(),
        number::count(probe.n as u64).into(),
        outcome::z(probe).map(number::z).unwrap_or_default().into(),
        probe.q.map(number::p).unwrap_or_default().into(),
    ]
}

/// 0 where nothing ran.
fn ratio(of: u64, to: f64) -> f64 {
    if to > 0.0 { of as f64 / to } else { 0.0 }
}

#[cfg(test)]
mod tests;
