//! The `jam` command, with every backend of jam that is switched on.

use std::process::ExitCode;

fn main() -> ExitCode {
    jam::cli::main(jam::registry())
}
