//! A text of a suite that names other texts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use minijinja::{AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, escape_formatter};
use serde::Deserialize;

use super::scene::{NAMES, Scene};
use crate::template::{self, Sandbox, check_size, in_words, place};

/// What its environment calls it.
const NAME: &str = "template";

/// A Jinja template; a name without a value is an error.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Template {
    source: Arc<str>,
    /// Names that it takes from the scene, with their attributes: `case.reference`.
    names: Arc<BTreeSet<String>>,
    sandbox: Arc<Sandbox>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        check_size(&source)?;
        let text = source.clone();
        // The engine computes what is constant in a template while it reads it: that needs bounds too.
        let (environment, names) = template::run(move || read(text)).and_then(|read| read)?;
        let template = Self { source: source.into(), names: Arc::new(names), sandbox: Arc::new(Sandbox::new(environment)) };
        template.check_names(&NAMES)?;
        Ok(template)
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
    environment.set_fuel(Some(template::FUEL));
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

impl Template {
    /// The template's text with the scene's values.
    ///
    /// # Errors
    /// A name without a value, with its place; whatever else the template can't do.
    pub fn render(&self, scene: &Scene<'_>) -> Result<String, String> {
        self.sandbox.render(NAME.to_owned(), scene.context()).map_err(|why| format!("its template: {why}"))
    }

    /// Whether it names this.
    pub fn names(&self, wanted: &str) -> bool {
        self.names.iter().any(|name| root(name) == wanted)
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::Case;
    use super::*;

    fn template(source: &str) -> Result<Template, String> {
        Template::try_from(source.to_owned())
    }

    fn rendered(source: &str, outputs: &[&str]) -> Result<String, String> {
        let case =
            Case::try_from(json!({"input": "a < b", "reference": {"long": "c"}, "tags": ["x", "y"], "empty": null})).unwrap();
        let config: Map<_, _> = [("tone".to_owned(), json!("brief"))].into_iter().collect();
        let outputs: Vec<String> = outputs.iter().map(|&output| output.to_owned()).collect();
        template(source)?.render(&Scene { case: &case, config: &config, outputs: &outputs, is_over: false })
    }

    #[test]
    fn a_template_sees_the_case_the_config_and_the_stages_so_far() {
        for (source, outputs, text) in [
            ("{{ input }}: {{ case.reference.long }}, {{ config.tone }}", vec![], "a < b: c, brief"),
            ("{{ stages|length }} {{ stage_index }}", vec!["one", "two"], "2 2"),
            ("{{ prev_output }} {{ stages[0].output }}", vec!["one", "two"], "two one"),
            ("{% for tag in case.tags %}{{ loop.index }}{{ tag }} {% endfor %}", vec![], "1x 2y "),
            ("{% if prev_output is defined %}x{% else %}none{% endif %}", vec![], "none"),
            ("{{ input.upper() }}{% set x = namespace(n=1) %}{{ x.n + range(3)|length }}", vec![], "A < B4"),
        ] {
            assert_eq!(rendered(source, &outputs).as_deref(), Ok(text), "{source}");
        }
    }

    #[test]
    fn a_name_without_a_value_is_an_error_with_its_place() {
        for (source, told) in [
            ("Say {{ case.refrence }}", "case.refrence"),
            ("a\nb {{ stages[3].output }}", "line 2"),
            ("{{ prev_output }}", "prev_output"),
            ("{% if case.nothing %}x{% endif %}", "case.nothing"),
            ("{{ case.empty }}", "a value is null"),
        ] {
            let error = rendered(source, &["one"][..usize::from(source.contains("stages"))]).unwrap_err();
            assert!(error.contains(told), "{source}: {error}");
        }
        assert!(rendered("\n  {{ case.refrence }}", &[]).unwrap_err().contains("line 2, column"));
    }

    #[test]
    fn a_name_that_can_not_exist_is_told_when_the_template_is_read() {
        let error = template("Say\n {{ inptu }}").unwrap_err();
        assert_eq!(
            error,
            "there is no `inptu` here (line 2, column 5)\nhint: known are input, case, config, stages, prev_output, stage_index, output"
        );
        assert!(template("{{ input").unwrap_err().starts_with("it is no template: "), "{:?}", template("{{ input"));
        assert!(template("{{ input|shout }}").is_ok_and(|template| {
            template
                .render(&Scene { case: &Case::default(), config: &Map::new(), outputs: &[], is_over: false })
                .unwrap_err()
                .contains("shout")
        }));
    }

    #[test]
    fn attributes_can_be_held_against_what_is_there() {
        let template = template("{{ config.tone }} {{ config.length.words }}").unwrap();
        assert_eq!(template.check_attributes("config", |name| name == "tone" || name == "length"), Ok(()));
        let error = template.check_attributes("config", |name| name == "tone").unwrap_err();
        assert_eq!(error, "there is no `config.length` (line 1, column 22)");
        assert_eq!(template.check_attributes("case", |_| false), Ok(()));
    }

    #[test]
    fn a_template_that_does_not_end_is_stopped() {
        let endless = "{% for i in range(100000) %}{% for j in range(100000) %}{{ j }}{% endfor %}{% endfor %}";
        let error = rendered(endless, &[]).unwrap_err();
        assert!(error.contains("does not end") || error.contains("range"), "{error}");
    }
}
