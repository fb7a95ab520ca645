//! Raw business data in, a served and monitored model out.

mod cli;
mod commands;
mod exit;
mod output;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Mesa's device selection asks a Wayland server and complains where there is none; devices are
    // chosen by Cupola itself.
    // SAFETY: no other thread has started.
    unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    cli::main()
}
