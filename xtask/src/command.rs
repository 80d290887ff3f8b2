//! Running other programs so that a failure says what was run and what to do next.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use anyhow::{Context, Result, bail};

/// Runs to the end. Errors: it could not start, or did not succeed; both end with `next`, the advice.
pub fn run(command: &mut Command, next: &str) -> Result<()> {
    let status = command.status().with_context(|| not_started(command, next))?;
    check(command, status, next)
}

/// Runs to the end and returns what it printed to standard output; standard error passes through.
pub fn read(command: &mut Command, next: &str) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| not_started(command, next))?;
    check(command, output.status, next)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Becomes the command, so that Ctrl-C and the exit code are its own. Returns only if it could not start.
pub fn become_it(command: &mut Command, next: &str) -> anyhow::Error {
    anyhow::Error::new(command.exec()).context(not_started(command, next))
}

/// Whether a quick question to the machine is answered with yes: it starts, says nothing and succeeds.
pub fn answers(command: &mut Command) -> bool {
    probe(command).is_some_and(|output| output.status.success())
}

/// What a probe printed, or nothing if there is no such program.
pub fn probe(command: &mut Command) -> Option<Output> {
    command.stdin(Stdio::null()).output().ok()
}

/// Errors unless `status` is success.
pub fn check(command: &Command, status: ExitStatus, next: &str) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status}).\n{next}", describe(command));
    }
    Ok(())
}

fn not_started(command: &Command, next: &str) -> String {
    format!("`{}` could not be started.\n{next}\nReason", describe(command))
}

/// The command as one would type it: of the program its name, not the toolchain's folder.
pub fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = std::iter::once(program.file_name().unwrap_or(program.as_os_str())).chain(command.get_args());
    words.map(|word| quoted(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./=:,^@+".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_next_step() {
        let error = run(Command::new("sh").args(["-c", "exit 7"]), "Try something else.").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("sh -c 'exit 7'") && text.contains("7") && text.contains("Try something else."),
            "{text}"
        );
    }

    #[test]
    fn a_missing_program_is_named_too() {
        let error = run(&mut Command::new("facegate-no-such-program"), "Install it.").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("facegate-no-such-program") && text.contains("Install it."), "{text}");
    }
}
