//! What a chat template can call: Jinja as `transformers` sets it up.

use std::fmt;
use std::fmt::Write as _;
use std::sync::LazyLock;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, Local, NaiveDateTime};
use fancy_regex::Regex;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;

use super::json::{Style, dumps};
use crate::template::FUEL;

/// The time that templates are told: one and the same through a run, so that a prompt keeps its text over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock(NaiveDateTime);

impl Clock {
    /// `SOURCE_DATE_EPOCH`, in UTC, where it is set, as builds that are to be repeated set it; else now, in local time.
    pub fn read() -> Self {
        let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse().ok());
        let given = given.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).map(|time| time.naive_utc());
        Self(given.unwrap_or_else(|| Local::now().naive_local()))
    }

    #[cfg(test)]
    pub fn at(time: NaiveDateTime) -> Self {
        Self(time)
    }

    fn format(self, format: &str) -> Result<String, Error> {
        let items: Vec<Item<'_>> = StrftimeItems::new(format).collect();
        let mut text = String::new();
        let wrong = items.contains(&Item::Error) || write!(text, "{}", self.0.format_with_items(items.iter())).is_err();
        if wrong {
            return Err(Error::new(ErrorKind::InvalidOperation, format!("strftime_now: `{format}` is no format of a time")));
        }
        Ok(text)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Lines that hold nothing but a block leave nothing behind.
static SYNTAX: LazyLock<SyntaxConfig> =
    LazyLock::new(|| SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().unwrap_or_default());

pub fn new(clock: Clock) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_syntax(SYNTAX.clone());
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(method);
    environment.add_filter("tojson", to_json);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", move |format: &str| clock.format(format));
    environment
}

/// `{% generation %}` marks what a trainer takes the loss of; what is rendered does not depend on it. Names that are set inside are
/// not seen outside.
pub fn without_generation_marks(template: &str) -> String {
    static MARKS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").ok());
    let Some(marks) = MARKS.as_ref() else { return template.to_owned() };
    marks.replace_all(template, "{%$1 ${2}with $3%}").into_owned()
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`: Jinja's own escapes HTML.
#[expect(clippy::needless_pass_by_value, reason = "how the engine calls a filter")]
fn to_json(value: &Value, kwargs: Kwargs) -> Result<String, Error> {
    let wrong = |message: String| Error::new(ErrorKind::InvalidOperation, format!("tojson: {message}"));
    if value.is_undefined() {
        return Err(wrong("the value is undefined".to_owned()));
    }
    let indent: Option<Value> = kwargs.get("indent")?;
    let indent = match indent.filter(|indent| !indent.is_none()) {
        None => None,
        Some(indent) => Some(match (indent.as_usize(), indent.as_str()) {
            (Some(blanks), _) if blanks <= 64 => " ".repeat(blanks),
            (None, Some(text)) => text.to_owned(),
            _ => return Err(wrong(format!("{indent} is no indent"))),
        }),
    };
    let separators: Option<Value> = kwargs.get("separators")?;
    let separators = match separators.filter(|separators| !separators.is_none()) {
        None => None,
        Some(pair) => Some((pair.get_item_by_index(0)?.to_string(), pair.get_item_by_index(1)?.to_string())),
    };
    let flag = |name: &str| kwargs.get::<Option<bool>>(name).map(Option::unwrap_or_default);
    let style = Style { indent, separators, ensure_ascii: flag("ensure_ascii")?, sort_keys: flag("sort_keys")? };
    kwargs.assert_all_used()?;
    let value = serde_json::to_value(value).map_err(|error| wrong(error.to_string()))?;
    dumps(&value, &style).map_err(wrong)
}

/// Python's methods of strings, lists and dictionaries.
fn method(state: &mut State<'_, '_>, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    let affix = |args: &[Value]| match args {
        [affix] => affix.as_str().map(str::to_owned),
        _ => None,
    };
    match (value.as_str(), name) {
        (Some(text), "removeprefix") if let Some(prefix) = affix(args) => {
            Ok(Value::from(text.strip_prefix(&prefix).unwrap_or(text)))
        }
        (Some(text), "removesuffix") if let Some(suffix) = affix(args) => {
            Ok(Value::from(text.strip_suffix(&suffix).unwrap_or(text)))
        }
        _ => pycompat::unknown_method_callback(state, value, name, args),
    }
}
