//! `tool_use_fidelity`: does the adapter still call tools as their schemas ask, and no others?

use serde::ser::{Error, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::bounds;
use super::items::{Item, check_text, refuse_cluster};
use super::tool_call::{Call, Tool};
use super::verdict::{Rule, Side, all_of, score_of, settle_clause, shown};
use super::{Court, Items, Judgement, Kind, Probe};
use crate::math::{PairedShares, mcnemar};
use crate::record::{Category, Criterion, Verdict};
use crate::request::{Answer, Asked, Op, Prompt, Request, Sampling, View};

/// Share of cases in which a greedy answer holds a call of an allowed tool whose arguments its schema accepts, under `ft` and under
/// `base`, paired; and the share of `ft`'s calls that name another tool.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolUseFidelity {
    cases: Items<Case>,
    /// By how much the share of valid calls may drop.
    #[serde(default = "default_drop", deserialize_with = "bounds::share")]
    max_drop: f64,
    /// Largest share of `ft`'s calls that name a tool which is not allowed.
    #[serde(default = "default_outside", deserialize_with = "bounds::share")]
    max_outside: f64,
    /// Longest answer, in tokens.
    #[serde(default = "default_tokens", deserialize_with = "bounds::at_least_one")]
    max_new_tokens: usize,
}

fn default_drop() -> f64 {
    0.05
}

fn default_outside() -> f64 {
    0.1
}

fn default_tokens() -> usize {
    256
}

/// What is asked, and the tools on offer. A conversation's template is given them; a text must say itself what there is to call.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Case {
    asked: Prompt,
    /// All that are allowed, the case's own first.
    tools: Vec<Tool>,
    gold_tool: String,
}

#[derive(Deserialize)]
struct Written {
    #[serde(flatten)]
    asked: Asked,
    tool: Tool,
    #[serde(default)]
    tools: Vec<Tool>,
    gold_tool: Option<String>,
    #[serde(default, deserialize_with = "refuse_cluster")]
    cluster: (),
}

impl TryFrom<Written> for Case {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { asked: Asked(mut asked), tool, tools: others, gold_tool, cluster: () } = written;
        let gold_tool = gold_tool.unwrap_or_else(|| tool.name.clone());
        let mut tools = vec![tool];
        for other in others {
            match tools.iter().find(|known| known.name == other.name) {
                None => tools.push(other),
                Some(known) if known.written == other.written => {}
                Some(_) => return Err(format!("two tools are called `{}`", other.name)),
            }
        }
        if let Prompt::Chat(chat) = &mut asked {
            chat.tools = Some(tools.iter().map(|tool| tool.written.clone()).collect());
        }
        Ok(Self { asked, tools, gold_tool })
    }
}

/// As it is read.
impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (tool, others) = self.tools.split_first().ok_or_else(|| S::Error::custom("a case needs a tool"))?;
        let mut row = serializer.serialize_struct("Case", 4)?;
        row.serialize_field("prompt", &self.asked)?;
        row.serialize_field("tool", tool)?;
        row.serialize_field("tools", others)?;
        row.serialize_field("gold_tool", &self.gold_tool)?;
        row.end()
    }
}

impl Item for Case {
    const PLURAL: &'static str = "cases";
    const TEXT_FIELD: Option<&'static str> = None;

    fn check(&self) -> Result<(), String> {
        self.asked.check()?;
        check_text("gold_tool", &self.gold_tool)?;
        if self.tools.iter().any(|tool| tool.name == self.gold_tool) {
            Ok(())
        } else {
            Err(format!("`gold_tool` is `{}`, which is none of the tools", self.gold_tool))
        }
    }
}

/// What one answer came to.
struct Used {
    call: Option<Call>,
    /// The call names a tool that is not allowed.
    outside: bool,
    gold: bool,
    /// Why the call is not valid; `None` of one that is.
    wrong: Option<String>,
}

