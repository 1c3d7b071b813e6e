//! A probe of whatever kind, as the runner sees it.

use super::run::Run;
use super::state::State;
use super::supply::Supply;
use super::{AnyProbe, Course, CoursePlan, Survey, check_least, check_most};
use crate::probe::{Document, Kind, ModelFacts, NullControl, OpenRows, Outsiders, Probe, SourceItems, Streamed};
use crate::request::{Embedder, Op, Prompt};

/// Prompts that a survey keeps.
const SURVEYED_PROMPTS: usize = 4;

/// Items of sources that a survey glances at: enough to see that rows are not what the probe takes.
const GLANCE: usize = 64;

impl<P: Probe> AnyProbe for P {
    fn kind(&self) -> Kind {
        P::KIND
    }

    fn reads_a_file(&self) -> bool {
        self.in_a_file()
    }

    fn looks_beside_adapter(&self) -> bool {
        self.beside_adapter()
    }

    fn take_sections(&mut self, document: &Document) -> bool {
        self.sections().is_none_or(|slots| slots.fill(document))
    }

    fn embedder(&self) -> Option<&Embedder> {
        Probe::embedder(self)
    }

    fn outsiders(&self) -> Outsiders<'_> {
        Probe::outsiders(self)
    }

    fn sources(&self) -> Option<&SourceItems> {
        self.items().sources()
    }

    fn survey(&self, rows: &dyn OpenRows) -> Result<Survey, String> {
        self.clone().read(rows)?;
        let glance = if self.items().sources().is_some() { GLANCE } else { usize::MAX };
        let mut survey = Survey::default();
        let mut items = self.open(rows)?;
        while survey.items < glance {
            let Some(item) = items.next() else {
                survey.is_whole = true;
                break;
            };
            survey.items += 1;
            let requests = self.ask(&item?, &[]);
            survey.requests += requests.len();
            if survey.prompts.len() < SURVEYED_PROMPTS {
                survey.prompts.extend(requests.first().map(|request| match &request.op {
                    Op::RollingLogprob { text } | Op::Embed { text, .. } => Prompt::from(text.as_str()),
                    op => op.prompt().cloned().unwrap_or_else(|| Prompt::from("")),
                }));
            }
        }
        if survey.is_whole {
            check_least(self, survey.items)?;
        }
        check_most(self, survey.items)?;
        Ok(survey)
    }

    fn skip(&self, model: ModelFacts) -> Option<String> {
        self.nothing_to_ask(model)
    }

    fn skip_without_file(&self, rows: &dyn OpenRows) -> Result<Option<String>, String> {
        self.nothing_to_read(rows)
    }

    fn controls_nulls(&self) -> Option<NullControl> {
        self.null_control()
    }

    fn can_stop_early(&self) -> bool {
        self.test().is_some()
    }

    fn start(&self, rows: &dyn OpenRows, model: ModelFacts, mut plan: CoursePlan) -> Result<Box<dyn Course>, String> {
        let probe = ready(self, rows, model, &plan)?;
        let Some(state) = plan.after.take() else {
            let items = supply(&probe, rows, None)?;
            return Ok(Box::new(Run::new(probe, items, plan)));
        };
        let state = read(&state)?;
        let items = if state.is_over { Supply::none() } else { supply(&probe, rows, Some(&state))? };
        Ok(Box::new(Run::after(state, probe, items, plan)))
    }

    fn join(
        &self,
        rows: &dyn OpenRows,
        model: ModelFacts,
        plan: CoursePlan,
        parts: &[Vec<u8>],
    ) -> Result<Box<dyn Course>, String> {
        let probe = ready(self, rows, model, &plan)?;
        let parts = parts.iter().map(|part| read(part)).collect::<Result<_, _>>()?;
        let state = State::merge(parts, &probe)?;
        let (found, most) = (state.too_long.len(), plan.max_too_long);
        if found > most {
            return Err(format!(
                "{found} items of all parts are longer than the model's context: it may be no more than `max_too_long`, {most}"
            ));
        }
        Ok(Box::new(Run::after(state, probe, Supply::none(), plan)))
    }
}

/// A probe that may ask.
fn ready<P: Probe>(probe: &P, rows: &dyn OpenRows, model: ModelFacts, plan: &CoursePlan) -> Result<P, String> {
    let mut probe = probe.clone();
    probe.read(rows)?;
    probe.meet(model);
    probe.seed(plan.seed);
    Ok(probe)
}

/// The items that are left.
fn supply<P: Probe>(probe: &P, rows: &dyn OpenRows, after: Option<&State<P>>) -> Result<Supply<P>, String> {
    if let (true, Some(items)) = (P::ITEMS_ARE_ROWS, probe.items().sources()) {
        let after = after.and_then(|state| Some((state.drawn, state.at.as_ref()?)));
        return Streamed::open(items, rows, after).map(Supply::Rows);
    }
    let items = probe.open(rows)?;
    Ok(Supply::Others(match after.map_or(0, |state| state.drawn) {
        0 => items,
        drawn => Box::new(items.skip(drawn)),
    }))
}

fn read<P: Probe>(state: &[u8]) -> Result<State<P>, String> {
    rmp_serde::from_slice(state).map_err(|error| format!("its state can't be read: {error}"))
}
