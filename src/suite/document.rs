use std::{collections::HashMap, ops::Range};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use toml::Spanned;

use super::{
    Diagnostic, Diagnostics, EndpointSpec, ModelSpec, ProbeTable, SectionTable, Source, SourceSpec, Suite, VERSION,
    bounds::checked,
    nearest,
    syntax::Syntax,
    table::{Reading, Table},
    value::{Entry, Node, Value},
};

/// The tables of a suite.
const SECTIONS: [&str; 8] = ["model", "defaults", "null", "gate", "endpoint", "source", "section", "probe"];

/// The tables without which there is nothing to do.
const NEEDED: [(&str, &str, &str); 2] = [
    ("model", "the suite has no `[model]`", "write `[model]`, and under it `base`: a directory, or a hub id"),
    ("probe", "the suite has no `[[probe]]`", "write `[[probe]]`, and under it its `name`, its `kind` and the kind's keys"),
];

/// Reads a suite, and finds every mistake in it that shows without knowing the kinds.
///
/// What was wrong is left out of the suite, or has its default there.
#[must_use]
pub fn parse(source: &Source) -> (Suite, Diagnostics) {
    let Syntax { root, wrong, garbled } = Syntax::read(source.text());
    let (sections, head): (Vec<Entry>, Vec<Entry>) = root.into_iter().partition(|entry| SECTIONS.contains(&entry.key.as_str()));
    let mut document =
        Document { starts: starts(&sections), garbled: garbled.clone(), diagnostics: Diagnostics::of_syntax(wrong, garbled) };

    let mut suite = Suite { version: VERSION, ..Suite::default() };
    // A section that is not there may also be unreadable, or only have its header misspelt.
    let meant = |key: &str| sections.iter().chain(&head).any(|entry| entry.key == key || nearest(&entry.key, [key]).is_some());
    let lacking = NEEDED.map(|(key, message, hint)| (!meant(key)).then(|| Diagnostic::new(0..0, message).with_hint(hint)));
    document.head(head);
    if document.garbled.is_empty() {
        document.diagnostics.extend(lacking.into_iter().flatten());
    }
    for Entry { key, key_span, node } in sections {
        match key.as_str() {
            "model" => suite.model = document.model(node),
            "defaults" => suite.defaults = document.section(node, "[defaults]"),
            "null" => suite.null = document.section(node, "[null]"),
            "gate" => suite.gate = document.section(node, "[gate]"),
            "endpoint" => suite.endpoints = document.endpoints(source, node),
            "source" => suite.sources = document.sources(source, node),
            "section" => suite.sections = document.document(node),
            _ => suite.probes = document.probes(source, key_span, node),
        }
    }
    (suite, document.diagnostics)
}

/// The keys before the first table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    #[serde(rename = "version", deserialize_with = "version")]
    _version: u64,
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let rule = format!("this sway reads version {VERSION}\nhint: write `version = {VERSION}`");
    checked(deserializer, |&version| version == VERSION, &rule)
}

struct Document {
    /// Where each table begins; it goes on to the next.
    starts: Vec<usize>,
    garbled: Vec<Range<usize>>,
    diagnostics: Diagnostics,
}

impl Document {
    fn head(&mut self, entries: Vec<Entry>) {
        let table = self.table(0..0, entries);
        let Reading { mut wrong, .. } = table.read::<Head>(&SECTIONS);
        for diagnostic in &mut wrong {
            if diagnostic.message == "missing key `version`" {
                diagnostic.hint = Some(format!("begin the suite with `version = {VERSION}`"));
            }
        }
        self.diagnostics.extend(wrong);
    }

    fn model(&mut self, node: Node) -> Option<ModelSpec> {
        let table = self.open(node, "[model]")?;
        let (model, wrong) = ModelSpec::read(&table);
        self.diagnostics.extend(wrong);
        model
    }

    fn section<T: DeserializeOwned + Default>(&mut self, node: Node, header: &str) -> T {
        let Some(table) = self.open(node, header) else { return T::default() };
        let Reading { value, wrong, .. } = table.read(&[]);
        self.diagnostics.extend(wrong);
        value.unwrap_or_default()
    }

