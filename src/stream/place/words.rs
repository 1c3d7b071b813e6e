//! What a server says when it refuses.

use super::Environment;
use super::uri::shown;

/// Most letters of it that are told.
const LONGEST: usize = 300;

/// What the body of a refusal says, short and without keys. Of XML it is the code and the message: around them stores repeat the request,
/// with what was signed.
pub fn words(body: &[u8], environment: &Environment) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let said = if text.starts_with('<') {
        let parts: Vec<&str> = ["Code", "Message"].iter().filter_map(|name| element(text, name)).collect();
        parts.join(": ")
    } else {
        text.to_owned()
    };
    let said = environment.masked(&shown(&said));
    match said.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

/// What stands in the first element of a name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_xml_only_the_code_and_the_message_are_told() {
        let body = b"<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>no match</Message><StringToSign>hush</StringToSign></Error>";
        assert_eq!(words(body, &Environment::default()), "SignatureDoesNotMatch: no match");
        assert_eq!(words(b"<html><title>x</title>", &Environment::default()), "");
        assert_eq!(words(b"", &Environment::default()), "");
    }

    #[test]
    fn what_is_told_is_short_in_one_line_and_without_keys() {
        let environment = Environment::new([("HF_TOKEN".to_owned(), "hf_hush".to_owned())]);
        assert_eq!(words(b"bad token\nhf_hush", &environment), "bad token\u{fffd}***");
        assert_eq!(words("é".repeat(1000).as_bytes(), &environment).chars().count(), LONGEST + 1);
    }
}
