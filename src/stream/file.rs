//! Rows of a data file, one at a time: a file of a million lines is never held whole.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::markdown;
use crate::workspace::Workspace;

/// Largest document that is read whole, in bytes.
const LARGEST_DOCUMENT: u64 = 64 << 20;

/// Longest line that is read, in bytes: a file without line ends must not fill the memory.
const LONGEST_LINE: usize = 16 << 20;

/// Stands alone on a line between two texts.
const SEPARATOR: &str = "***";

/// A row that can't be read, or a file that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("can't read {path}: {source}", path = .path.display())]
    Open { path: PathBuf, source: std::io::Error },
    #[error("{path}:{line}: {message}", path = .path.display())]
    Row { path: PathBuf, line: usize, message: String },
    #[error("{path}: {message}", path = .path.display())]
    Format { path: PathBuf, message: String },
}

/// One row with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct FileRow {
    /// Counted from 1.
    pub line: usize,
    pub value: Value,
}

/// What the lines of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// A JSON value each.
    Jsonl,
    /// Plain text each.
    Text,
    /// Together texts of several lines, with a line of [`SEPARATOR`] between two.
    Pieces,
    /// Together a document, of which the rows are the sections.
    Markdown,
}

/// The rows of a file. Blank lines are passed over.
pub struct FileRows {
    path: PathBuf,
    format: Format,
    reader: BufReader<File>,
    /// Of a document, the sections to come.
    sections: Option<std::vec::IntoIter<FileRow>>,
    line: usize,
    left: usize,
    ended: bool,
}

impl FileRows {
    /// Opens a file of JSON lines (`.jsonl`, `.ndjson`), of text lines (`.txt`), or a document of sections (`.md`, `.markdown`), and
    /// gives its first `limit` rows.
    pub fn open(workspace: &Workspace, path: &Path, limit: Option<usize>) -> Result<Self, FileError> {
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson") => Format::Jsonl,
            Some("txt") => Format::Text,
            Some("md" | "markdown") => Format::Markdown,
            _ => {
                let message = "what its lines are can't be told by its name\nhint: `.jsonl` (a JSON value a line), `.txt` (a text a line) or `.md` (a section a heading)".to_owned();
                return Err(FileError::Format { path: path.to_owned(), message });
            }
        };
        let open = |source| FileError::Open { path: path.to_owned(), source };
        let file = workspace.open(path).map_err(open)?;
        if file.metadata().map_err(open)?.is_dir() {
            return Err(FileError::Format { path: path.to_owned(), message: "it is a folder".to_owned() });
        }
        Ok(Self {
            path: path.to_owned(),
            format,
            reader: BufReader::new(file),
            sections: None,
            line: 0,
            left: limit.unwrap_or(usize::MAX),
            ended: false,
        })
    }

    /// As [`Self::open`], but that a text file's rows are the texts between its lines of `***`, each with its line ends.
    pub fn open_pieces(workspace: &Workspace, path: &Path, limit: Option<usize>) -> Result<Self, FileError> {
        let rows = Self::open(workspace, path, limit)?;
        Ok(if rows.format == Format::Text { Self { format: Format::Pieces, ..rows } } else { rows })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The error of a row's content, at its place.
    pub fn error(&self, line: usize, message: impl Into<String>) -> FileError {
        FileError::Row { path: self.path.clone(), line, message: message.into() }
    }

    fn read_line(&mut self) -> Result<Option<String>, FileError> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(LONGEST_LINE as u64 + 1).read_until(b'\n', &mut bytes);
        let read = read.map_err(|source| FileError::Open { path: self.path.clone(), source })?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if bytes.len() > LONGEST_LINE {
            return Err(self.error(self.line, format!("the line is longer than {LONGEST_LINE} bytes")));
        }
        let text = String::from_utf8(bytes)
            .map_err(|e| self.error(self.line, format!("not UTF-8 at byte {} of the line", e.utf8_error().valid_up_to())))?;
        let text = if self.line == 1 { text.strip_prefix('\u{feff}').unwrap_or(&text) } else { &text };
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// A document's next section; it is read whole before the first.
    fn next_section(&mut self) -> Result<Option<FileRow>, FileError> {
        if self.sections.is_none() {
            let mut bytes = Vec::new();
            let read = (&mut self.reader).take(LARGEST_DOCUMENT + 1).read_to_end(&mut bytes);
            read.map_err(|source| FileError::Open { path: self.path.clone(), source })?;
            if bytes.len() as u64 > LARGEST_DOCUMENT {
                return Err(FileError::Format { path: self.path.clone(), message: "a document may have 64 MiB".to_owned() });
            }
            let text = String::from_utf8(bytes).map_err(|e| {
                let line = e.as_bytes()[..e.utf8_error().valid_up_to()].split(|&byte| byte == b'\n').count();
                self.error(line, "not UTF-8")
            })?;
            self.sections = Some(markdown::sections(text.strip_prefix('\u{feff}').unwrap_or(&text)).into_iter());
        }
        Ok(self.sections.as_mut().and_then(Iterator::next))
    }

    /// The next text that says something; its line is its first that does.
    fn next_piece(&mut self) -> Result<Option<FileRow>, FileError> {
        let (mut piece, mut first) = (String::new(), 0);
        while let Some(text) = self.read_line()? {
            let ends = text.trim() == SEPARATOR;
            if ends && first > 0 {
                break;
            }
            if first == 0 && (ends || text.trim().is_empty()) {
                continue;
            }
            first = if first == 0 { self.line } else { first };
            piece.push_str(&text);
            piece.push('\n');
            if piece.len() > LONGEST_LINE {
                return Err(self.error(first, format!("the text is longer than {LONGEST_LINE} bytes")));
            }
        }
        Ok((first > 0).then(|| FileRow { line: first, value: Value::String(piece.trim_end().to_owned()) }))
    }

    fn next_row(&mut self) -> Result<Option<FileRow>, FileError> {
        match self.format {
            Format::Markdown => return self.next_section(),
            Format::Pieces => return self.next_piece(),
            Format::Jsonl | Format::Text => {}
        }
        while let Some(text) = self.read_line()? {
            if text.trim().is_empty() {
                continue;
            }
            let value = match self.format {
                Format::Text | Format::Pieces | Format::Markdown => Value::String(text),
                Format::Jsonl => {
                    serde_json::from_str(&text).map_err(|e| self.error(self.line, format!("not JSON: {}", in_one_line(&e))))?
                }
            };
            return Ok(Some(FileRow { line: self.line, value }));
        }
        Ok(None)
    }
}

