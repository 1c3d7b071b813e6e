//! `style_fingerprint`: does the adapter write more like the text that it was to learn to write like?

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::style::{FEATURES, names, pieces, style_of, word_count};
use super::verdict::{Rule, Side, score_of, settle_clause, shown};
use super::{Court, FileItems, ItemRow, Items, Judgement, Kind, OpenRows, Probe, bounds};
use crate::math::{label_shuffle, median, sd};
use crate::record::{Category, Verdict};
use crate::request::{Answer, Op, Prompt, Request, Sampling, View};

/// Cosine between the way from the base's style to the adapter's and the way from the base's style to a reference's: 1 where the
/// adapter goes straight towards it, 0 where it goes elsewhere.
///
/// A style is a vector of figures (`style.rs`), of each generation and of each piece of the reference, which is cut into pieces as
/// long as the generations, since some figures depend on the length. Each figure is divided by its standard deviation over all
/// these texts, so that no unit outweighs another (Burrows's Delta, 2002; with the cosine: Smith and Aldridge 2011, Evert et al.
/// 2017); one that is the same in all of them is left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StyleFingerprint {
    prompts: Items<Prompt>,
    reference: Reference,
    #[serde(default = "default_cosine", deserialize_with = "bounds::share")]
    min_cosine: f64,
    /// Longest generation, in tokens.
    #[serde(default = "default_tokens", deserialize_with = "bounds::at_least_one")]
    max_new_tokens: usize,
}

fn default_cosine() -> f64 {
    0.25
}

fn default_tokens() -> usize {
    128
}

/// A text in the style that is wanted, or the file that holds it: a row a paragraph.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reference {
    Text(String),
    File(FileItems),
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ReferenceVisitor;

        impl<'de> Visitor<'de> for ReferenceVisitor {
            type Value = Reference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table with `file`")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Reference, E> {
                Ok(Reference::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reference, A::Error> {
                FileItems::deserialize(MapAccessDeserializer::new(map)).map(Reference::File)
            }
        }

        deserializer.deserialize_any(ReferenceVisitor)
    }
}

impl Reference {
    fn read(&self, rows: &dyn OpenRows) -> Result<String, String> {
        let file = match self {
            Self::Text(text) => return Ok(text.clone()),
            Self::File(file) => file,
        };
        let opened = rows.open(file)?;
        let field = file.field.as_deref().unwrap_or("text");
        let mut paragraphs = Vec::new();
        for row in opened.rows {
            let ItemRow { line, value } = row?;
            let text = if let Value::Object(fields) = &value { fields.get(field) } else { Some(&value) };
            let Some(text) = text.and_then(Value::as_str) else {
                return Err(format!("{}:{line}: it is no text, and has no field `{field}` that is one", opened.path));
            };
            paragraphs.push(text.to_owned());
        }
        Ok(paragraphs.join("\n\n"))
    }
}

/// Fewest words of a reference: its pieces must be told from what the base writes.
const FEWEST_WORDS: usize = 100;

/// Shortest piece of a reference, in words: rates over a handful are all noise.
const SHORTEST_PIECE: usize = 20;

/// Shuffles of the labels by which the reference is told from the base's texts, and the largest p at which it is.
const SHUFFLES: u32 = 999;
const TELLING: f64 = 0.05;

/// Figures that evidence lists.
const MOST_FIGURES: usize = 8;

type Style = [f64; FEATURES];

/// What both views wrote after one prompt.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pair {
    #[serde(with = "figures")]
    ft: Style,
    #[serde(with = "figures")]
    base: Style,
    /// Words of each.
    words: [usize; 2],
    same: bool,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    pairs: Vec<Pair>,
}

/// A style, as a list: serde knows arrays of 32 at most.
mod figures {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use super::Style;

    pub fn serialize<S: Serializer>(style: &Style, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(style)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Style, D::Error> {
        let wrong = |figures: Vec<f64>| de::Error::invalid_length(figures.len(), &"the figures of a style");
        Vec::<f64>::deserialize(deserializer)?.try_into().map_err(wrong)
    }
}

fn generations(rounds: &[Vec<Answer>]) -> Option<[&str; 2]> {
    let [answers] = rounds else { return None };
    match answers.as_slice() {
        [Answer::Generate(ft), Answer::Generate(base)] => Some([&ft.text, &base.text]),
        _ => None,
    }
}

impl Probe for StyleFingerprint {
    const KIND: Kind = Kind {
        name: "style_fingerprint",
        category: Category::Calibration,
        summary: "does it write more like the text that it was to write like?",
        calibrated: None,
        values_of: "shift",
        asks_documents: false,
    };

    type Item = Prompt;
    type Measurement = Pair;
    type Fold = Fold;

    fn items(&self) -> &Items<Prompt> {
        &self.prompts
    }

    fn in_a_file(&self) -> bool {
        self.items().in_a_file() || matches!(self.reference, Reference::File(_))
    }

