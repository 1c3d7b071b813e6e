//! Panics of the code that the daemon calls, as errors.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `act` gives, or the message of its panic.
///
/// What it had its hands on may be left half done: callers hand over what nobody sees afterwards.
pub fn caught<T>(act: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| message_of(payload.as_ref()))
}

/// What a panic says.
pub fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_in_its_own_words() {
        let told = |act: fn()| caught(act).unwrap_err();
        assert_eq!(told(|| panic!("plain")), "plain");
        assert_eq!(told(|| panic!("with {}", 1)), "with 1");
        assert_eq!(told(|| std::panic::panic_any(7)), "a panic without a message");
        assert_eq!(caught(|| 3), Ok(3));
    }
}
