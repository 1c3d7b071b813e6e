//! What a run asks of servers and programs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::plan::Plan;
use crate::engine::{Kept, Key, Keys, Shelf};
use crate::pipeline::outside::{
    Brought, Endpoint, Errand, Errands, Form, Outside, OutsideError, Patience, Program, Question, Secret, Words,
};
use crate::request::{Answer, Completion, Op, Parameters, Prompt, Request, RequestError, Sampling, turn};
use crate::suite::{EndpointForm, EndpointSpec};

/// Programs that run at once: they share this machine with the model.
const PROGRAMS: usize = 2;

/// Most bytes that a program may write.
const MOST_OUTPUT: usize = 1 << 20;

/// How long a program's pipes are heard after its end, where a child of it keeps them open.
const GRACE: Duration = Duration::from_millis(500);

/// Why nobody outside can be asked.
#[derive(Debug, thiserror::Error)]
pub enum OutsidersError {
    #[error(
        "endpoint `{endpoint}`: the variable {variable} is not set\nhint: it is to hold the server's key, and `api_key_env` names it"
    )]
    NoKey { endpoint: String, variable: String },
    #[error(transparent)]
    Outside(#[from] OutsideError),
}

/// Servers and programs, and the answers of theirs that are known.
pub struct Outsiders {
    outside: Outside,
    /// By endpoint, keys of its answers.
    endpoints: HashMap<String, (Form, Keys)>,
    programs: Keys,
    /// Where programs run.
    folder: PathBuf,
    /// Where servers' answers are kept, and programs': what a program answers may depend on what no key holds.
    shelf: Option<Box<dyn Shelf>>,
    own_shelf: Option<Box<dyn Shelf>>,
}

/// Questions that are under way.
pub struct UnderWay {
    errands: Errands,
    /// Of each errand, its key and the questions that wait for it.
    waiting: Vec<(Key, Vec<usize>)>,
    /// By question, what was known already, or can't be asked.
    known: Vec<(usize, Arrived)>,
}

/// What became of a question.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub reply: Result<Answer, RequestError>,
    pub cached: bool,
    pub latency: Duration,
}

impl Outsiders {
    /// Those that the plan's enabled probes ask; `None` where they ask none.
    ///
    /// # Errors
    /// An endpoint that can't be asked, by its name.
    pub fn of(plan: &Plan, interrupted: Arc<AtomicBool>) -> Result<Option<Self>, OutsidersError> {
        let asked: Vec<_> = plan.entries.iter().filter(|entry| entry.enabled).map(|entry| entry.probe.outsiders()).collect();
        let is_asked =
            |spec: &&EndpointSpec| asked.iter().flat_map(|one| &one.endpoints).any(|asked| asked.name == spec.name.get_ref());
        let specs: Vec<&EndpointSpec> = plan.endpoints.iter().filter(is_asked).collect();
        if specs.is_empty() && !asked.iter().any(|one| one.programs) {
            return Ok(None);
        }
        let endpoints = specs.iter().map(|spec| endpoint(spec)).collect::<Result<Vec<_>, _>>()?;
        let keyed = endpoints.iter().map(|endpoint| {
            let Endpoint { name, url, model, form, .. } = endpoint;
            (name.clone(), (*form, Keys::new(&format!("endpoint {name:?} {url:?} {model:?} {form:?}"))))
        });
        let folder = if plan.dir.as_os_str().is_empty() { PathBuf::from(".") } else { plan.dir.clone() };
        Ok(Some(Self {
            endpoints: keyed.collect(),
            programs: Keys::new(&format!("programs in {}", folder.display())),
            outside: Outside::new(endpoints, PROGRAMS, interrupted)?,
            folder,
            shelf: None,
            own_shelf: None,
        }))
    }

    /// Looks up there what servers, and programs, answered before, and puts there what they answer, from now on.
    pub fn set_shelves(&mut self, shelf: Option<Box<dyn Shelf>>, own: Option<Box<dyn Shelf>>) {
        self.shelf = shelf;
        self.own_shelf = own;
    }

    /// Sends what is not known yet; each of several questions that are the same is sent once.
    pub fn send(&mut self, questions: &[(usize, &Request)]) -> UnderWay {
        let mut distinct: Vec<(Key, Errand, Vec<usize>)> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut known = Vec::new();
        for &(question, request) in questions {
            match self.errand(request) {
                None => known.push((question, Arrived::refused(RequestError::NotAModels { op: request.op.name() }))),
                Some((key, errand)) => {
                    let place = *places.entry(key).or_insert_with(|| {
                        distinct.push((key, errand, Vec::new()));
                        distinct.len() - 1
                    });
                    distinct[place].2.push(question);
                }
            }
        }
        let kept = self.look_up(&distinct);
        let (mut errands, mut waiting) = (Vec::new(), Vec::new());
        for ((key, errand, questions), kept) in distinct.into_iter().zip(kept) {
            if let Some(Kept { answer, latency, .. }) = kept {
                let arrived = Arrived { reply: Ok(answer), cached: true, latency };
                known.extend(questions.into_iter().map(|question| (question, arrived.clone())));
            } else {
                errands.push(errand);
                waiting.push((key, questions));
            }
        }
        UnderWay { errands: self.outside.send(errands), waiting, known }
    }

    /// What a request asks of whom; `None` where it asks nobody outside, or an endpoint that is not known.
    fn errand(&self, request: &Request) -> Option<(Key, Errand)> {
        match &request.op {
            Op::Complete { endpoint, prompt, parameters } => {
                let (form, keys) = self.endpoints.get(endpoint)?;
                Some((keys.of(request, None), Errand::Ask(question(endpoint, *form, prompt, parameters))))
            }
            Op::Run(program) => {
                let errand = Program {
                    command: program.command.clone(),
                    folder: self.folder.clone(),
                    input: program.input.clone(),
                    timeout: program.timeout,
                    most_output: MOST_OUTPUT,
                    grace: GRACE,
                };
                Some((self.programs.of(request, None), Errand::Run(errand)))
            }
            _ => None,
        }
    }