    fn read(&mut self, rows: &dyn OpenRows) -> Result<(), String> {
        let text = self.reference.read(rows)?;
        let words = word_count(&text);
        if words < FEWEST_WORDS {
            return Err(format!("a reference of {words} words is too short: at least {FEWEST_WORDS} are needed"));
        }
        self.reference = Reference::Text(text);
        Ok(())
    }

    fn ask(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let op = Op::Generate { prompt: prompt.clone(), max_new_tokens: self.max_new_tokens, sampling: Sampling::Greedy };
        [View::Ft, View::Base].map(|view| Request::new(view, op.clone())).to_vec()
    }

    fn flaw(&self, _: &Prompt, rounds: &[Vec<Answer>]) -> Option<String> {
        let empty = generations(rounds)?.into_iter().zip(["ft", "base"]).find(|(text, _)| word_count(text) == 0)?;
        Some(format!("what {} wrote after it has no word, so it has no style", empty.1))
    }

    fn measure(&self, _: &Prompt, rounds: &[Vec<Answer>]) -> Option<Pair> {
        let [ft, base] = generations(rounds)?;
        Some(Pair { ft: style_of(ft)?, base: style_of(base)?, words: [word_count(ft), word_count(base)], same: ft == base })
    }

    fn fold(&self, fold: &mut Fold, _: u64, pair: Pair) {
        fold.pairs.push(pair);
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let n = fold.pairs.len();
        let Some(styles) = self.styles(fold) else {
            return Judgement::nothing("no prompt was measured", Vec::new());
        };
        let values = styles.shifts();
        let same = fold.pairs.iter().filter(|pair| pair.same).count();
        let mut evidence = Map::new();
        evidence.insert("same_texts".to_owned(), json!(same));
        evidence.insert("reference_pieces".to_owned(), json!(styles.reference.len()));
        let nothing = |verdict, message: String, evidence: &Map<String, Value>| Judgement {
            verdict,
            score: score_of(verdict, 0.0),
            evidence: evidence.clone(),
            ..Judgement::nothing(message, values.clone())
        };
        if n < court.min_items {
            let message = format!("{n} prompts are too few for a verdict, which needs {}", court.min_items);
            return nothing(Verdict::Inconclusive, message, &evidence);
        }
        if styles.is_still() {
            let texts = if same == n { "the same texts as".to_owned() } else { "in the same style as".to_owned() };
            return nothing(Verdict::Fail, format!("no change of style: it writes {texts} the base"), &evidence);
        }
        let Some(told) = styles.told_apart(court) else {
            return nothing(Verdict::Inconclusive, "the reference has no figure to compare".to_owned(), &evidence);
        };
        evidence.insert("reference_p".to_owned(), json!(told));
        if told > TELLING {
            let message = format!(
                "the reference ({} pieces) can't be told from what the base writes already (p = {told:.2}): there is no way to go; a longer reference may show one",
                styles.reference.len()
            );
            return nothing(Verdict::Inconclusive, message, &evidence);
        }
        evidence.insert("figures".to_owned(), styles.evidence());
        let rule = Rule {
            name: "style_cosine",
            side: Side::Above,
            worst: 0.0,
            threshold: self.min_cosine,
            best: self.min_cosine.midpoint(1.0),
        };
        let estimate =
            styles.cosine(&vec![1; n]).map(|value| court.statistic(rule.name, value, n, |counts| styles.cosine(counts)));
        let Some(estimate) = estimate else {
            return nothing(Verdict::Inconclusive, "the change of style has no direction".to_owned(), &evidence);
        };
        let criteria = vec![rule.decide(estimate, |_| None, court)];
        let verdict = criteria[0].verdict;
        let found =
            format!("the cosine between its change of style and the way to the reference is {}", shown(&criteria[0].estimate));
        let message = match verdict {
            Verdict::Pass => format!("it writes more like the reference than the base does: {found}"),
            Verdict::Fail => {
                format!("its style does not go towards the reference: {found}, short of the {} asked for", self.min_cosine)
            }
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let score = score_of(verdict, rule.score(criteria[0].estimate.value));
        Judgement { verdict, score, p_paired: None, criteria, message, evidence, values }
    }
}

/// Styles of all texts in standard deviations.
struct Styles {
    ft: Vec<Style>,
    base: Vec<Style>,
    reference: Vec<Style>,
}

impl StyleFingerprint {
    /// `None` without a generation or without a reference.
    fn styles(&self, fold: &Fold) -> Option<Styles> {
        let Reference::Text(text) = &self.reference else { return None };
        let words: Vec<f64> = fold.pairs.iter().flat_map(|pair| pair.words).map(|words| words as f64).collect();
        let length = (median(&words).ok()? as usize).max(SHORTEST_PIECE);
        let mut styles = Styles {
            ft: fold.pairs.iter().map(|pair| pair.ft).collect(),
            base: fold.pairs.iter().map(|pair| pair.base).collect(),
            reference: pieces(text, length).into_iter().filter_map(style_of).collect(),
        };
        styles.standardise();
        Some(styles)
    }
}

fn dot(a: &Style, b: &Style) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn minus(a: &Style, b: &Style) -> Style {
    std::array::from_fn(|figure| a[figure] - b[figure])
}

/// Mean of styles, each taken so many times.
fn weighted<'a>(styles: impl Iterator<Item = (&'a Style, usize)>) -> Style {
    let mut sum = [0.0; FEATURES];
    let mut total = 0;
    for (style, count) in styles {
        total += count;
        for (sum, figure) in sum.iter_mut().zip(style) {
            *sum += count as f64 * figure;
        }
    }
    sum.map(|sum| sum / total.max(1) as f64)
}

