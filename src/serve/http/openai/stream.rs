//! An answer that is told while it is written.

use std::sync::Arc;

use super::asked::Streamed;
use super::follow::{Followed, Step};
use super::form::Form;
use super::order::Order;
use super::reply::{Reply, Usage, UsageTold, event};
use crate::serve::http::outlet::{Left, Outlet};
use crate::serve::http::refusal::Refusal;

/// What ends the stream of an answer that is complete.
const DONE: &[u8] = b"[DONE]";

pub struct Stream {
    pub order: Arc<Order>,
    pub reply: Reply,
    pub streamed: Streamed,
}

impl Stream {
    /// Writes the answer, as long as somebody reads it.
    pub async fn run<F: Form>(self, outlet: Outlet) {
        let written = tokio::select! {
            // What is under way is dropped with it.
            () = outlet.closed() => return,
            written = self.write::<F>(&outlet) => written,
        };
        if written.is_ok() {
            outlet.end().await;
        }
    }

    async fn write<F: Form>(&self, outlet: &Outlet) -> Result<(), Left> {
        for (index, choice) in self.order.choices.iter().enumerate() {
            if let Some(begun) = F::begun(index, &choice.prompt.echoed) {
                self.tell::<F>(outlet, &[begun]).await?;
            }
        }
        let mut usage = Usage::new(&self.order);
        let mut open = self.order.choices.len();
        let mut followed = Followed::begin(&self.order);
        while let Some((index, step)) = followed.next().await {
            let choice = match step {
                Err(refusal) => return refuse(outlet, &refusal).await,
                Ok(Step::Text(text)) => F::grown(index, text),
                Ok(Step::End(written)) => {
                    open -= 1;
                    usage.add(written.continued.written);
                    F::ended(index, written.continued.ended, written.logprobs)
                }
            };
            self.tell::<F>(outlet, &[choice]).await?;
        }
        if open > 0 {
            return refuse(outlet, &Refusal::fault("a choice did not come to its end")).await;
        }
        if self.streamed.with_usage {
            self.send(outlet, self.reply.piece::<F>(&[], Some(UsageTold::Now(usage)))).await?;
        }
        outlet.send(event(DONE)).await
    }

    async fn tell<F: Form>(&self, outlet: &Outlet, choices: &[F::Choice]) -> Result<(), Left> {
        let usage = self.streamed.with_usage.then_some(UsageTold::Later);
        self.send(outlet, self.reply.piece::<F>(choices, usage)).await
    }

    async fn send(&self, outlet: &Outlet, piece: serde_json::Result<Vec<u8>>) -> Result<(), Left> {
        // Strings and finite numbers always have a JSON form: an answer that is cut off would be a fault worth seeing.
        outlet.send(piece.map_err(|_| Left)?).await
    }
}

/// Ends the answer with why there is no more of it: the status was told long ago.
async fn refuse(outlet: &Outlet, refusal: &Refusal) -> Result<(), Left> {
    outlet.send(event(refusal.body().to_string().as_bytes())).await
}
