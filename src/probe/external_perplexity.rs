//! `external_perplexity`: does it still read general prose as well as the base?

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::chunk::chunks;
use super::items::Item;
use super::pack::{GENERAL_PROSE, Layout};
use super::verdict::{Rule, Side, score_of, settle_clause, shown};
use super::{Court, FileItems, ItemStream, Items, Judgement, Kind, OpenRows, Probe, bounds};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Op, Overflow, Request, View};

/// Mean over chunks of prose of the change of log-probability per real token, ft − base.
///
/// A chunk is the unit, and each counts the same: those of one text are alike, so texts that need no cut give the most honest interval.
/// The shipped prose has 34 pieces of about 225 words, each of which is one chunk.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct ExternalPerplexity {
    texts: Items<Text>,
    chunk_words: usize,
    min_change: f64,
}

/// The keys as a suite has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// A list of texts, or rows of a file; the prose that comes with sway, where neither this nor `file` is given.
    #[serde(default)]
    texts: Items<Text>,
    /// A text file, of pieces between lines of `***`.
    file: Option<String>,
    /// A text of more words is cut into chunks of at most so many, between paragraphs or sentences.
    #[serde(default = "default_chunk", deserialize_with = "bounds::at_least_sixteen")]
    chunk_words: usize,
    /// Least mean change, nats per token.
    #[serde(default = "default_change", deserialize_with = "bounds::negative")]
    min_change: f64,
}

fn default_chunk() -> usize {
    256
}

fn default_change() -> f64 {
    -0.1
}

impl TryFrom<Written> for ExternalPerplexity {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let Written { texts, file, chunk_words, min_change } = written;
        let texts = match (texts, file) {
            (Items::Absent, None) => Items::Shipped(GENERAL_PROSE),
            (Items::Absent, Some(file)) => Items::File(FileItems { file, field: None, limit: None, layout: Layout::Pieces }),
            (texts, None) => texts,
            (_, Some(_)) => return Err("`texts` and `file` can't both be given"),
        };
        Ok(Self { texts, chunk_words, min_change })
    }
}

/// A text, or a chunk of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(String);

impl Item for Text {
    const PLURAL: &'static str = "texts";
    const TEXT_FIELD: Option<&'static str> = Some("text");

    fn check(&self) -> Result<(), String> {
        if self.0.trim().is_empty() { Err("`text` is empty".to_owned()) } else { Ok(()) }
    }
}

/// How many of the chunks that lost most are shown, and how much of each.
const MOST_LOST: usize = 5;
const SHOWN: usize = 60;

/// What one chunk gave.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Read {
    /// Log-probability of all its tokens, nats.
    ft: f64,
    base: f64,
    tokens: usize,
    beginning: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Change of log-probability per token of each chunk.
    changes: Vec<f64>,
    tokens: usize,
    /// Sums over all tokens, nats.
    ft: f64,
    base: f64,
    /// The largest losses, worst first.
    lost: Vec<(f64, String)>,
}

impl Fold {
    /// exp of the mean negative log-probability of a token.
    fn perplexity(&self, logprob: f64) -> f64 {
        (-logprob / self.tokens.max(1) as f64).exp()
    }
}

/// Three digits of a perplexity, or all before the point.
fn short(perplexity: f64) -> String {
    let digits = if perplexity < 10.0 { 2 } else { usize::from(perplexity < 100.0) };
    format!("{perplexity:.digits$}")
}

impl Probe for ExternalPerplexity {
    const KIND: Kind = Kind {
        name: "external_perplexity",
        category: Category::Calibration,
        summary: "does it still read general prose as well?",
        calibrated: None,
        values_of: "change",
        asks_documents: true,
    };

    const ITEMS_ARE_ROWS: bool = false;

    type Item = Text;
    type Measurement = Read;
    type Fold = Fold;

    fn items(&self) -> &Items<Text> {
        &self.texts
    }

    fn open(&self, rows: &dyn OpenRows) -> Result<ItemStream<Text>, String> {
        let most = self.chunk_words;
        let cut = move |text: Result<Text, String>| match text {
            Ok(Text(text)) => chunks(&text, most).map(|chunk| Ok(Text(chunk.to_owned()))).collect::<Vec<_>>(),
            Err(message) => vec![Err(message)],
        };
        Ok(Box::new(self.texts.open(rows)?.flat_map(cut)))
    }

    fn ask(&self, Text(text): &Text, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        // Of a chunk longer than the model's context the last tokens that fit are read, by both views: of general prose one stretch
        // is as good as another.
        let request =
            |view| Request { overflow: Overflow::KeepLast, ..Request::new(view, Op::RollingLogprob { text: text.clone() }) };
        [View::Ft, View::Base].map(request).to_vec()
    }

    fn measure(&self, Text(text): &Text, rounds: &[Vec<Answer>]) -> Option<Read> {
        let [answers] = rounds else { return None };
        match answers.as_slice() {
            [Answer::RollingLogprob(ft), Answer::RollingLogprob(base)] => Some(Read {
                ft: ft.total_logprob,
                base: base.total_logprob,
                tokens: ft.num_tokens,
                beginning: text.chars().take(SHOWN).collect(),
            }),
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, _: u64, Read { ft, base, tokens, beginning }: Read) {
        let change = (ft - base) / tokens as f64;
        fold.changes.push(change);
        fold.tokens += tokens;
        fold.ft += ft;
        fold.base += base;
        if change < self.min_change {
            let at = fold.lost.partition_point(|(other, _)| *other <= change);
            fold.lost.insert(at, (change, beginning));
            fold.lost.truncate(MOST_LOST);
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let rule =
            Rule { name: "mean_change", side: Side::Above, worst: self.min_change - 1.0, threshold: self.min_change, best: 0.0 };
        let Some(criterion) = court.decide_mean(rule, &fold.changes) else {
            return Judgement::nothing("no text was measured", fold.changes.clone());
        };
        let verdict = criterion.verdict;
        let criteria = vec![criterion];
        let (ft, base) = (fold.perplexity(fold.ft), fold.perplexity(fold.base));
        let found = format!(
            "over {} chunks of prose the log-probability of a token changed by {} nats (perplexity {} from the base's {})",
            fold.changes.len(),
            shown(&criteria[0].estimate),
            short(ft),
            short(base)
        );
        let message = match verdict {
            Verdict::Pass => found,
            Verdict::Fail => format!("it reads general prose worse: {found}"),
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        evidence.insert("perplexity_ft".to_owned(), json!(ft));
        evidence.insert("perplexity_base".to_owned(), json!(base));
        evidence.insert("tokens".to_owned(), json!(fold.tokens));
        let worst = fold.lost.iter().map(|(change, text)| json!({"change": change, "text": text}));
        evidence.insert("worst".to_owned(), json!(worst.collect::<Vec<_>>()));
        Judgement {
            verdict,
            score: score_of(verdict, rule.score(criteria[0].estimate.value)),
            p_paired: court.paired_p(&fold.changes, self.min_change),
            criteria,
            message,
            evidence,
            values: fold.changes.clone(),
        }
    }
}
