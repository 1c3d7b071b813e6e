//! A probe's own figures: words and numbers in a list, rows of them in a table, anything deeper as it is.

use std::fmt::{self, Write};

use serde_json::{Map, Value};

use crate::report::escape::Html;
use crate::report::number;

/// Rows of a table and entries of a list beyond this are left to the JSON report.
const SHOWN: usize = 24;

pub(super) fn write(out: &mut String, evidence: &Map<String, Value>) -> fmt::Result {
    let (plain, nested): (Vec<_>, Vec<_>) = evidence.iter().partition(|(_, value)| in_a_line(value).is_some());
    if !plain.is_empty() {
        writeln!(out, r#"<dl class="figures">"#)?;
        for (name, value) in plain {
            let text = in_a_line(value).unwrap_or_default();
            writeln!(out, "<div><dt>{}</dt><dd>{}</dd></div>", Html(name), Html(&text))?;
        }
        writeln!(out, "</dl>")?;
    }
    for (name, value) in nested {
        writeln!(out, "<h4>{}</h4>", Html(name))?;
        match value {
            Value::Array(rows) if rows.iter().all(|row| columns(row).is_some()) => write_table(out, rows)?,
            Value::Object(map) => write(out, map)?,
            other => writeln!(out, "<pre>{}</pre>", Html(&other.to_string()))?,
        }
    }
    Ok(())
}

fn write_table(out: &mut String, rows: &[Value]) -> fmt::Result {
    let mut heads: Vec<&str> = Vec::new();
    for name in rows.iter().take(SHOWN).filter_map(columns).flat_map(Map::keys) {
        if !heads.contains(&name.as_str()) {
            heads.push(name);
        }
    }
    let numeric = |head: &str| rows.iter().filter_map(|row| row.get(head)).all(|value| value.is_number() || value.is_null());
    let class = |head: &str| if numeric(head) { r#" class="n""# } else { "" };
    writeln!(out, r#"<div class="wide"><table><thead><tr>"#)?;
    heads.iter().try_for_each(|head| writeln!(out, r#"<th scope="col"{}>{}</th>"#, class(head), Html(head)))?;
    writeln!(out, "</tr></thead><tbody>")?;
    for row in rows.iter().take(SHOWN) {
        write!(out, "<tr>")?;
        for head in &heads {
            let text = row.get(*head).and_then(in_a_line).unwrap_or_default();
            write!(out, "<td{}>{}</td>", class(head), Html(&text))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table></div>")?;
    match rows.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => writeln!(out, "<p class=\"note\">{} more in the JSON report</p>", number::plural(more as u64, "row")),
    }
}

/// A row of a table: an object whose values each fit a cell.
fn columns(row: &Value) -> Option<&Map<String, Value>> {
    row.as_object().filter(|map| map.values().all(|value| in_a_line(value).is_some()))
}

fn in_a_line(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("–".to_owned()),
        Value::Bool(yes) => Some(if *yes { "yes" } else { "no" }.to_owned()),
        Value::Number(n) => Some(match (n.as_u64(), n.as_f64()) {
            (Some(n), _) => number::count(n),
            (None, Some(x)) => number::typed(x),
            (None, None) => n.to_string(),
        }),
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            let shown: Option<Vec<String>> =
                values.iter().take(SHOWN).map(|value| in_a_line(value).filter(|_| !value.is_array())).collect();
            let more = if values.len() > SHOWN { format!(", … ({} in all)", values.len()) } else { String::new() };
            shown.map(|shown| shown.join(", ") + &more)
        }
        Value::Object(_) => None,
    }
}
