//! The `sway` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sway::cli::main()
}
