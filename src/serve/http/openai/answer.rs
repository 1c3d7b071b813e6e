//! From what is asked to an answer.

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::asked::Asked;
use super::follow::{Followed, Step, ask_all};
use super::form::Form;
use super::order::Order;
use super::reply::{Reply, Usage};
use super::stream::Stream;
use super::written::{Continued, Written};
use crate::request::Answer;
use crate::serve::http::outlet::outlet;
use crate::serve::http::refusal::Refusal;
use crate::serve::http::state::Daemon;

/// Answers in an endpoint's form. A client that goes away drops this, and with it what it asked the engine.
///
/// # Errors
/// Whatever is wrong before the first word is told, or at all where the answer is told at once.
pub async fn answer<F: Form>(daemon: &Arc<Daemon>, asked: Asked) -> Result<Response, Refusal> {
    let (name, streamed) = (asked.model.clone(), asked.manner.streamed);
    let order = Arc::new(Order::prepare(daemon, asked).await?);
    let reply = Reply::new::<F>(name, &order);
    if let Some(streamed) = streamed {
        let (outlet, pieces) = outlet(daemon.limits.stall_time);
        tokio::spawn(Stream { order, reply, streamed }.run::<F>(outlet));
        let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
        return Ok((headers, pieces).into_response());
    }
    // To see a stop string in time, a choice must be followed.
    let written = if order.stops.is_empty() { together(&order).await? } else { one_by_one(&order).await? };
    let mut usage = Usage::new(&order);
    let told = order.choices.iter().zip(written).enumerate().map(|(index, (choice, written))| {
        usage.add(written.continued.written);
        F::whole(index, &choice.prompt.echoed, written)
    });
    let told: Vec<F::Choice> = told.collect();
    let json = reply.whole::<F>(&told, usage).map_err(|error| Refusal::fault(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// All choices, asked for at once: first the continuations, then what the model thought of their tokens.
async fn together(order: &Order) -> Result<Vec<Written>, Refusal> {
    let questions = order.choices.iter().filter_map(|choice| order.generation(choice)).collect();
    let mut answers = ask_all(&order.model, questions).await?.into_iter();
    let continued = order.choices.iter().map(|choice| match order.generation(choice).and_then(|_| answers.next()) {
        None => Ok(Continued::nothing()),
        Some(Answer::Generate(generation)) => {
            Continued::whole(order, choice, generation).map_err(|error| Refusal::of_question(&error))
        }
        Some(_) => Err(Refusal::fault("the engine answered another question")),
    });
    let continued: Vec<Continued> = continued.collect::<Result<_, _>>()?;
    let scoring = || order.choices.iter().zip(&continued).map(|(choice, one)| order.scoring(choice, &one.token_ids));
    let asked: Vec<bool> = scoring().map(|question| question.is_some()).collect();
    let mut scored = ask_all(&order.model, scoring().flatten().collect()).await?.into_iter();
    let written = order.choices.iter().zip(continued).zip(asked).map(|((choice, continued), asked)| {
        let scored = if asked { scored.next() } else { None };
        Written::new(order, choice, continued, scored)
    });
    written.collect()
}

async fn one_by_one(order: &Arc<Order>) -> Result<Vec<Written>, Refusal> {
    let mut written: Vec<Option<Written>> = order.choices.iter().map(|_| None).collect();
    let mut followed = Followed::begin(order);
    while let Some((index, step)) = followed.next().await {
        if let Step::End(end) = step? {
            written[index] = Some(end);
        }
    }
    let all: Option<Vec<Written>> = written.into_iter().collect();
    all.ok_or_else(|| Refusal::fault("a choice did not come to its end"))
}
