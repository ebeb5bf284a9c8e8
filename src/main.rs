//! The command line of tollgate: parse, call a crate, print.

mod args;
mod commands;
mod error;
mod quota;
mod shipped;
mod term;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command, KeyCommand, TraceCommand};

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.command {
        Command::Simulate(args) => commands::simulate::run(&args),
        Command::Check(args) => commands::check::run(&args),
        Command::Report(args) => commands::report::run(&args),
        Command::Balancers(args) => commands::balancers::run(&args),
        Command::Limiters(args) => commands::limiters::run(&args),
        Command::Scenarios => commands::scenarios::run(),
        Command::New(args) => commands::new::run(&args),
        Command::Serve(args) => commands::serve::run(&args),
        Command::Key(KeyCommand::New(args)) => commands::key::new(&args),
        Command::Load(args) => commands::load::run(&args),
        Command::Mock(args) => commands::mock::run(&args),
        Command::Trace(TraceCommand::Describe(args)) => commands::trace::describe(&args),
        Command::Trace(TraceCommand::Import(args)) => commands::trace::import(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            term::tell(failure.message());
            ExitCode::from(failure.status())
        }
    }
}
