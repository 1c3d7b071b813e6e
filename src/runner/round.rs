//! One round of questions of all probes, and who answers them.

use super::errands::{Arrived, Outsiders};
use super::plan::Entry;
use super::run::Running;
use crate::engine::{Engine, EngineError, Question, Reply, Step};
use crate::probe::Spot;
use crate::record::{Event, StageRecord};
use crate::request::{Answer, Op, Request, View};

/// One round of questions of all probes that are under way.
pub struct Round<'a> {
    /// In the probes' order; each with who asks, and with where the text belongs that it asks for, if that is recorded.
    questions: Vec<Asked<'a>>,
    /// How many each probe asks.
    counts: Vec<usize>,
}

struct Asked<'a> {
    asker: &'a str,
    request: Request,
    spot: Option<(usize, Spot)>,
}

impl<'a> Round<'a> {
    pub fn ask(running: &mut [Running], entries: &'a [Entry]) -> Self {
        let (mut questions, mut counts) = (Vec::new(), Vec::new());
        for one in running {
            let requests = one.course.ask();
            counts.push(requests.len());
            let spots = one.course.spots();
            let asker = entries[one.entry].name.as_str();
            questions.extend(requests.into_iter().zip(spots).map(|(request, spot)| Asked { asker, request, spot }));
        }
        Self { questions, counts }
    }

    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    pub fn counts(&self) -> impl Iterator<Item = usize> {
        self.counts.iter().copied()
    }

    /// Has all of it answered: by servers and programs while the model computes.
    pub fn answer(
        &self,
        engine: &mut Engine,
        outsiders: Option<&mut Outsiders>,
        emit: &mut dyn FnMut(&Event<'_>),
    ) -> Result<Vec<Reply>, EngineError> {
        let (outside, inside): (Vec<usize>, Vec<usize>) =
            (0..self.questions.len()).partition(|&question| self.questions[question].request.op.is_outside());
        let of_outside: Vec<(usize, &Request)> =
            outside.iter().map(|&question| (question, &self.questions[question].request)).collect();
        let mut correspondence = outsiders.filter(|_| !outside.is_empty()).map(|outsiders| {
            let under_way = outsiders.send(&of_outside);
            (outsiders, under_way)
        });
        let mut replies: Vec<Option<Reply>> = self.questions.iter().map(|_| None).collect();
        let mut interrupted = false;
        let mut arrive = |questions: Vec<usize>, arrived: Arrived, emit: &mut dyn FnMut(&Event<'_>)| {
            interrupted |= arrived.is_interrupted();
            let told = if arrived.is_interrupted() { 0 } else { questions.len() };
            for question in questions.into_iter().take(told) {
                self.tell(question, &arrived, emit);
                replies[question] = Some(arrived.reply.clone());
            }
            emit(&Event::Answered { requests: told, tokens: 0 });
        };
        let asked: Vec<Question<'_>> = inside
            .iter()
            .map(|&question| Question { asker: self.questions[question].asker, request: &self.questions[question].request })
            .collect();
        let answered = engine.answer(&asked, &mut |step: &Step<'_>| {
            for settled in step.settled {
                let Some(Some(reply)) = step.replies.get(settled.question) else { continue };
                let arrived = Arrived { reply: reply.clone(), cached: settled.cached, latency: settled.latency };
                self.tell(inside[settled.question], &arrived, emit);
            }
            emit(&Event::Answered { requests: step.answered, tokens: step.tokens });
            while let Some((questions, arrived)) =
                correspondence.as_mut().and_then(|(outsiders, under_way)| outsiders.try_next(under_way))
            {
                arrive(questions, arrived, emit);
            }
        });
        if answered.is_ok() {
            while let Some((questions, arrived)) =
                correspondence.as_mut().and_then(|(outsiders, under_way)| outsiders.next(under_way))
            {
                arrive(questions, arrived, emit);
            }
        }
        let of_engine: Vec<Option<Reply>> = match answered {
            Ok(of_engine) => of_engine.into_iter().map(Some).collect(),
            Err(EngineError::Interrupted { replies: of_engine }) => {
                interrupted = true;
                of_engine
            }
            Err(error) => return Err(error),
        };
        for (question, reply) in inside.into_iter().zip(of_engine) {
            replies[question] = reply;
        }
        if interrupted {
            return Err(EngineError::Interrupted { replies });
        }
        let asked = replies.len();
        let replies: Vec<Reply> = replies.into_iter().flatten().collect();
        // A suite that asks outside was refused where nobody is there to ask.
        if replies.len() == asked { Ok(replies) } else { Err(EngineError::WrongCount { asked, answered: replies.len() }) }
    }

    /// Tells of a text that is recorded.
    fn tell(&self, question: usize, arrived: &Arrived, emit: &mut dyn FnMut(&Event<'_>)) {
        let Asked { asker, request, spot } = &self.questions[question];
        let Some((item, Spot { view, sample, stage })) = spot else { return };
        let mut record = StageRecord {
            probe: (*asker).to_owned(),
            case: item + 1,
            sample: *sample,
            view: view.to_string(),
            stage: *stage,
            model: who(request),
            prompt: request.op.subject().into_owned(),
            latency_ms: arrived.latency.as_secs_f64() * 1e3,
            cached: arrived.cached,
            ..StageRecord::default()
        };
        match &arrived.reply {
            Err(error) => record.error = Some(error.to_string()),
            Ok(answer) => {
                record.response = answer.text().map(str::to_owned);
                match answer {
                    Answer::Generate(generation) => {
                        record.finish = Some(generation.finish.name().to_owned());
                        record.tokens_in = Some(generation.prompt_tokens as u64);
                        record.tokens_out = Some(generation.token_ids.len() as u64);
                    }
                    Answer::Completion(completion) => {
                        record.finish.clone_from(&completion.finish);
                        (record.tokens_in, record.tokens_out) = (completion.tokens_in, completion.tokens_out);
                    }
                    _ => {}
                }
            }
        }
        emit(&Event::Stage(&record));
    }
}

/// Who answers a request: a view, or an endpoint by its name.
fn who(request: &Request) -> String {
    match &request.op {
        Op::Complete { endpoint, .. } => endpoint.clone(),
        _ => View::to_string(&request.view),
    }
}
