//! `cluster_kl`: does the adapter change what some of the prompts are about, and leave the others?

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::verdict::{Rule, Side, number, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe, bounds, decay};
use crate::math::{Degenerate, GroupVariance, derive_seed, group_shuffle, k_means, mean};
use crate::record::{Category, Measure, Verdict};
use crate::request::{Answer, Embedder, Op, Prompt, Request, View};

/// Share of the variance of JS(ft, base) at the token after each prompt that lies between clusters of prompts: 1 where it hangs on what
/// a prompt is about alone, 0 where that has nothing to do with it.
///
/// Prompts are embedded by their words, without a chat template, and clustered by k-means. Both are of the prompts alone, so that the
/// same prompts always fall into the same clusters, whatever the adapter.
///
/// The share is ε² (`math::GroupVariance`): the plain one, η², is `(k − 1)/(n − 1)` on average where clusters mean nothing, 0.21 for 20
/// prompts in 5. Resamples repeat prompts, which makes a cluster look more alike than it is: seen from them the population is the sample,
/// of which η² lies between the clusters, so that what they leave within lies around `1 − η²`, and is multiplied by
/// `(1 − ε²)/(1 − η²)`. Clusters are not drawn again in a resample.
///
/// Clusters found in any prompts differ somewhat in how easily they are moved, so nulls show a share too. They are held against the
/// adapter on the same items in the same clusters, which are those of these items: a null sees `null.max_items` of them, and fewer prompts
/// make fewer clusters. Chance alone is told by shuffling which prompt is in which cluster; that stands against a pass where no null does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterKl {
    prompts: Items<Prompt>,
    /// Wanted; there are fewer where prompts are fewer than four to a cluster.
    #[serde(default = "default_clusters", deserialize_with = "bounds::at_least_two")]
    clusters: usize,
    /// What embeds the prompts.
    #[serde(default)]
    embedder: Embedder,
    #[serde(default = "default_specificity", deserialize_with = "bounds::share")]
    threshold: f64,
}

fn default_clusters() -> usize {
    5
}

fn default_specificity() -> f64 {
    0.6
}

/// Prompts: fewer make no clusters, and more take k-means minutes.
const PROMPTS: RangeInclusive<usize> = 20..=5000;

/// Fewest prompts to a cluster, on average: a variance within wants some.
const TO_A_CLUSTER: usize = 4;

/// Shuffles of which prompt is in which cluster, and the largest p at which the clusters count.
const SHUFFLES: u32 = 999;
const BY_CHANCE: f64 = 0.05;

/// Prompts that the evidence shows of each cluster, and characters of each.
const SHOWN_PROMPTS: usize = 3;
const SHOWN: usize = 60;

/// What one prompt gave.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Nats.
    js: f64,
    embedding: Vec<f32>,
    /// The beginning of the prompt.
    words: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    js: Vec<f64>,
    embeddings: Vec<Vec<f32>>,
    /// The beginnings of the prompts.
    words: Vec<String>,
}

impl ClusterKl {
    /// (prompts): the cluster of each; `None` where all are in one place.
    fn clusters(&self, fold: &Fold) -> Option<Vec<usize>> {
        // Not the run's seed: clusters are a matter of the prompts.
        let seed = derive_seed(0, &[Self::KIND.name, "k-means"]);
        let points: Vec<Vec<f64>> =
            fold.embeddings.iter().map(|embedding| embedding.iter().copied().map(f64::from).collect()).collect();
        let wanted = (points.len() / TO_A_CLUSTER).clamp(2, self.clusters);
        match k_means(seed, &points, wanted) {
            Err(Degenerate::TooFew { found: different @ 2.., .. }) => k_means(seed, &points, different),
            found => found,
        }
        .ok()
        .map(|found| found.labels)
    }
}

fn once(n: usize) -> Vec<usize> {
    vec![1; n]
}

impl Probe for ClusterKl {
    const KIND: Kind = Kind {
        name: "cluster_kl",
        category: Category::Adherence,
        summary: "does it change what some prompts are about, and leave the others?",
        calibrated: Some("specificity"),
        values_of: "divergence",
        asks_documents: false,
    };

    type Item = Prompt;
    type Measurement = Place;
    type Fold = Fold;

    fn items(&self) -> &Items<Prompt> {
        &self.prompts
    }

    fn counts(&self) -> RangeInclusive<usize> {
        (*PROMPTS.start()).max(TO_A_CLUSTER * self.clusters)..=*PROMPTS.end()
    }

    fn embedder(&self) -> Option<&Embedder> {
        Some(&self.embedder)
    }

    /// The embedding is asked of the base under every view, so that nulls share it.
    fn ask(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let embed = Op::Embed { text: prompt.words().into_owned(), embedder: self.embedder.clone() };
        vec![
            Request::new(View::Ft, Op::NextTokenDist { prompt: prompt.clone(), top_k: 1, versus: Some(View::Base) }),
            Request::new(View::Base, embed),
        ]
    }

