//! Text to tokens and back, as the checkpoint's own `tokenizer.json` says.

use std::path::Path;
use std::sync::Arc;

use tokenizers::processors::sequence::Sequence;
use tokenizers::{DecoderWrapper, PostProcessorWrapper, TruncationParams};

use super::error::ModelError;

const FILE: &str = "tokenizer.json";

/// A tokenizer with the digest of its file.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    pub digest: String,
}

/// Tokens of a text, and the byte of the text where each ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    pub ids: Vec<u32>,
    /// 0 for a special token that the post-processor added.
    pub ends: Vec<usize>,
}

impl Tokenizer {
    /// Whether a folder has one.
    pub fn is_in(dir: &Path) -> bool {
        dir.join(FILE).is_file()
    }

    /// The tokenizer of a folder that has one.
    pub fn load_if_there(dir: &Path) -> Result<Option<Self>, ModelError> {
        if Self::is_in(dir) { Self::load(dir).map(Some) } else { Ok(None) }
    }

    /// The tokenizer that an adapter ships: the base's own where it is the same file.
    ///
    /// # Errors
    /// Where a token of the base's has another id in the adapter's: its rows of the embedding are other tokens' then.
    pub fn load_beside(dir: &Path, base: &Arc<Self>) -> Result<Arc<Self>, ModelError> {
        let path = dir.join(FILE);
        let bytes = std::fs::read(&path).map_err(|e| ModelError::read(&path, e))?;
        if digest(&bytes) == base.digest {
            return Ok(Arc::clone(base));
        }
        let own = Self::read(&path, &bytes)?;
        own.check_extends(base).map_err(|message| ModelError::refused(&path, message))?;
        Ok(Arc::new(own))
    }

    fn check_extends(&self, base: &Self) -> Result<(), String> {
        let moved = base.inner.get_vocab(true).into_iter().filter(|(token, id)| self.inner.token_to_id(token) != Some(*id));
        let Some((token, id)) = moved.min_by_key(|(_, id)| *id) else { return Ok(()) };
        let here = self.inner.token_to_id(&token).map_or("is missing".to_owned(), |own| format!("is token {own}"));
        Err(format!(
            "`{token}`, the base's token {id}, {here} in the adapter's tokenizer\nhint: the adapter was trained on another base; name that one"
        ))
    }

    pub fn load(dir: &Path) -> Result<Self, ModelError> {
        let path = dir.join(FILE);
        if !path.exists() {
            let dir_name = dir.display();
            let convert = format!(
                "python -c \"from transformers import AutoTokenizer as T; T.from_pretrained('{dir_name}').save_pretrained('{dir_name}')\" writes one from"
            );
            let others =
                [("tokenizer.model", "tokenizer.model, SentencePiece's own format"), ("vocab.json", "vocab.json and merges.txt")];
            let others = others.map(|(file, what)| (file, format!("{convert} {what}")));
            return Err(ModelError::missing(
                "the model",
                dir,
                FILE,
                &others.each_ref().map(|(file, hint)| (*file, hint.as_str())),
            ));
        }
        let bytes = std::fs::read(&path).map_err(|e| ModelError::read(&path, e))?;
        Self::read(&path, &bytes)
    }

    /// From the bytes of the file at `path`.
    fn read(path: &Path, bytes: &[u8]) -> Result<Self, ModelError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| ModelError::invalid(path, e.to_string()))?;
        // Both are settings of whoever saved the file, and would cut or pad what is scored.
        inner.with_truncation(None).map_err(|e| ModelError::invalid(path, e.to_string()))?;
        inner.with_padding(None);
        if let Some(processor) = inner.get_post_processor().cloned() {
            inner.with_post_processor(Some(with_whole_offsets(processor)));
        }
        Ok(Self { inner, digest: digest(bytes) })
    }

    /// The same tokenizer, of which [`Self::encode_all`] gives at most so many tokens: the first of a text, and the special ones.
    pub fn truncated_to(mut self, longest: usize) -> Result<Self, String> {
        let truncation = TruncationParams { max_length: longest, ..TruncationParams::default() };
        self.inner.with_truncation(Some(truncation)).map_err(|e| e.to_string())?;
        Ok(self)
    }

    /// Tokens with the special ones that the post-processor adds, all of them.
    pub fn encode_all(&self, text: &str) -> Result<Vec<u32>, String> {
        Ok(self.encode_as(text, true)?.ids)
    }

    /// Tokens with the special ones that the post-processor adds.
    ///
    /// A text that begins with the token that would be put before it (a prompt that somebody copied from a rendered template) is
    /// not given it twice.
    pub fn encode(&self, text: &str) -> Result<Encoded, String> {
        let mut encoded = self.encode_as(text, true)?;
        let repeats = |ids: &[u32], ends: &[usize]| ids[0] == ids[1] && ends[0] == 0 && ends[1] > 0;
        if encoded.ids.len() > 1 && repeats(&encoded.ids, &encoded.ends) {
            encoded.ids.remove(0);
            encoded.ends.remove(0);
        }
        Ok(encoded)
    }

    /// Tokens of a rendered conversation: the special ones are those that the template wrote.
    pub fn encode_rendered(&self, text: &str) -> Result<Encoded, String> {
        self.encode_as(text, false)
    }

    fn encode_as(&self, text: &str, add_special_tokens: bool) -> Result<Encoded, String> {
        let encoding = self.inner.encode(text, add_special_tokens).map_err(|e| e.to_string())?;
        Ok(Encoded { ids: encoding.get_ids().to_vec(), ends: encoding.get_offsets().iter().map(|(_, end)| *end).collect() })
    }

    /// Text of tokens, special ones left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String, String> {
        self.inner.decode(ids, true).map_err(|e| e.to_string())
    }

    /// Text of tokens, special ones among them.
    pub fn decode_all(&self, ids: &[u32]) -> Result<String, String> {
        self.inner.decode(ids, false).map_err(|e| e.to_string())
    }

    /// What makes text of tokens; without one, a space is put between them.
    pub fn decoder(&self) -> Option<&DecoderWrapper> {
        self.inner.get_decoder()
    }

    /// A token as it stands in the vocabulary.
    pub fn name(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }
}

fn digest(file: &[u8]) -> String {
    blake3::hash(file).to_hex().to_string()
}

/// Offsets that cover each token whole. Byte-level processors trim white space from them, and a completion that is white space
/// would then seem to end before it begins.
fn with_whole_offsets(processor: PostProcessorWrapper) -> PostProcessorWrapper {
    match processor {
        PostProcessorWrapper::ByteLevel(byte_level) => PostProcessorWrapper::ByteLevel(byte_level.trim_offsets(false)),
        PostProcessorWrapper::Roberta(roberta) => PostProcessorWrapper::Roberta(roberta.trim_offsets(false)),
        PostProcessorWrapper::Sequence(sequence) => {
            let processors = (0..).map_while(|i| sequence.get(i).cloned()).map(with_whole_offsets).collect();
            PostProcessorWrapper::Sequence(Sequence::new(processors))
        }
        other => other,
    }
}
