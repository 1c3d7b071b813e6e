//! A text of a suite that names the case, and what the stages wrote.

use std::ops::Deref;

use serde::Deserialize;

use super::scene::{NAMES, Scene};
use crate::template::TextTemplate;

/// A Jinja template over a [`Scene`]; a name without a value is an error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Template(TextTemplate);

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        TextTemplate::read(source, &NAMES).map(Self)
    }
}

impl Template {
    /// The template's text with the scene's values.
    ///
    /// # Errors
    /// A name without a value, with its place; whatever else the template can't do.
    pub fn render(&self, scene: &Scene<'_>) -> Result<String, String> {
        self.0.render(scene.context())
    }
}

impl Deref for Template {
    type Target = TextTemplate;

    fn deref(&self) -> &TextTemplate {
        &self.0
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
