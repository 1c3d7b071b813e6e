//! The texts of tokens: what each adds to the text of those before it, special tokens among them.

use tokenizers::DecoderWrapper;

use super::Model;
use super::tokenizer::Tokenizer;
use crate::request::RequestError;

/// Tells the texts of a tokenizer's tokens.
pub struct Speller<'a> {
    tokenizer: &'a Tokenizer,
    bytes: Bytes,
}

/// How a tokenizer's tokens stand for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    /// They don't.
    None,
    /// A character of a token is a byte (GPT-2's alphabet); `alone` where that is all that its decoder does.
    Characters { alone: bool },
    /// A token `<0xE2>` is a byte (`SentencePiece`).
    Tokens,
}

/// The texts of a sequence of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled {
    pub texts: Vec<String>,
    /// Where each begins in the text of all, in Unicode characters: for a part of a character, where that character begins.
    pub offsets: Vec<usize>,
}

/// What a token adds to the text of those before it.
enum Piece {
    Text(String),
    /// No characters without its neighbours'.
    Bytes(Vec<u8>),
}

impl Piece {
    /// As `OpenAI` spells it: `bytes:` and what Python makes of the bytes.
    fn spell(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Bytes(bytes) => {
                let escaped = |byte| match byte {
                    b'\'' | b'"' => char::from(byte).to_string(),
                    _ => std::ascii::escape_default(byte).to_string(),
                };
                bytes.into_iter().map(escaped).fold("bytes:".to_owned(), |text, byte| text + &byte)
            }
        }
    }
}

impl<'a> Speller<'a> {
    pub fn new(tokenizer: &'a Tokenizer) -> Self {
        let decoders = match tokenizer.decoder() {
            Some(DecoderWrapper::Sequence(sequence)) => sequence.get_decoders(),
            decoder => decoder.map_or(&[][..], std::slice::from_ref),
        };
        let any = |is: fn(&DecoderWrapper) -> bool| decoders.iter().any(is);
        let bytes = if any(|decoder| matches!(decoder, DecoderWrapper::ByteLevel(_))) {
            Bytes::Characters { alone: decoders.len() == 1 }
        } else if any(|decoder| matches!(decoder, DecoderWrapper::ByteFallback(_))) {
            Bytes::Tokens
        } else {
            Bytes::None
        };
        Self { tokenizer, bytes }
    }

    /// The texts of tokens that stand one after the other.
    pub fn spell(&self, ids: &[u32]) -> Result<Spelled, String> {
        let mut spelled = Spelled { texts: Vec::with_capacity(ids.len()), offsets: Vec::with_capacity(ids.len()) };
        let (mut offset, mut parts) = (0, Parts::default());
        let mut before = None;
        for &id in ids {
            let piece = self.piece(before, id)?;
            match &piece {
                Piece::Bytes(bytes) => parts.push(bytes),
                Piece::Text(text) => {
                    offset = parts.take(offset, &mut spelled.offsets);
                    spelled.offsets.push(offset);
                    offset += text.chars().count();
                }
            }
            spelled.texts.push(piece.spell());
            before = Some(id);
        }
        parts.take(offset, &mut spelled.offsets);
        Ok(spelled)
    }

    /// What a token adds after another, or at the beginning.
    pub fn text_after(&self, before: Option<u32>, id: u32) -> Result<String, String> {
        self.piece(before, id).map(Piece::spell)
    }

    fn piece(&self, before: Option<u32>, id: u32) -> Result<Piece, String> {
        match (self.bytes_of(id).map(String::from_utf8), self.bytes) {
            (Some(Err(part)), _) => return Ok(Piece::Bytes(part.into_bytes())),
            (Some(Ok(text)), Bytes::Characters { alone: true }) => return Ok(Piece::Text(text)),
            // At the beginning, the decoder may leave out a space. Elsewhere it would judge the byte with those before it.
            (Some(Ok(text)), Bytes::Tokens) if before.is_some() => return Ok(Piece::Text(text)),
            _ => {}
        }
        // Of what stands before, one token is enough to tell that this one is not the first.
        let decode = |ids: &[u32]| self.tokenizer.decode_all(ids);
        let Some(before) = before else { return decode(&[id]).map(Piece::Text) };
        let (alone, both) = (decode(&[before])?, decode(&[before, id])?);
        match both.strip_prefix(&alone) {
            Some(text) => Ok(Piece::Text(text.to_owned())),
            None => decode(&[id]).map(Piece::Text),
        }
    }

