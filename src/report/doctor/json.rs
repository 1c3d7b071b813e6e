//! The checkup as one JSON document.

use crate::record::Checkup;

/// # Errors
/// None in practice: a checkup's keys are strings and its values plain.
pub fn render(checkup: &Checkup) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(checkup)? + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::{Check, Status};

    #[test]
    fn a_document_names_its_schema_and_the_worst_status() {
        let checkup = Checkup::of(vec![
            Check::ok("disk", "9 GB free").with("free_bytes", 9),
            Check::ok("hub", "no answer").but(Status::Warn, "check the network").with("reachable", false),
        ]);
        let read: Value = serde_json::from_str(&render(&checkup).unwrap()).unwrap();
        let wanted = json!({
            "schema_version": 1,
            "status": "warn",
            "checks": [
                {"name": "disk", "status": "ok", "figure": "9 GB free", "hints": [], "values": {"free_bytes": 9}},
                {"name": "hub", "status": "warn", "figure": "no answer", "hints": ["check the network"], "values": {"reachable": false}},
            ],
        });
        assert_eq!(read, wanted);
    }
}
