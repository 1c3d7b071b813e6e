//! A text of a suite that names other texts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter};

use super::{FUEL, Sandbox, check_size, in_words, place, run};

/// What its environment calls it.
const NAME: &str = "template";

/// A Jinja template; a name without a value is an error.
#[derive(Clone)]
pub struct TextTemplate {
    source: Arc<str>,
    /// Names that it takes from its context, with their attributes: `case.reference`.
    names: Arc<BTreeSet<String>>,
    sandbox: Arc<Sandbox>,
}

impl fmt::Debug for TextTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl PartialEq for TextTemplate {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

fn read(source: String) -> Result<(Environment<'static>, BTreeSet<String>), String> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // What is written are prompts, not pages.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    // What is `None` in Python is no text that anybody means.
    environment.set_formatter(|out, state, value| {
        if value.is_none() {
            return Err(Error::new(ErrorKind::InvalidOperation, "a value is null, which has no text"));
        }
        escape_formatter(out, state, value)
    });
    environment.set_fuel(Some(FUEL));
    environment.set_debug(true);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    let added = environment.add_template_owned(NAME, source);
    added.map_err(|error| format!("it is no template: {}", in_words(&error)))?;
    let of_engine: BTreeSet<String> = environment.globals().map(|(name, _)| name.to_owned()).collect();
    let template = environment.get_template(NAME).map_err(|error| in_words(&error))?;
    let names = template.undeclared_variables(true).into_iter().filter(|name| !of_engine.contains(root(name))).collect();
    Ok((environment, names))
}

fn root(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

impl TextTemplate {
    /// Reads a template that may name these, and nothing else.
    ///
    /// # Errors
    /// What is no template; a name that can't exist. Each with its place.
    pub fn read(source: String, known: &[&str]) -> Result<Self, String> {
        check_size(&source)?;
        let text = source.clone();
        // The engine computes what is constant in a template while it reads it: that needs bounds too.
        let (environment, names) = run(move || read(text)).and_then(|read| read)?;
        let template = Self { source: source.into(), names: Arc::new(names), sandbox: Arc::new(Sandbox::new(environment)) };
        template.check_names(known)?;
        Ok(template)
    }

    /// The template's text with the values of a context.
    ///
    /// # Errors
    /// A name without a value, with its place; whatever else the template can't do.
    pub fn render(&self, context: Value) -> Result<String, String> {
        self.sandbox.render(NAME.to_owned(), context).map_err(|why| format!("its template: {why}"))
    }

    /// Whether it names this.
    pub fn names(&self, wanted: &str) -> bool {
        self.names.iter().any(|name| root(name) == wanted)
    }

    /// The attributes of `of` that it takes; `None` where it takes `of` as a whole.
    pub fn attributes(&self, of: &str) -> Option<BTreeSet<String>> {
        let its = self.names.iter().filter(|name| root(name) == of);
        its.map(|name| name.split('.').nth(1).map(str::to_owned)).collect()
    }

    /// Refuses a name that is none of these, with its place.
    pub fn check_names(&self, known: &[&str]) -> Result<(), String> {
        match self.names.iter().find(|name| !known.contains(&root(name))) {
            Some(unknown) => Err(format!(
                "there is no `{}` here{}\nhint: known are {}",
                root(unknown),
                self.at(root(unknown)),
                known.join(", ")
            )),
            None => Ok(()),
        }
    }

    /// Refuses an attribute of `of` that `has` not.
    pub fn check_attributes(&self, of: &str, has: impl Fn(&str) -> bool) -> Result<(), String> {
        let attributes = self.names.iter().filter_map(|name| {
            let (root, rest) = name.split_once('.')?;
            (root == of).then(|| rest.split('.').next().unwrap_or(rest))
        });
        match attributes.into_iter().find(|attribute| !has(attribute)) {
            Some(attribute) => {
                let name = format!("{of}.{attribute}");
                Err(format!("there is no `{name}`{}", self.at(&name)))
            }
            None => Ok(()),
        }
    }

    /// Where a name stands first, as the end of a sentence.
    fn at(&self, name: &str) -> String {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let whole = self.source.match_indices(name).find(|(at, _)| {
            let (before, after) = (&self.source[..*at], &self.source[at + name.len()..]);
            !before.ends_with(|c| is_part(c) || c == '.') && !after.starts_with(is_part)
        });
        whole.map_or_else(String::new, |(at, _)| format!(" ({})", place(&self.source[..at])))
    }
}
