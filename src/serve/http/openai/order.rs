//! What is asked, as questions to a model.

use std::sync::Arc;

use super::asked::Asked;
use super::stops::Stops;
use crate::request::{Op, Prompt, Request, RequestError, Sampling, View};
use crate::serve::Lease;
use crate::serve::http::refusal::Refusal;
use crate::serve::http::state::Daemon;
use crate::serve::models::Served;
use crate::serve::settings::Limits;

/// Choices to be made by a model.
pub struct Order {
    pub model: Lease<Served>,
    pub view: View,
    pub prompts: Vec<Arc<Prompted>>,
    /// By prompt, and by what is the same for a prompt.
    pub choices: Vec<Choice>,
    pub stops: Stops,
    pub echo: bool,
    pub top: Option<usize>,
}

/// A prompt that was tokenized.
pub struct Prompted {
    pub ids: Vec<u32>,
    /// What is told of it before its continuation.
    pub echoed: String,
    /// Characters of its tokens that are not told with it: all of them, or those of special tokens that were put before the text.
    pub untold: usize,
    /// Of a continuation.
    max_tokens: usize,
}

/// A continuation to be.
pub struct Choice {
    pub prompt: Arc<Prompted>,
    sampling: Sampling,
}

impl Order {
    /// Finds the model, and tokenizes the prompts. Whatever can be wrong before anything is computed is told here.
    ///
    /// # Errors
    /// A model that is not known or can't be loaded, too much that is asked for, prompts that the model can't read.
    pub async fn prepare(daemon: &Arc<Daemon>, asked: Asked) -> Result<Self, Refusal> {
        let limits = daemon.limits;
        let (sources, view) = daemon.names.find(&asked.model).map_err(Refusal::no_model)?;
        check_size(&asked, limits)?;
        let (model, _) = daemon.lease(sources.clone()).await?;
        daemon.names.remember(&sources, false);
        // A prompt may be long, and a chat template a program.
        let prepared = tokio::task::spawn_blocking(move || Self::tokenize(model, view, &asked, limits)).await;
        prepared.map_err(|error| Refusal::fault(format!("the prompt was not tokenized: {error}")))?
    }

    fn tokenize(model: Lease<Served>, view: View, asked: &Asked, limits: Limits) -> Result<Self, Refusal> {
        let several = asked.prompts.len() > 1;
        let refuse = |at: usize, error: &RequestError| {
            let mut refusal = Refusal::of_question(error);
            if several {
                refusal.message = format!("prompt {}: {}", at + 1, refusal.message);
            }
            refusal
        };
        let mut prompts = Vec::with_capacity(asked.prompts.len());
        for (at, prompt) in asked.prompts.iter().enumerate() {
            let prompted = Prompted::new(&model, view, prompt, asked, limits).map_err(|error| refuse(at, &error))?;
            prompts.push(Arc::new(prompted));
        }
        let choices = prompts.iter().flat_map(|prompt| {
            let choice = |sampling| Choice { prompt: Arc::clone(prompt), sampling };
            asked.manner.samplings().into_iter().map(choice)
        });
        let choices = choices.collect();
        Ok(Self { model, view, prompts, choices, stops: asked.manner.stops.clone(), echo: asked.echo, top: asked.top })
    }

    /// The question for a choice's continuation; none where no token is asked for.
    pub fn generation(&self, choice: &Choice) -> Option<Request> {
        let Prompted { ids, max_tokens, .. } = &*choice.prompt;
        (*max_tokens > 0).then(|| generation(self.view, ids, *max_tokens, choice.sampling))
    }

    /// The question for the log-probabilities of a choice's tokens; none where none are told.
    pub fn scoring(&self, choice: &Choice, continuation: &[u32]) -> Option<Request> {
        let top = self.top.filter(|_| self.echo || !continuation.is_empty())?;
        let prompt = Prompt::Tokens([choice.prompt.ids.as_slice(), continuation].concat());
        Some(Request::new(self.view, Op::TokenLogprobs { prompt, top }))
    }
}

impl Prompted {
    fn new(model: &Served, view: View, prompt: &Prompt, asked: &Asked, limits: Limits) -> Result<Self, RequestError> {
        let ids = model.tokens(&Request::new(view, Op::TokenLogprobs { prompt: prompt.clone(), top: 0 }))?;
        let max_tokens = room(model, view, &ids, asked, limits)?;
        let (mut echoed, mut untold) = (String::new(), 0);
        if asked.echo || asked.top.is_some() {
            let whole = model.text_of(&ids)?;
            let characters = whole.chars().count();
            match prompt {
                _ if !asked.echo => untold = characters,
                Prompt::Text(text) => {
                    untold = characters.saturating_sub(text.chars().count());
                    echoed.clone_from(text);
                }
                Prompt::Chat(_) | Prompt::Tokens(_) => echoed = whole,
            }
        }
        Ok(Self { ids, echoed, untold, max_tokens })
    }
}

/// How many tokens a continuation may have.
fn room(model: &Served, view: View, ids: &[u32], asked: &Asked, limits: Limits) -> Result<usize, RequestError> {
    let check = |most| model.tokens(&generation(view, ids, most, Sampling::Greedy));
    match asked.max_tokens {
        Some(0) => Ok(0),
        Some(most) => check(most).map(|_| most),
        None => {
            // The engine ends a continuation where the context does.
            let most = model.about.context.min(limits.tokens / asked.manner.n).max(1);
            match check(most) {
                Ok(_) => Ok(most),
                Err(RequestError::CrossesOriginalContext { prompt, original, .. }) if prompt < original => Ok(original - prompt),
                Err(error) => Err(error),
            }
        }
    }
}

fn generation(view: View, ids: &[u32], max_new_tokens: usize, sampling: Sampling) -> Request {
    Request::new(view, Op::Generate { prompt: Prompt::Tokens(ids.to_vec()), max_new_tokens, sampling })
}

fn check_size(asked: &Asked, limits: Limits) -> Result<(), Refusal> {
    let (prompts, n, most) = (asked.prompts.len(), asked.manner.n, asked.max_tokens);
    let tokens = prompts.saturating_mul(n).saturating_mul(most.unwrap_or(1).max(1));
    if tokens <= limits.tokens {
        return Ok(());
    }
    let asked_for = format!("{prompts} prompt(s), {n} choice(s) of each and {} token(s) of each choice", most.unwrap_or(1));
    let message = format!("{asked_for} are more than the {} tokens that one request may have written", limits.tokens);
    Err(Refusal::bad(format!("{message}\nhint: ask in several requests")))
}
