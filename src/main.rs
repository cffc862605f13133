//! Parses, runs, prints one error chain, and exits with the code that fits.

use std::process::ExitCode;

fn main() -> ExitCode {
    drctl::cli::run()
}