    fn measure(&self, prompt: &Prompt, rounds: &[Vec<Answer>]) -> Option<Place> {
        let [answers] = rounds else { return None };
        match answers.as_slice() {
            [Answer::NextTokenDist(dist), Answer::Embedding(of)] => Some(Place {
                js: dist.divergence?.js,
                embedding: of.embedding.clone(),
                words: prompt.words().chars().take(SHOWN).collect(),
            }),
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, _: u64, Place { js, embedding, words }: Place) {
        fold.js.push(js);
        fold.embeddings.push(embedding);
        fold.words.push(words);
    }

    fn metric(&self, fold: &Fold) -> Option<f64> {
        GroupVariance::of(&fold.js, &self.clusters(fold)?, &once(fold.js.len())).epsilon_squared()
    }

    fn divergence(&self, fold: &Fold) -> Option<(Measure, f64)> {
        Some((Measure::Js, mean(&fold.js).ok()?))
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let (values, n) = (&fold.js, fold.js.len());
        let Ok(average) = mean(values) else {
            return Judgement::nothing("no prompt was measured", values.clone());
        };
        let mut evidence = Map::new();
        evidence.insert("mean_js".to_owned(), json!(average));
        let nothing = |verdict, message: String, evidence: Map<String, Value>| Judgement {
            verdict,
            score: score_of(verdict, 0.0),
            evidence,
            ..Judgement::nothing(message, values.clone())
        };
        if n < court.min_items {
            let message = format!("{n} prompts are too few for a verdict, which needs {}", court.min_items);
            return nothing(Verdict::Inconclusive, message, evidence);
        }
        if average < decay::LEAST {
            let message = format!(
                "the adapter probably does nothing: it moves the next token's distribution by {average:.1e} nats of JS on average"
            );
            return nothing(Verdict::Fail, message, evidence);
        }
        let Some(labels) = self.clusters(fold) else {
            let message = "the prompts can't be told apart by their embeddings, so there are no clusters".to_owned();
            return nothing(Verdict::Inconclusive, message, evidence);
        };
        let clusters = clusters_of(fold, &labels);
        evidence.insert("clusters".to_owned(), json!(clusters.iter().map(Cluster::evidence).collect::<Vec<_>>()));
        let whole = GroupVariance::of(values, &labels, &once(n));
        let (Some(eta), Some(epsilon)) = (whole.eta_squared(), whole.epsilon_squared()) else {
            let message = format!("it moves all prompts by the same {} nats of JS, whatever they are about", number(average));
            return nothing(Verdict::Fail, message, evidence);
        };
        let rule = Rule {
            name: "specificity",
            side: Side::Above,
            worst: 0.0,
            threshold: self.threshold,
            best: self.threshold.midpoint(1.0),
        };
        // Nothing within is nothing within, whatever it is multiplied by.
        let scale = if eta < 1.0 { (1.0 - epsilon) / (1.0 - eta) } else { 1.0 };
        let resampled =
            |counts: &[usize]| Some(1.0 - scale * (1.0 - GroupVariance::of(values, &labels, counts).epsilon_squared()?));
        let criteria = vec![rule.decide(court.statistic(rule.name, epsilon, n, resampled), |_| None, court)];
        let between = |labels: &[usize]| GroupVariance::of(values, labels, &once(n)).between;
        let by_chance = group_shuffle(court.seed_for("clusters"), SHUFFLES, labels.clone(), between).unwrap_or(1.0);
        evidence.insert("eta_squared".to_owned(), json!(eta));
        evidence.insert("permutation_p".to_owned(), json!(by_chance));
        let verdict = match court.effect(&criteria) {
            Verdict::Pass if by_chance > BY_CHANCE => Verdict::Inconclusive,
            verdict => verdict,
        };
        let found = format!(
            "{} of the variance of its effect (JS) lies between {} clusters of prompts",
            shown(&criteria[0].estimate),
            clusters.len()
        );
        let most = clusters.first().map_or(String::new(), Cluster::clause);
        let message = match verdict {
            Verdict::Pass => format!("its effect hangs on what is asked about: {found}{most}{}", court.null_clause("")),
            Verdict::Fail if court.only_drowned(&criteria) => format!("{found}{}", court.null_clause("")),
            Verdict::Fail => {
                format!("its effect does not hang on what is asked about: {found}, short of the {} asked for", self.threshold)
            }
            _ if by_chance > BY_CHANCE => {
                format!(
                    "{found}, and clusters drawn at random share as much (p = {by_chance:.2}){}",
                    settle_clause(&criteria, court)
                )
            }
            _ => format!("{found}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let score = score_of(verdict, rule.score(epsilon));
        Judgement { verdict, score, p_paired: None, criteria, message, evidence, values: values.clone() }
    }
}

/// A cluster as reports show it.
struct Cluster<'a> {
    js: Vec<f64>,
    words: Vec<&'a str>,
}

/// Those that are moved most come first.
fn clusters_of<'a>(fold: &'a Fold, labels: &[usize]) -> Vec<Cluster<'a>> {
    let size = labels.iter().max().map_or(0, |last| last + 1);
    let mut clusters: Vec<Cluster<'_>> = (0..size).map(|_| Cluster { js: Vec::new(), words: Vec::new() }).collect();
    for ((&label, js), words) in labels.iter().zip(&fold.js).zip(&fold.words) {
        clusters[label].js.push(*js);
        clusters[label].words.push(words);
    }
    clusters.sort_by(|a, b| b.mean().total_cmp(&a.mean()));
    clusters
}

impl Cluster<'_> {
    fn mean(&self) -> f64 {
        self.js.iter().sum::<f64>() / self.js.len().max(1) as f64
    }

    fn evidence(&self) -> Value {
        json!({"n": self.js.len(), "mean_js": self.mean(), "prompts": self.words.iter().take(SHOWN_PROMPTS).collect::<Vec<_>>()})
    }

    fn clause(&self) -> String {
        let about = self.words.first().copied().unwrap_or_default();
        format!("; most where {} prompts are as “{about}” ({} nats)", self.js.len(), number(self.mean()))
    }
}
