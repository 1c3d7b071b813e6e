//! A token's text, and the bytes that it stands for.

/// The bytes of a token by its text: those of the text, or of a part of a character those that are spelled in it (`bytes:\xe2\x82`).
pub fn bytes_of(token: &str) -> Vec<u8> {
    let spelled = token.strip_prefix("bytes:").and_then(unescape);
    // Bytes that are a text are never spelled: it is a token that reads so.
    spelled.filter(|bytes| std::str::from_utf8(bytes).is_err()).unwrap_or_else(|| token.as_bytes().to_vec())
}

/// The bytes of what Python calls a bytes literal.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'\\' => b'\\',
                b'x' => {
                    let digit = |byte: u8| char::from(byte).to_digit(16);
                    (digit(rest.next()?)? * 16 + digit(rest.next()?)?) as u8
                }
                _ => return None,
            },
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_character_is_the_bytes_that_it_is_spelled_with() {
        assert_eq!(bytes_of(" é"), " é".as_bytes());
        assert_eq!(bytes_of("bytes:\\xe2\\x82"), b"\xe2\x82");
        assert_eq!(bytes_of("bytes: \\n\\t\\r\\\\'\\xAc"), b" \n\t\r\\'\xac");
        for text in ["bytes:", "bytes:a", "bytes:\\", "bytes:\\q", "bytes:\\xe", "bytes:\\x41"] {
            assert_eq!(bytes_of(text), text.as_bytes(), "{text}");
        }
    }
}