impl Used {
    fn of(answer: &str, case: &Case) -> Self {
        let Some(call) = Call::find(answer) else {
            return Self { call: None, outside: false, gold: false, wrong: Some("there is no call in the answer".to_owned()) };
        };
        let tool = case.tools.iter().find(|tool| tool.name == call.name);
        let wrong = match tool {
            Some(tool) => tool.check(&call.arguments).err(),
            None => Some(format!("there is no tool `{}`", call.name)),
        };
        Self { outside: tool.is_none(), gold: call.name == case.gold_tool, wrong, call: Some(call) }
    }

    fn is_valid(&self) -> bool {
        self.wrong.is_none()
    }
}

/// One case under each view.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    ft: Tally,
    base: Tally,
    /// Both call the same tool.
    same_tool: bool,
    /// They do, and the arguments differ.
    other_arguments: bool,
    /// What was asked and what is wrong with `ft`'s call, where `base`'s is valid.
    lost: Option<(String, String)>,
}

/// How one view used its tools, in one case or over all of them.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tally {
    calls: usize,
    valid: usize,
    outside: usize,
    gold: usize,
}

impl Tally {
    fn of(used: &Used) -> Self {
        Self {
            calls: usize::from(used.call.is_some()),
            valid: usize::from(used.is_valid()),
            outside: usize::from(used.outside),
            gold: usize::from(used.gold),
        }
    }

    fn add(&mut self, case: Self) {
        self.calls += case.calls;
        self.valid += case.valid;
        self.outside += case.outside;
        self.gold += case.gold;
    }

    fn evidence(self) -> Value {
        json!({"calls": self.calls, "valid": self.valid, "outside": self.outside, "gold_tool": self.gold})
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Validity, `base` first.
    pairs: PairedShares,
    ft: Tally,
    base: Tally,
    /// Cases in which both call the same tool, and those of them in which the arguments differ.
    same_tool: usize,
    other_arguments: usize,
    /// 1 where only `ft`'s call is valid, −1 where only `base`'s is.
    changes: Vec<f64>,
    /// The first calls that were lost: what was asked, and what is wrong.
    lost: Vec<(String, String)>,
}

/// How many of the lost calls are named.
const MOST_LOST: usize = 5;

impl Probe for ToolUseFidelity {
    const KIND: Kind = Kind {
        name: "tool_use_fidelity",
        category: Category::Attribution,
        summary: "does it still call tools as their schemas ask, and no others?",
        calibrated: None,
        values_of: "valid_change",
        asks_documents: false,
    };

    type Item = Case;
    type Measurement = Measured;
    type Fold = Fold;

    fn items(&self) -> &Items<Case> {
        &self.cases
    }

    fn ask(&self, case: &Case, rounds: &[Vec<Answer>]) -> Vec<Request> {
        if !rounds.is_empty() {
            return Vec::new();
        }
        let op = Op::Generate { prompt: case.asked.clone(), max_new_tokens: self.max_new_tokens, sampling: Sampling::Greedy };
        [View::Ft, View::Base].map(|view| Request::new(view, op.clone())).to_vec()
    }

    fn measure(&self, case: &Case, rounds: &[Vec<Answer>]) -> Option<Measured> {
        let [answers] = rounds else { return None };
        match answers.as_slice() {
            [Answer::Generate(ft), Answer::Generate(base)] => {
                let (ft, base) = (Used::of(&ft.text, case), Used::of(&base.text, case));
                let calls = ft.call.as_ref().zip(base.call.as_ref()).filter(|(ours, theirs)| ours.name == theirs.name);
                Some(Measured {
                    ft: Tally::of(&ft),
                    base: Tally::of(&base),
                    same_tool: calls.is_some(),
                    other_arguments: calls.is_some_and(|(ours, theirs)| ours.arguments != theirs.arguments),
                    lost: ft.wrong.filter(|_| base.is_valid()).map(|wrong| (case.asked.words().into_owned(), wrong)),
                })
            }
            _ => None,
        }
    }

