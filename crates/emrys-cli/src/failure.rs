//! Why a command failed, and its exit code.

use std::error::Error as _;
use std::process::ExitCode;

use emrys_etl::Error;
use serde_json::json;

use crate::console;

pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Arguments that are wrong together, or for these files.
    Usage(String),
    /// What the library said.
    Run(Error),
    /// Stdout cannot be written to.
    Stdout(std::io::Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Run(error)
    }
}

impl From<emrys_schema::Error> for Failure {
    fn from(error: emrys_schema::Error) -> Failure {
        Failure::Run(error.into())
    }
}

impl Failure {
    /// Tells the error and gives the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let code = self.code();
        // A reader that has seen enough, such as `head`, is no failure.
        if let Failure::Stdout(error) = self
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            return ExitCode::SUCCESS;
        }
        let message = self.message();
        console::tell(&format!("error: {message}"));
        if json {
            let document = json!({ "error": message, "exit_code": code });
            // The message is on stderr already.
            let _ = console::print(&format!("{document}\n"));
        }
        ExitCode::from(code)
    }

    /// The error, and what caused it.
    fn message(&self) -> String {
        let error = match self {
            Failure::Usage(problem) => return problem.clone(),
            Failure::Stdout(error) => return format!("write the results: {error}"),
            Failure::Run(error) => error,
        };
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let told = error.to_string();
            // Errors that show their cause themselves are not told twice.
            if !text.contains(&told) {
                text += &format!("\n  caused by: {told}");
            }
            cause = error.source();
        }
        text
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Stdout(_) => 1,
            Failure::Run(error) => code_of(error),
        }
    }
}

/// The exit codes that `emrys --help` lists.
fn code_of(error: &Error) -> u8 {
    match error {
        Error::InvalidOption { .. }
        | Error::UnknownColumn { .. }
        | Error::UnsupportedType { .. }
        | Error::DuplicateColumn { .. }
        | Error::RowsDiffer { .. }
        | Error::Saved { .. }
        | Error::NewerFormat { .. }
        | Error::Declaration { .. } => 3,
        Error::Schema(error) => match error {
            emrys_schema::Error::Io { .. } => 1,
            _ => 3,
        },
        Error::Several(errors) => errors.iter().map(code_of).max().unwrap_or(3),
        Error::At { source, .. } => code_of(source),
        Error::OutputExists { .. } => 4,
        Error::OutOfMemory { .. } | Error::DiskFull { .. } => 5,
        Error::Panicked { .. } | Error::Internal(_) => 70,
        Error::Interrupted => 130,
        _ => 1,
    }
}