    /// The bytes that a token stands for, where its name spells them.
    fn bytes_of(&self, id: u32) -> Option<Vec<u8>> {
        let name = self.tokenizer.name(id)?;
        match self.bytes {
            Bytes::None => None,
            // A special token may have characters that stand for no byte: it is what it is called.
            Bytes::Characters { .. } => {
                Some(name.chars().map(byte_of).collect::<Option<Vec<u8>>>().unwrap_or_else(|| name.into_bytes()))
            }
            Bytes::Tokens => {
                let byte = name.strip_prefix("<0x")?.strip_suffix('>').filter(|digits| digits.len() == 2)?;
                Some(vec![u8::from_str_radix(byte, 16).ok()?])
            }
        }
    }
}

/// Parts of characters that stand one after the other.
#[derive(Default)]
struct Parts {
    bytes: Vec<u8>,
    /// Where each begins.
    begins: Vec<usize>,
}

impl Parts {
    fn push(&mut self, bytes: &[u8]) {
        self.begins.push(self.bytes.len());
        self.bytes.extend(bytes);
    }

    /// Tells where each begins in a text, in characters, the first of them at `offset`; gives where they end, and forgets them.
    fn take(&mut self, offset: usize, offsets: &mut Vec<usize>) -> usize {
        let mut characters = Vec::new();
        let mut at = 0;
        for chunk in self.bytes.utf8_chunks() {
            characters.extend(chunk.valid().char_indices().map(|(index, _)| at + index));
            at += chunk.valid().len();
            // A decoder puts one character in the place of what is none.
            characters.extend((!chunk.invalid().is_empty()).then_some(at));
            at += chunk.invalid().len();
        }
        let begun = |begin: &usize| characters.partition_point(|character| character <= begin);
        offsets.extend(self.begins.iter().map(|begin| offset + begun(begin).saturating_sub(1)));
        *self = Self::default();
        offset + characters.len()
    }
}

/// The byte that a character of GPT-2's alphabet stands for: those that can be seen in Latin-1 stand for themselves, and the others in
/// turn from U+0100 on.
fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    let byte = match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => code,
        0x100..=0x120 => code - 0x100,
        0x121..=0x142 => code - 0x121 + 0x7f,
        0x143 => 0xad,
        _ => return None,
    };
    u8::try_from(byte).ok()
}

impl Model {
    /// The texts of tokens that stand one after the other: together the text that they decode to, special tokens among it, but that a
    /// token which is a part of a character is spelled as `bytes:\xe2\x82`.
    ///
    /// # Errors
    /// Where the tokenizer's decoder fails.
    pub fn token_texts(&self, ids: &[u32]) -> Result<Vec<String>, RequestError> {
        let spelled = Speller::new(&self.tokenizer).spell(ids);
        spelled.map(|spelled| spelled.texts).map_err(|message| RequestError::Tokenizer { message })
    }

    /// The text that tokens decode to, special tokens among it.
    ///
    /// # Errors
    /// Where the tokenizer's decoder fails.
    pub fn text_of_tokens(&self, ids: &[u32]) -> Result<String, RequestError> {
        self.tokenizer.decode_all(ids).map_err(|message| RequestError::Tokenizer { message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_has_a_character_of_its_own() {
        let mut bytes: Vec<u8> = ('\0'..'\u{200}').filter_map(byte_of).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(['Ġ', 'Ċ', 'Ã', '©', 'a'].map(byte_of), [b' ', b'\n', 0xc3, 0xa9, b'a'].map(Some));
    }

    #[test]
    fn parts_of_a_character_begin_where_it_begins() {
        let take = |all: &[&[u8]]| {
            let (mut parts, mut offsets) = (Parts::default(), Vec::new());
            for part in all {
                parts.push(part);
            }
            let end = parts.take(10, &mut offsets);
            (offsets, end)
        };
        assert_eq!(take(&[]), (vec![], 10));
        assert_eq!(take(&[b"\xe2\x82", b"\xac \xf0", b"\x9f\x8e\x89"]), (vec![10, 10, 12], 13));
        assert_eq!(take(&[b" \xc3", b"\xa9"]), (vec![10, 11], 12));
        assert_eq!(take(&[b"\xa9", b"\xe2"]), (vec![10, 11], 12), "none of them is a character");
    }

    #[test]
    fn bytes_are_spelled_as_python_does() {
        let spell = |bytes: &[u8]| Piece::Bytes(bytes.to_vec()).spell();
        assert_eq!(spell(b" \xf0\x9f"), "bytes: \\xf0\\x9f");
        assert_eq!(spell(b"\n'\\\xAC"), "bytes:\\n'\\\\\\xac");
    }
}