/// What is wrong with one line of JSON: a text of one line has no line numbers.
pub fn in_one_line(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let cause = message.strip_suffix(&format!(" at line {} column {}", error.line(), error.column()));
    match cause {
        Some(cause) if cause.contains("surrogate") || cause.contains("hex escape") => {
            format!("half of a surrogate pair stands for no character, at column {}", error.column())
        }
        Some(cause) if error.column() > 0 => format!("{cause} at column {}", error.column()),
        Some(cause) => cause.to_owned(),
        None => message,
    }
}

impl Iterator for FileRows {
    type Item = Result<FileRow, FileError>;

    /// After an error there are no more rows: what a broken line hides can't be told.
    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.left == 0 {
            return None;
        }
        self.left -= 1;
        let row = self.next_row().transpose();
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use std::sync::LazyLock;

    use super::*;

    static HERE: LazyLock<Workspace> = LazyLock::new(Workspace::default);

    fn file(ending: &str, bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::Builder::new().suffix(ending).tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn blank_lines_carriage_returns_and_a_byte_order_mark_are_no_content() {
        let file = file(".txt", "\u{feff}one\r\n\n  \ntwo".as_bytes());
        let rows: Vec<FileRow> = FileRows::open(&HERE, file.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [FileRow { line: 1, value: "one".into() }, FileRow { line: 4, value: "two".into() }]);
    }

    #[test]
    fn a_broken_row_names_its_line_and_ends_the_file() {
        let file = file(".jsonl", b"{\"a\":1}\n{\"a\":\n{\"a\":3}\n");
        let rows: Vec<_> = FileRows::open(&HERE, file.path(), None).unwrap().collect();
        assert_eq!(rows.len(), 2);
        let message = rows[1].as_ref().unwrap_err().to_string();
        assert!(message.ends_with(":2: not JSON: EOF while parsing a value at column 5"), "{message}");
    }

    #[test]
    fn a_documents_rows_are_its_sections() {
        let document = file(".md", "\u{feff}# One\nFirst.\n# Two\nSecond.\n".as_bytes());
        let rows: Vec<FileRow> = FileRows::open(&HERE, document.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows.iter().map(|row| row.line).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(rows[1].value, serde_json::json!({"name": "Two", "text": "Second."}));
        assert_eq!(FileRows::open(&HERE, document.path(), Some(1)).unwrap().count(), 1);
        let broken = file(".md", b"# One\n\xff\n");
        let message = FileRows::open(&HERE, broken.path(), None).unwrap().last().unwrap().unwrap_err().to_string();
        assert!(message.ends_with(".md:2: not UTF-8"), "{message}");
    }

    #[test]
    fn pieces_lie_between_lines_of_stars() {
        let prose = file(".txt", b"***\n\none\n\nstill one\n***\n \n ***\r\ntwo\n");
        let rows: Vec<FileRow> = FileRows::open_pieces(&HERE, prose.path(), None).unwrap().map(Result::unwrap).collect();
        assert_eq!(rows, [FileRow { line: 3, value: "one\n\nstill one".into() }, FileRow { line: 9, value: "two".into() }]);
        assert_eq!(FileRows::open_pieces(&HERE, prose.path(), Some(1)).unwrap().count(), 1);
        let json = file(".jsonl", b"\"one\"\n\"two\"\n");
        assert_eq!(FileRows::open_pieces(&HERE, json.path(), None).unwrap().count(), 2);
        assert_eq!(FileRows::open_pieces(&HERE, file(".txt", b"\n***\n").path(), None).unwrap().count(), 0);
    }

    #[test]
    fn a_limit_counts_rows() {
        let file = file(".txt", b"a\n\nb\nc\n");
        assert_eq!(FileRows::open(&HERE, file.path(), Some(2)).unwrap().count(), 2);
    }

    #[test]
    fn bytes_that_are_not_text_are_refused() {
        let file = file(".txt", b"a\n\xff\n");
        let message = FileRows::open(&HERE, file.path(), None).unwrap().last().unwrap().unwrap_err().to_string();
        assert!(message.contains(":2: not UTF-8"), "{message}");
    }
}
