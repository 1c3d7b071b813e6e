//! Why an errand brought nothing.

use super::{Fault, ProgramFault};

/// Why an errand brought nothing, or why none can be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutsideError {
    #[error("endpoint `{endpoint}` can't be asked: {why}")]
    Setup { endpoint: String, why: String },
    #[error("no program may run: 0 at once")]
    NoPrograms,
    #[error("starting what talks to endpoints and programs: {why}")]
    Runtime { why: String },
    #[error("there is no endpoint `{endpoint}`")]
    UnknownEndpoint { endpoint: String },
    #[error("endpoint `{endpoint}`{}: {fault}{}", after(*tries), hinted(fault.hint()))]
    Endpoint {
        endpoint: String,
        /// How often the question was sent.
        tries: u32,
        fault: Fault,
    },
    #[error("program `{program}`: {fault}{}", hinted(fault.hint()))]
    Program { program: String, fault: ProgramFault },
    #[error("interrupted")]
    Interrupted,
    #[error("an errand ended without a word: internal fault")]
    Lost,
}

impl OutsideError {
    /// A name for programs to read, which stays as it is.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Setup { .. } => "setup",
            Self::NoPrograms => "no_programs",
            Self::Runtime { .. } => "runtime",
            Self::UnknownEndpoint { .. } => "unknown_endpoint",
            Self::Endpoint { fault, .. } => fault.code(),
            Self::Program { fault, .. } => fault.code(),
            Self::Interrupted => "interrupted",
            Self::Lost => "lost",
        }
    }
}

fn after(tries: u32) -> String {
    if tries > 1 { format!(", after {tries} tries") } else { String::new() }
}

fn hinted(hint: Option<&str>) -> String {
    hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_who_failed_how_often_and_what_may_help() {
        let fault = Fault::Refused { status: 401, message: "who are you?".to_owned() };
        let once = OutsideError::Endpoint { endpoint: "judge".to_owned(), tries: 1, fault };
        assert_eq!(
            once.to_string(),
            "endpoint `judge`: it refuses with status 401: who are you?\nhint: check the endpoint's key"
        );
        let fault = Fault::CutOff { why: "half came".to_owned() };
        let often = OutsideError::Endpoint { endpoint: "judge".to_owned(), tries: 3, fault };
        assert_eq!(often.to_string(), "endpoint `judge`, after 3 tries: no whole answer came: half came");
        assert_eq!(often.code(), "cut_off");
    }
}