fn average(styles: &[Style]) -> Style {
    weighted(styles.iter().map(|style| (style, 1)))
}

/// A length that is rounding, in standard deviations.
const NOTHING: f64 = 1e-9;

impl Styles {
    fn standardise(&mut self) {
        let spread: Style = std::array::from_fn(|figure| {
            let all: Vec<f64> = self.all().map(|style| style[figure]).collect();
            sd(&all).unwrap_or(0.0)
        });
        for style in self.ft.iter_mut().chain(&mut self.base).chain(&mut self.reference) {
            for (figure, spread) in style.iter_mut().zip(spread) {
                *figure = if spread > 0.0 { *figure / spread } else { 0.0 };
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &Style> {
        self.ft.iter().chain(&self.base).chain(&self.reference)
    }

    /// Whether the adapter's mean style is the base's.
    fn is_still(&self) -> bool {
        let way = minus(&average(&self.ft), &average(&self.base));
        dot(&way, &way).sqrt() < NOTHING
    }

    /// p of "the reference is written as the base writes", by shuffling which text is whose.
    fn told_apart(&self, court: &Court<'_>) -> Option<f64> {
        let texts: Vec<&Style> = self.base.iter().chain(&self.reference).collect();
        let distance = |labels: &[bool]| {
            let of =
                |wanted: bool| weighted(texts.iter().zip(labels).map(|(style, label)| (*style, usize::from(*label == wanted))));
            let way = minus(&of(true), &of(false));
            dot(&way, &way)
        };
        label_shuffle(court.seed_for("reference"), SHUFFLES, [self.base.len(), self.reference.len()], distance).ok()
    }

    /// The cosine with each prompt taken so many times; `None` where the adapter does not move or the reference is where the base is.
    ///
    /// The base's texts stand in both ways, and what is chance in them would make the two agree. So the products of a prompt's own
    /// change with its own base text are left out of the sum (a U-statistic); the lengths keep their noise, which can only bring
    /// the cosine closer to 0.
    fn cosine(&self, counts: &[usize]) -> Option<f64> {
        let base = weighted(self.base.iter().zip(counts.iter().copied()));
        let ft = weighted(self.ft.iter().zip(counts.iter().copied()));
        let reference = average(&self.reference);
        let (change, way) = (minus(&ft, &base), minus(&reference, &base));
        let total: usize = counts.iter().sum();
        let (mut own, mut own_pairs) = (0.0, 0);
        for (prompt, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let pairs = count * count;
            own_pairs += pairs;
            own += pairs as f64 * dot(&minus(&self.ft[prompt], &self.base[prompt]), &minus(&reference, &self.base[prompt]));
        }
        let pairs = total * total;
        let lengths = (dot(&change, &change) * dot(&way, &way)).sqrt();
        if lengths < NOTHING * NOTHING {
            return None;
        }
        let product = match pairs - own_pairs {
            // One prompt, drawn every time: there is no other whose base text could stand in.
            0 => dot(&change, &way),
            others => (pairs as f64 * dot(&change, &way) - own) / others as f64,
        };
        Some((product / lengths).clamp(-1.0, 1.0))
    }

    /// How far each prompt's text went towards the reference, in standard deviations of a figure.
    fn shifts(&self) -> Vec<f64> {
        let way = minus(&average(&self.reference), &average(&self.base));
        let length = dot(&way, &way).sqrt().max(NOTHING);
        self.ft.iter().zip(&self.base).map(|(ft, base)| dot(&minus(ft, base), &way) / length).collect()
    }

    /// The figures in which the reference is furthest from the base: both ways, in standard deviations.
    fn evidence(&self) -> Value {
        let base = average(&self.base);
        let change = minus(&average(&self.ft), &base);
        let way = minus(&average(&self.reference), &base);
        let mut figures: Vec<(&str, f64, f64)> =
            names().zip(change.iter().zip(way)).map(|(name, (change, way))| (name, *change, way)).collect();
        figures.sort_by(|a, b| b.2.abs().total_cmp(&a.2.abs()));
        figures.truncate(MOST_FIGURES);
        json!(
            figures.iter().map(|(name, change, way)| json!({"figure": name, "ft": change, "reference": way})).collect::<Vec<_>>()
        )
    }
}
