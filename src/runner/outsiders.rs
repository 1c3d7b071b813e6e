//! Whether a probe may ask whom it asks beside the model.

use super::plan::Entry;
use crate::suite::{Diagnostic, EndpointForm, EndpointSpec, ProbeTable, nearest};
use crate::workspace::Workspace;

/// What is wrong with whom an enabled probe asks, if anything is.
pub fn check(entry: &Entry, table: &ProbeTable, endpoints: &[EndpointSpec], workspace: &Workspace) -> Option<Diagnostic> {
    let asked = entry.probe.outsiders();
    let wrong = |message: String| Diagnostic::new(table.name.span(), message).with_label("in this probe");
    if !entry.enabled {
        return None;
    }
    // Who may have models asked may not have this machine run programs, or send what it likes to whom it likes.
    if workspace.is_fenced() && (asked.programs || !asked.endpoints.is_empty()) {
        let what = if asked.programs { "runs programs" } else { "asks endpoints" };
        return Some(
            wrong(format!("it {what}, which a daemon does for nobody")).with_hint("run the suite in process, without --server"),
        );
    }
    for asked in &asked.endpoints {
        let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.name.get_ref() == asked.name) else {
            let known: Vec<&str> = endpoints.iter().map(|endpoint| endpoint.name.get_ref().as_str()).collect();
            let hint = match nearest(asked.name, known.iter().copied().chain(["view", "base"])) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "write `[[endpoint]]`, and under it its `name`, `kind`, `url` and `model`".to_owned(),
            };
            return Some(wrong(format!("the suite has no endpoint `{}`", asked.name)).with_hint(hint));
        };
        if asked.by_messages && endpoint.form == EndpointForm::Completions {
            let message = format!("it sends messages to the endpoint `{}`, which knows completions of a text only", asked.name);
            return Some(
                wrong(message).with_hint("`form = \"chat\"` for the endpoint, or `prompt` without `system` for the stage"),
            );
        }
    }
    None
}