    fn probes(&mut self, source: &Source, key_span: Range<usize>, node: Node) -> Vec<ProbeTable> {
        let nodes = self.tables(node, "[[probe]]", "a suite has several probes");
        if nodes.is_empty() {
            self.diagnostics.push(Diagnostic::new(key_span, "a suite needs at least one probe"));
        }

        let mut probes: Vec<ProbeTable> = Vec::with_capacity(nodes.len());
        let mut named: HashMap<String, usize> = HashMap::new();
        for node in nodes {
            let Some(table) = self.open(node, "[[probe]]") else { continue };
            let (probe, wrong) = ProbeTable::read(table);
            self.diagnostics.extend(wrong);
            let Some(probe) = probe else { continue };
            self.check_name(source, &mut named, &probe.name, "probe");
            probes.push(probe);
        }
        probes
    }

    fn endpoints(&mut self, source: &Source, node: Node) -> Vec<EndpointSpec> {
        self.named_tables(source, node, "endpoint", EndpointSpec::read, |endpoint| &endpoint.name)
    }

    fn sources(&mut self, source: &Source, node: Node) -> Vec<SourceSpec> {
        self.named_tables(source, node, "source", SourceSpec::read, |spec| &spec.name)
    }

    /// Tables of which a suite may have several, each of another name.
    fn named_tables<T>(
        &mut self,
        source: &Source,
        node: Node,
        what: &str,
        read: impl Fn(&Table) -> (Option<T>, Vec<Diagnostic>),
        name: impl Fn(&T) -> &Spanned<String>,
    ) -> Vec<T> {
        let header = format!("[[{what}]]");
        let mut specs = Vec::new();
        let mut named: HashMap<String, usize> = HashMap::new();
        for node in self.tables(node, &header, &format!("a suite may have several {what}s")) {
            let Some(table) = self.open(node, &header) else { continue };
            let (spec, wrong) = read(&table);
            self.diagnostics.extend(wrong);
            let Some(spec) = spec else { continue };
            self.check_name(source, &mut named, name(&spec), what);
            specs.push(spec);
        }
        specs
    }

    /// Refuses a name that another thing of its kind has.
    fn check_name(&mut self, source: &Source, named: &mut HashMap<String, usize>, name: &Spanned<String>, what: &str) {
        let (name, span) = (name.get_ref(), name.span());
        if let Some(&first) = named.get(name) {
            let wrong = Diagnostic::new(span, format!("another {what} has the name `{name}`"))
                .with_label(format!("first on line {}", source.line(first)));
            self.diagnostics.push(wrong);
        } else if !name.is_empty() {
            named.insert(name.clone(), span.start);
        }
    }

    /// The sections of the training document.
    fn document(&mut self, node: Node) -> Vec<SectionTable> {
        let mut sections = Vec::new();
        for node in self.tables(node, "[[section]]", "a document has several sections") {
            let Some(table) = self.open(node, "[[section]]") else { continue };
            let (section, wrong) = SectionTable::read(table);
            self.diagnostics.extend(wrong);
            sections.push(section);
        }
        sections
    }

    /// The tables of an array with this header. `[header]`, with one bracket, is told to be `wrong`, and what is in it is checked all
    /// the same.
    fn tables(&mut self, node: Node, header: &str, wrong: &str) -> Vec<Node> {
        match node.value {
            Value::Array(nodes) => nodes,
            Value::Table(_) => {
                self.diagnostics.push(Diagnostic::new(node.span.clone(), wrong).with_hint(format!("write `{header}`")));
                vec![node]
            }
            _ => self.open(node, header).map(|_| Vec::new()).unwrap_or_default(),
        }
    }

    /// The table that must stand under `header`.
    fn open(&mut self, node: Node, header: &str) -> Option<Table> {
        if let Value::Table(entries) = node.value {
            return Some(self.table(node.span, entries));
        }
        let found = node.value.in_words();
        let wrong = Diagnostic::new(node.span, format!("expected a table, found {found}"));
        self.diagnostics.push(wrong.with_hint(format!("write `{header}`")));
        None
    }

    fn table(&self, span: Range<usize>, entries: Vec<Entry>) -> Table {
        let end = self.starts.iter().copied().find(|&start| start > span.start).unwrap_or(usize::MAX);
        let garbled = self.garbled.iter().any(|bad| span.start <= bad.end && bad.start < end);
        Table { span, entries, garbled }
    }
}

/// Where each section, and each probe, begins; in order.
fn starts(sections: &[Entry]) -> Vec<usize> {
    let mut starts = Vec::new();
    for Entry { node, .. } in sections {
        starts.push(node.span.start);
        if let Value::Array(nodes) = &node.value {
            starts.extend(nodes.iter().map(|node| node.span.start));
        }
    }
    starts.sort_unstable();
    starts
}
