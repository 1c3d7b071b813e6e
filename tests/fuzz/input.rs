//! What the targets share: a folder that holds the fuzzer's bytes as a file, and a conversation.

use std::fs;
use std::path::PathBuf;

use serde_json::json;
use sway::request::Conversation;
use tempfile::TempDir;

thread_local! {
    static DIR: TempDir = tempfile::tempdir().expect("a temporary folder");
}

/// Writes the bytes to a file of this name, and gives its path.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    DIR.with(|dir| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("writing the input");
        path
    })
}

/// Has every kind of message that templates look for.
pub fn conversation() -> Conversation {
    let call = json!({"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": {"a": 1.5, "b": ["x"]}}});
    let json = json!({
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": " u\n"},
            {"role": "assistant", "content": "<think>\nt\n</think>\n\na", "tool_calls": [call]},
            {"role": "tool", "content": "r", "tool_call_id": "abcdefghi"},
            {"role": "user", "content": [{"type": "text", "text": "p"}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "chat_template_kwargs": {"enable_thinking": false},
    });
    serde_json::from_value(json).expect("a conversation")
}