    fn fold(&self, fold: &mut Fold, _: u64, Measured { ft, base, same_tool, other_arguments, lost }: Measured) {
        fold.ft.add(ft);
        fold.base.add(base);
        let pairs = &mut fold.pairs;
        *match (base.valid > 0, ft.valid > 0) {
            (true, true) => &mut pairs.both,
            (true, false) => &mut pairs.first,
            (false, true) => &mut pairs.second,
            (false, false) => &mut pairs.neither,
        } += 1;
        fold.changes.push(ft.valid as f64 - base.valid as f64);
        fold.same_tool += usize::from(same_tool);
        fold.other_arguments += usize::from(other_arguments);
        if fold.lost.len() < MOST_LOST {
            fold.lost.extend(lost);
        }
    }

    fn metric(&self, _: &Fold) -> Option<f64> {
        None
    }

    fn judge(&self, fold: &Fold, court: &Court<'_>) -> Judgement {
        let drop_rule = Rule { name: "valid_drop", side: Side::Below, worst: 1.0, threshold: self.max_drop, best: 0.0 };
        let outside_rule = Rule { name: "outside_share", side: Side::Below, worst: 1.0, threshold: self.max_outside, best: 0.0 };
        let Some(drop) = court.decide_paired_shares(drop_rule, fold.pairs) else {
            return Judgement::nothing("no case was measured", fold.changes.clone());
        };
        let (ft, base) = (fold.ft, fold.base);
        let outside: Option<Criterion> = court.decide_count(outside_rule, ft.outside, ft.calls);
        let score = outside
            .iter()
            .fold(drop_rule.score(drop.estimate.value), |score, outside| score.min(outside_rule.score(outside.estimate.value)));
        let criteria: Vec<Criterion> = std::iter::once(drop).chain(outside).collect();
        // Where neither view makes a valid call, that none was lost says nothing.
        let none_at_all = base.valid == 0 && ft.valid == 0;
        let verdict = match all_of(&criteria) {
            Verdict::Pass if none_at_all => Verdict::Inconclusive,
            verdict => verdict,
        };
        let n = fold.pairs.total();
        let found = format!(
            "of {n} cases the base answers {} with a valid call and the adapter {} (drop {})",
            base.valid,
            ft.valid,
            shown(&criteria[0].estimate)
        );
        let strays = match criteria.get(1) {
            Some(outside) => format!(
                "; {} of its {} calls name a tool that is not allowed ({})",
                ft.outside,
                ft.calls,
                shown(&outside.estimate)
            ),
            None => "; it makes no call at all".to_owned(),
        };
        let bare = match (base.valid, none_at_all) {
            (_, true) => "; neither makes a valid call, so there is none to lose: is the prompt one that asks for a call?",
            (0, false) => "; the base makes no valid call at all, so there was none to lose",
            _ => "",
        };
        let message = match verdict {
            Verdict::Pass => format!("it calls tools as well as the base does: {found}{strays}{bare}"),
            Verdict::Fail if criteria[0].verdict == Verdict::Fail => {
                format!("it lost calls that the base makes: {found}{strays}{bare}")
            }
            Verdict::Fail => format!("it calls tools that are not there: {found}{strays}{bare}"),
            _ if none_at_all => format!("{found}{strays}{bare}"),
            _ => format!("{found}{strays}{bare}, which does not settle it{}", settle_clause(&criteria, court)),
        };
        let mut evidence = Map::new();
        evidence.insert("ft".to_owned(), ft.evidence());
        evidence.insert("base".to_owned(), base.evidence());
        evidence.insert("lost".to_owned(), json!(fold.pairs.first));
        evidence.insert("gained".to_owned(), json!(fold.pairs.second));
        evidence.insert("mcnemar_p".to_owned(), json!(mcnemar(fold.pairs.second, fold.pairs.first)));
        evidence.insert("same_tool".to_owned(), json!(fold.same_tool));
        evidence.insert("other_arguments".to_owned(), json!(fold.other_arguments));
        let lost: Vec<Value> = fold.lost.iter().map(|(prompt, wrong)| json!({"prompt": prompt, "wrong": wrong})).collect();
        evidence.insert("first_lost".to_owned(), json!(lost));
        Judgement {
            verdict,
            score: score_of(verdict, score),
            p_paired: None,
            criteria,
            message,
            evidence,
            values: fold.changes.clone(),
        }
    }
}