    /// What is known of each.
    fn look_up(&mut self, distinct: &[(Key, Errand, Vec<usize>)]) -> Vec<Option<Kept>> {
        let mut found: Vec<Option<Kept>> = distinct.iter().map(|_| None).collect();
        for (shelf, of_programs) in [(&mut self.shelf, false), (&mut self.own_shelf, true)] {
            let Some(shelf) = shelf else { continue };
            let is_its = |place: &usize| matches!(distinct[*place].1, Errand::Run(_)) == of_programs;
            let places: Vec<usize> = (0..distinct.len()).filter(is_its).collect();
            let keys: Vec<Key> = places.iter().map(|&place| distinct[place].0).collect();
            let kept = if keys.is_empty() { Vec::new() } else { shelf.get(&keys) };
            for (place, kept) in places.into_iter().zip(kept) {
                found[place] = kept;
            }
        }
        found
    }

    /// Waits for the next answer; `None` when all are there.
    pub fn next(&mut self, under_way: &mut UnderWay) -> Option<(Vec<usize>, Arrived)> {
        if let Some((question, arrived)) = under_way.known.pop() {
            return Some((vec![question], arrived));
        }
        let (place, brought) = under_way.errands.next()?;
        self.settle(under_way, place, brought)
    }

    /// What has come meanwhile; it does not wait.
    pub fn try_next(&mut self, under_way: &mut UnderWay) -> Option<(Vec<usize>, Arrived)> {
        if let Some((question, arrived)) = under_way.known.pop() {
            return Some((vec![question], arrived));
        }
        let (place, brought) = under_way.errands.try_next()?;
        self.settle(under_way, place, brought)
    }

    fn settle(
        &mut self,
        under_way: &mut UnderWay,
        place: usize,
        brought: Result<Brought, OutsideError>,
    ) -> Option<(Vec<usize>, Arrived)> {
        let (key, questions) = under_way.waiting.get_mut(place)?;
        let (reply, latency) = match brought {
            Ok(Brought::Completion(completion)) => {
                let latency = completion.latency;
                let (text, finish) = (completion.text, completion.finish);
                let (tokens_in, tokens_out) = (completion.tokens_in, completion.tokens_out);
                (Ok(Answer::Completion(Completion { text, finish, tokens_in, tokens_out })), latency)
            }
            Ok(Brought::Output(output)) => (Ok(Answer::Output(output.stdout)), output.latency),
            Err(error) => (Err(RequestError::Outside { code: error.code(), message: error.to_string() }), Duration::ZERO),
        };
        if let Ok(answer) = &reply {
            let shelf = if matches!(answer, Answer::Output(_)) { &mut self.own_shelf } else { &mut self.shelf };
            if let Some(shelf) = shelf {
                shelf.put(vec![(*key, Kept { answer: answer.clone(), cost: 0, latency })]);
            }
        }
        Some((std::mem::take(questions), Arrived { reply, cached: false, latency }))
    }
}

impl Arrived {
    fn refused(error: RequestError) -> Self {
        Self { reply: Err(error), cached: false, latency: Duration::ZERO }
    }

    /// Whether it was broken off because the run was interrupted.
    pub fn is_interrupted(&self) -> bool {
        matches!(&self.reply, Err(RequestError::Outside { code, .. }) if *code == OutsideError::Interrupted.code())
    }
}

fn endpoint(spec: &EndpointSpec) -> Result<Endpoint, OutsidersError> {
    let name = spec.name.get_ref().clone();
    let key = match &spec.api_key_env {
        None => None,
        Some(variable) => {
            let key = std::env::var(variable.get_ref()).ok().filter(|key| !key.trim().is_empty());
            let missing = || OutsidersError::NoKey { endpoint: name.clone(), variable: variable.get_ref().clone() };
            Some(Secret::new(key.ok_or_else(missing)?.trim()))
        }
    };
    let patience = Patience {
        attempt: Duration::from_secs_f64(spec.timeout),
        deadline: Duration::from_secs_f64(spec.deadline),
        tries: u32::try_from(spec.tries).unwrap_or(u32::MAX),
        ..Patience::default()
    };
    Ok(Endpoint {
        name,
        url: spec.url.get_ref().clone(),
        model: spec.model.get_ref().clone(),
        form: match spec.form {
            EndpointForm::Chat => Form::Chat,
            EndpointForm::Completions => Form::Completions,
        },
        key,
        max_concurrent: spec.max_concurrent,
        patience,
    })
}

fn question(endpoint: &str, form: Form, prompt: &Prompt, parameters: &Parameters) -> Question {
    let words = match (prompt, form) {
        (Prompt::Chat(conversation), _) => Words::Messages(conversation.messages.clone()),
        (other, Form::Chat) => Words::Messages(vec![turn("user", &other.words())]),
        (other, Form::Completions) => Words::Prompt(other.words().into_owned()),
    };
    let (temperature, top_p, seed) = match parameters.sampling {
        Sampling::Greedy => (0.0, 1.0, None),
        // Servers take seeds of 31 bits, or of more.
        Sampling::Sample { temperature, top_p, seed } => (temperature, top_p, Some(seed & 0x7fff_ffff)),
    };
    Question {
        endpoint: endpoint.to_owned(),
        words,
        max_tokens: u32::try_from(parameters.max_new_tokens).unwrap_or(u32::MAX),
        temperature,
        top_p,
        seed,
        stop: parameters.stop.clone(),
        extra: parameters.extra.0.clone(),
    }
}
