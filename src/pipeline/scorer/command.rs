//! A program that scores.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Scene, Template};
use crate::request::{Op, Program, Request};

/// A program and its arguments. It reads a JSON object on stdin, and writes a number, or an object with `score`, on stdout.
#[derive(Clone, Debug)]
pub struct Command {
    program: Vec<String>,
    /// Given to it beside the case.
    pub target: Option<Template>,
    timeout: Duration,
}

impl Command {
    pub fn new(command: Vec<String>, target: Option<Template>, timeout: Duration) -> Result<Self, String> {
        match command.first() {
            Some(program) if !program.is_empty() => Ok(Self { program: command, target, timeout }),
            _ => Err("`command` is empty\nhint: command = [\"python3\", \"score.py\"]".to_owned()),
        }
    }

    /// It is not told whose output it scores: neither side can be favoured.
    pub fn request(&self, scene: &Scene<'_>, output: &str) -> Result<Request, String> {
        let mut input = json!({ "output": output, "case": scene.case.fields, "config": scene.config, "stages": scene.outputs });
        if let Some(target) = &self.target {
            input["target"] = target.render(scene)?.into();
        }
        let program = Program { command: self.program.clone(), input: input.to_string(), timeout: self.timeout };
        Ok(Request::outside(Op::Run(program)))
    }
}

/// The score that a program wrote.
pub fn read(written: &str) -> Result<f64, String> {
    let wrong = || {
        let shown: String = written.trim().chars().take(120).collect();
        format!("the program wrote no score: {shown:?}\nhint: it writes a number, or {{\"score\": number}}, as JSON on stdout")
    };
    let value: Value = serde_json::from_str(written.trim()).map_err(|_| wrong())?;
    let score = value.as_f64().or_else(|| value.get("score")?.as_f64());
    score.filter(|score| score.is_finite()).ok_or_else(wrong)
}
