//! The `fortissimo` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    server::command::main(std::env::args_os())
}
