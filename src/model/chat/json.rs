//! JSON as Python's `json.dumps` writes it: the separators, and the digits of numbers.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::Formatter;

/// How `json.dumps` is asked to write.
#[derive(Default)]
pub struct Style {
    pub ensure_ascii: bool,
    /// Put at the head of each line, once for each level; with one, every item has a line of its own.
    pub indent: Option<String>,
    /// Between items, and between a key and its value.
    pub separators: Option<(String, String)>,
    pub sort_keys: bool,
}

/// The value as text.
pub fn dumps(value: &Value, style: &Style) -> Result<String, String> {
    let (item, key) = match (&style.separators, &style.indent) {
        (Some((item, key)), _) => (item.as_str(), key.as_str()),
        // Python leaves the space before a line's end out.
        (None, Some(_)) => (",", ": "),
        (None, None) => (", ", ": "),
    };
    let formatter =
        Python { item, key, indent: style.indent.as_deref(), ensure_ascii: style.ensure_ascii, depth: 0, has_items: false };
    let sorted = style.sort_keys.then(|| sorted(value));
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    sorted.as_ref().unwrap_or(value).serialize(&mut serializer).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut keys: Vec<&String> = fields.keys().collect();
            keys.sort_unstable();
            Value::Object(keys.into_iter().map(|key| (key.clone(), sorted(&fields[key]))).collect())
        }
        scalar => scalar.clone(),
    }
}

struct Python<'a> {
    item: &'a str,
    key: &'a str,
    indent: Option<&'a str>,
    ensure_ascii: bool,
    depth: usize,
    /// Whether the list or table that ends now had any item.
    has_items: bool,
}

impl Python<'_> {
    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        let Some(indent) = self.indent else { return Ok(()) };
        writer.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| writer.write_all(indent.as_bytes()))
    }

    fn begin<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth += 1;
        self.has_items = false;
        writer.write_all(bracket)
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if self.has_items {
            self.new_line(writer)?;
        }
        self.has_items = true;
        writer.write_all(bracket)
    }

    fn begin_item<W: ?Sized + Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(self.item.as_bytes())?;
        }
        self.new_line(writer)
    }
}

impl Formatter for Python<'_> {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_item(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_items = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_item(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(self.key.as_bytes())
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.has_items = true;
        Ok(())
    }

    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(repr(value).as_bytes())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        if !self.ensure_ascii || fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            if character.is_ascii() {
                write!(writer, "{character}")?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

/// Python's `repr` of a float: the shortest digits that read back, with an exponent below 1e-4 and from 1e16 on.
fn repr(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (1e-4..1e16).contains(&size) {
        let text = format!("{value}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Expected texts are what CPython 3.11 prints.

    #[test]
    fn separators_are_pythons() {
        let value = json!({"b": [1, 2.5, "é<&'\"\n", null, true], "a": {}, "c": []});
        let plain = dumps(&value, &Style::default());
        assert_eq!(plain.as_deref(), Ok(r#"{"b": [1, 2.5, "é<&'\"\n", null, true], "a": {}, "c": []}"#));
        let indented = dumps(&value, &Style { indent: Some("  ".into()), ..Style::default() });
        let want =
            "{\n  \"b\": [\n    1,\n    2.5,\n    \"é<&'\\\"\\n\",\n    null,\n    true\n  ],\n  \"a\": {},\n  \"c\": []\n}";
        assert_eq!(indented.as_deref(), Ok(want));
        let tight = Style { separators: Some((",".into(), ":".into())), sort_keys: true, ensure_ascii: true, ..Style::default() };
        assert_eq!(dumps(&json!({"b": "é😀", "a": 1}), &tight).as_deref(), Ok(r#"{"a":1,"b":"\u00e9\ud83d\ude00"}"#));
    }

    #[test]
    fn floats_are_pythons() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (-2.5e-7, "-2.5e-07"),
            (5e-324, "5e-324"),
        ];
        for (value, text) in cases {
            assert_eq!(repr(value), text);
        }
    }
}
