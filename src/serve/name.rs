//! What a client asks for, and what that turns out to be.

use std::fmt;
use std::sync::Arc;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn new(name: impl Into<Arc<str>>) -> Self {
                Self(name.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// What is known of a model before anything of it is read: where it lies, what the files look like from outside, dtype,
    /// device. Several spellings may be one model, and a spelling may become another model when its files are written anew.
    Spelling
}

name! {
    /// What a model is: a digest of its content, dtype and device. Equal keys, equal answers.
    Key
}
