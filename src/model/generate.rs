//! Continuations of many prompts under many views in one continuous batch: finished ones leave, waiting ones enter.

use super::decoder::KvCache;
use super::job::{Done, Job, Work};
use super::layout::Layout;
use super::sampling::Sampler;
use super::{Model, ModelError, readout};
use crate::request::{Answer, Finish, Generation, RequestError};

/// Continuations under way at once: bounds the memory of their keys and values.
const MOST_ACTIVE: usize = 64;

/// Tokens of one forward pass while prompts enter.
const MOST_TOKENS: usize = 2048;

/// One continuation under way.
struct Active<'a> {
    /// Its place among the answers.
    place: usize,
    job: &'a Job,
    left: usize,
    sampler: Sampler,
    cache: KvCache,
    /// Tokens that the model has not seen: the prompt at first, then the token chosen last.
    pending: Vec<u32>,
    chosen: Vec<u32>,
    computed: u64,
}

/// Runs the generation jobs among `jobs`, and answers them in the order of `indices`.
pub fn run(model: &Model, jobs: &[Job], indices: &[usize]) -> Result<Vec<Done>, ModelError> {
    let mut answers: Vec<Option<Done>> = indices.iter().map(|_| None).collect();
    let mut waiting = indices.iter().enumerate().peekable();
    let mut active: Vec<Active<'_>> = Vec::new();
    loop {
        let mut tokens: usize = active.iter().map(|one| one.pending.len()).sum();
        while active.len() < MOST_ACTIVE
            && let Some((place, &index)) =
                waiting.next_if(|&(_, &index)| tokens == 0 || tokens + jobs[index].tokens.len() <= MOST_TOKENS)
        {
            let job = &jobs[index];
            let Work::Generate { max_new_tokens, sampling } = job.work else { continue };
            tokens += job.tokens.len();
            active.push(Active {
                place,
                job,
                left: max_new_tokens,
                sampler: Sampler::new(sampling),
                cache: KvCache::new(&model.decoder),
                pending: job.tokens.clone(),
                chosen: Vec::new(),
                computed: 0,
            });
        }
        if active.is_empty() {
            break;
        }
        step(model, &mut active, &mut answers)?;
    }
    Ok(answers.into_iter().flatten().collect())
}

/// One token for each active continuation.
fn step(model: &Model, active: &mut Vec<Active<'_>>, answers: &mut [Option<Done>]) -> Result<(), ModelError> {
    let past: Vec<usize> = active.iter().map(|one| one.cache.positions).collect();
    let layout = Layout::new(active.iter().map(|one| (one.job.view, one.pending.as_slice())), &past);
    let updates = model.updates_of(&layout);
    let mut caches: Vec<&mut KvCache> = active.iter_mut().map(|one| &mut one.cache).collect();
    let hidden = model.decoder.forward(&layout, &updates, Some(&mut caches))?;
    let mut rows: Vec<usize> = layout.sequences.iter().map(|rows| rows.end - 1).collect();
    let by_sequence = rows.clone();
    rows.sort_unstable();
    let vocab = model.decoder.shape.vocab;
    let logits = readout::project(&model.decoder, &hidden, &rows, &layout, &updates)?;
    for (one, row) in active.iter_mut().zip(by_sequence) {
        let at = rows.partition_point(|&other| other < row);
        let logits = &logits[at * vocab..(at + 1) * vocab];
        one.computed += one.pending.len() as u64;
        answers[one.place] = one.take(model, logits).map(|answer| Done { answer, tokens: one.computed });
    }
    active.retain(|one| answers[one.place].is_none());
    Ok(())
}

impl Active<'_> {
    /// Chooses the next token; gives the answer where that ends the continuation.
    fn take(&mut self, model: &Model, logits: &[f32]) -> Option<Result<Answer, RequestError>> {
        if let Some(token) = logits.iter().position(|logit| !logit.is_finite()) {
            return Some(Err(RequestError::NonFinite { view: self.job.view, position: self.cache.positions - 1, token }));
        }
        let token = self.sampler.choose(logits);
        if model.eos.contains(&token) {
            return Some(self.finish(model, Finish::Eos));
        }
        self.chosen.push(token);
        self.left -= 1;
        if self.left == 0 || self.cache.positions + 1 >= model.context() {
            return Some(self.finish(model, Finish::Length));
        }
        self.pending.clear();
        self.pending.push(token);
        None
    }

    fn finish(&self, model: &Model, finish: Finish) -> Result<Answer, RequestError> {
        let decode = |ids: &[u32]| model.tokenizer.decode(ids).map_err(|message| RequestError::Tokenizer { message });
        // Decoders may treat the first token of a text apart (a space before a word), so the continuation is what the whole
        // has beyond the prompt.
        let prompt = decode(&self.job.tokens)?;
        let whole = decode(&[self.job.tokens.as_slice(), &self.chosen].concat())?;
        let text = match whole.strip_prefix(&prompt) {
            Some(text) => text.to_owned(),
            None => decode(&self.chosen)?,
        };
        Ok(Answer::Generate(Generation { text, token_ids: self.chosen.clone(), finish }))
    }
}
