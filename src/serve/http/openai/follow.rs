//! Choices that are followed while they are written.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, Sender, channel, unbounded_channel};
use tokio::task::JoinSet;

use super::order::{Choice, Order};
use super::stops::settled;
use super::written::{Continued, Written};
use crate::request::{Answer, Request};
use crate::serve::Lease;
use crate::serve::http::refusal::Refusal;
use crate::serve::models::Served;
use crate::serve::worker::{Ask, Told};

/// Steps that may wait to be told.
const WAITING: usize = 64;

/// What becomes of a choice.
pub enum Step {
    /// Text that was not told before.
    Text(String),
    End(Written),
}

/// The choices of an order, each asked for by itself: a choice that ends leaves the others alone, and what it was asking for is dropped.
/// All are, when this is.
pub struct Followed {
    steps: Receiver<(usize, Result<Step, Refusal>)>,
    _tasks: JoinSet<()>,
}

impl Followed {
    pub fn begin(order: &Arc<Order>) -> Self {
        let (tell, steps) = channel(WAITING);
        let mut tasks = JoinSet::new();
        for index in 0..order.choices.len() {
            let (order, tell) = (Arc::clone(order), tell.clone());
            tasks.spawn(async move {
                let follower = Follower { order: &order, choice: &order.choices[index], index, tell: &tell };
                let end = follower.write().await.map(Step::End);
                // Nobody listens any more where it fails.
                let _ = tell.send((index, end)).await;
            });
        }
        Self { steps, _tasks: tasks }
    }

    /// What comes next, with the choice's index; nothing once all came to their ends.
    pub async fn next(&mut self) -> Option<(usize, Result<Step, Refusal>)> {
        self.steps.recv().await
    }
}

struct Follower<'a> {
    order: &'a Order,
    choice: &'a Choice,
    index: usize,
    tell: &'a Sender<(usize, Result<Step, Refusal>)>,
}

impl Follower<'_> {
    async fn write(&self) -> Result<Written, Refusal> {
        let continued = self.continuation().await?;
        let scored = match self.order.scoring(self.choice, &continued.token_ids) {
            Some(question) => ask_all(&self.order.model, vec![question]).await?.pop(),
            None => None,
        };
        Written::new(self.order, self.choice, continued, scored)
    }

    async fn continuation(&self) -> Result<Continued, Refusal> {
        let Some(question) = self.order.generation(self.choice) else { return Ok(Continued::nothing()) };
        let refuse = |error| Refusal::of_question(&error);
        let (replies, mut received) = unbounded_channel();
        ask(&self.order.model, Ask { questions: VecDeque::from([(0, question)]), replies, follows: true })?;
        let mut so_far = String::new();
        while let Some((_, mut told)) = received.recv().await {
            // What was overtaken meanwhile is in what came last.
            while let Ok((_, later)) = received.try_recv() {
                told = later;
            }
            match told {
                Told::SoFar { text, token_ids } => match self.order.stops.find(settled(&text)) {
                    Some(stop) => {
                        drop(received);
                        let continued = Continued::cut(self.order, self.choice, &text, &token_ids, &stop).map_err(refuse)?;
                        return self.tell_rest(&so_far, continued).await;
                    }
                    None => self.tell(&mut so_far, self.order.stops.sure(&text)).await,
                },
                Told::Reply(Ok(Answer::Generate(generation))) => {
                    let continued = Continued::whole(self.order, self.choice, generation).map_err(refuse)?;
                    return self.tell_rest(&so_far, continued).await;
                }
                other => return Err(refuse_told(other)),
            }
        }
        Err(unloaded())
    }

    /// Tells what is new in a text.
    async fn tell(&self, so_far: &mut String, text: &str) {
        if let Some(new) = text.strip_prefix(so_far.as_str()).filter(|new| !new.is_empty()) {
            // Nobody listens any more where it fails.
            let _ = self.tell.send((self.index, Ok(Step::Text(new.to_owned())))).await;
            text.clone_into(so_far);
        }
    }

    /// Tells what is left of a text that is complete.
    async fn tell_rest(&self, so_far: &str, continued: Continued) -> Result<Continued, Refusal> {
        if !continued.text.starts_with(so_far) {
            // Some decoders judge bytes that are no text by those after them.
            return Err(Refusal::fault("the text of the first tokens became another with the last, after it was told"));
        }
        self.tell(&mut so_far.to_owned(), &continued.text).await;
        Ok(continued)
    }
}

/// The answers to questions that are asked together, in their order.
///
/// # Errors
/// What the engine has against one of them; the others are dropped.
pub async fn ask_all(model: &Lease<Served>, questions: Vec<Request>) -> Result<Vec<Answer>, Refusal> {
    let mut answers: Vec<Option<Answer>> = vec![None; questions.len()];
    if answers.is_empty() {
        return Ok(Vec::new());
    }
    let mut left = answers.len();
    let (replies, mut received) = unbounded_channel();
    ask(model, Ask { questions: questions.into_iter().enumerate().collect(), replies, follows: false })?;
    while left > 0 {
        match received.recv().await {
            Some((number, Told::Reply(Ok(answer)))) => answers[number] = Some(answer),
            Some((_, other)) => return Err(refuse_told(other)),
            None => return Err(unloaded()),
        }
        left -= 1;
    }
    answers.into_iter().collect::<Option<_>>().ok_or_else(unloaded)
}

fn ask(model: &Lease<Served>, ask: Ask) -> Result<(), Refusal> {
    model.worker.ask(ask).map_err(|_| unloaded())
}

fn unloaded() -> Refusal {
    Refusal::fault("the model was unloaded")
}

fn refuse_told(told: Told) -> Refusal {
    match told {
        Told::Reply(Err(error)) => Refusal::of_question(&error),
        Told::Fault(message) => Refusal::fault(message),
        Told::Reply(Ok(_)) | Told::SoFar { .. } => Refusal::fault("the engine answered another question"),
    }
}
