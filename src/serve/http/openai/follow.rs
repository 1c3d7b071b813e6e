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
        let (replies, mut received) = unbounded_channel();
        ask(&self.order.model, Ask { questions: VecDeque::from([(0, question)]), replies, follows: true })?;
        let mut growing = Growing::default();
        loop {
            // What comes is taken even while a slow client has not read what was told: each message holds the whole text.
            let told = tokio::select! {
                told = received.recv() => told,
                permit = self.tell.reserve(), if growing.is_behind() => {
                    let Ok(permit) = permit else { return Err(Refusal::fault("nobody listens any more")) };
                    permit.send((self.index, Ok(Step::Text(growing.tell()))));
                    continue;
                }
            };
            let continued = match told {
                Some((_, Told::SoFar { text, token_ids })) => {
                    let Some(stop) = self.order.stops.find(settled(&text)) else {
                        growing.grow(self.order.stops.sure(&text));
                        continue;
                    };
                    Continued::cut(self.order, self.choice, &text, &token_ids, &stop)
                }
                Some((_, Told::Reply(Ok(Answer::Generate(generation))))) => Continued::whole(self.order, self.choice, generation),
                Some((_, other)) => return Err(refuse_told(other)),
                None => return Err(unloaded()),
            };
            // Whatever is written beyond it, nobody reads.
            drop(received);
            let continued = continued.map_err(|error| Refusal::of_question(&error))?;
            let rest = growing.rest(&continued.text)?;
            if !rest.is_empty() {
                // Nobody listens any more where it fails.
                let _ = self.tell.send((self.index, Ok(Step::Text(rest.to_owned())))).await;
            }
            return Ok(continued);
        }
    }
}

/// A text that is told while it grows.
#[derive(Default)]
struct Growing {
    text: String,
    /// Bytes of it that were told.
    told: usize,
}

impl Growing {
    fn grow(&mut self, text: &str) {
        // What does not begin with what was told waits for its end.
        if text.starts_with(&self.text[..self.told]) {
            text.clone_into(&mut self.text);
        }
    }

    fn is_behind(&self) -> bool {
        self.told < self.text.len()
    }

    /// What was not told before.
    fn tell(&mut self) -> String {
        let told = std::mem::replace(&mut self.told, self.text.len());
        self.text[told..].to_owned()
    }

    /// What is left to tell of the text that it became.
    fn rest<'a>(&self, text: &'a str) -> Result<&'a str, Refusal> {
        // Some decoders judge bytes that are no text by those after them.
        let changed = || Refusal::fault("the text of the first tokens became another with the last, after it was told");
        text.strip_prefix(&self.text[..self.told]).ok_or_else(changed)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_once_whatever_is_seen_of_it() {
        let mut growing = Growing::default();
        assert!(!growing.is_behind());
        growing.grow("a");
        growing.grow("a é");
        assert!(growing.is_behind());
        assert_eq!(growing.tell(), "a é");
        assert!(!growing.is_behind());
        growing.grow("a éb");
        assert_eq!(growing.tell(), "b");
        assert_eq!(growing.rest("a ébc"), Ok("c"));
    }

    #[test]
    fn a_text_that_becomes_another_after_it_was_told_is_a_fault() {
        let mut growing = Growing::default();
        growing.grow("é");
        growing.tell();
        growing.grow("ab");
        assert!(!growing.is_behind());
        assert_eq!(growing.rest("éc"), Ok("c"));
        assert_eq!(growing.rest("abc").unwrap_err().code, "internal");
    }
}
