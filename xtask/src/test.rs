//! `cargo xtask test`: sets up what the tests need, runs them all and counts.

mod count;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::measure::peers;
use crate::phases::Phases;
use crate::postgres::{ADDRESS, Postgres};
use crate::setup::needs::{CHINESE_FONT, CHROMIUM, GSTREAMER, POSTGRESQL, SOFTHSM, STRACE, VENV};
use crate::test::count::Count;
use crate::workspace::{WITH_GSTREAMER, WITH_SIMULATION, Workspace};
use crate::{command, models, pages, setup};

pub const HELP: &str = "\
Examples:
  cargo xtask test                                every test of the workspace
  cargo xtask test -p facegate-domain             one crate's
  cargo xtask test -p facegate-domain fares       those with `fares` in their name
  cargo xtask test -- --nocapture                 what stands after -- goes to the test runner

Order: setup, build, models, a PostgreSQL of its own (unless $FACEGATE_POSTGRES names one), localstripe in a virtual environment, what drives a browser (pages-tests), tests,
and, if nothing is named, the cameras behind GStreamer with a gate-agent that has that feature. The pages' pictures are in target/screenshots. Where real photographs lie in ../shared/data, the tests find them by $FACEGATE_DATA.
The runner's own lines stay as they are; the last line of standard output is the sum over all of them.";

const NEXT: &str = "\
The failures are listed above by crate; `cargo xtask test -p CRATE NAME` runs one of them again. \
If none is listed, a test program crashed or did not compile.";

/// Setup, build, models, tests; then the times and one line with the sum.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let mut phases = Phases::new();
    let result = run_inside(workspace, args, &mut phases);
    phases.print();
    if let Ok(outcome) = &result {
        println!("{}", outcome.count);
    }
    result?.finished
}

/// What came of the tests: the sum, and an error unless all went well.
pub struct Outcome {
    pub count: Count,
    pub finished: Result<()>,
}

/// The same without the last words. Errors only if the tests could not be run at all.
pub fn run_inside(workspace: &Workspace, args: &[String], phases: &mut Phases) -> Result<Outcome> {
    let whole = whole_unless_named(args);
    phases.run("setup", || {
        setup::run()?;
        setup::ensure([&POSTGRESQL, &SOFTHSM, &STRACE, &VENV, &CHROMIUM, &CHINESE_FONT])
    })?;
    phases.run("build", || {
        let mut build = workspace.cargo();
        // The tests start servers of other crates, so every binary is built; `--tests` with them, so that cargo settles
        // on one set of features and `cargo test` finds everything compiled.
        build.args(["build", "--workspace", "--bins"]).args(whole.map(|_| "--tests")).args(WITH_SIMULATION);
        command::run(&mut build, "The compiler's message above says where.")
    })?;
    phases.run("models", || models::fetch_for_tests(workspace))?;
    let postgres = phases.run("postgresql", postgres_unless_named)?;
    // A server that speaks as Stripe does, for the adapter's tests.
    let python = phases.run("peers", || peers::python(workspace, "loadtest"))?;
    phases.run("browser", || pages::packages(workspace))?;
    let mut count = Count::default();
    let finished = phases.run("tests", || {
        let mut tests = workspace.cargo();
        tests.args(["test", "--no-fail-fast"]);
        if let Some(whole) = whole {
            tests.arg(whole).args(WITH_SIMULATION);
        }
        tests.args(args);
        tests.envs(postgres.as_ref().map(|postgres| (ADDRESS, postgres.url())));
        tests.env(peers::PYTHON, &python);
        stream(&mut tests, &mut std::io::stdout().lock(), &mut count)
    });
    if whole.is_none() || !args.is_empty() {
        return Ok(Outcome { count, finished });
    }
    let cameras = phases.run("gstreamer", || gstreamer(workspace, &mut count));
    Ok(Outcome { count, finished: finished.and(cameras) })
}

/// The cameras behind GStreamer, after the others: a gate-agent with the feature is a second one to compile, and the
/// servers that the other tests start are to be those without it.
fn gstreamer(workspace: &Workspace, count: &mut Count) -> Result<()> {
    setup::ensure([&GSTREAMER])?;
    let mut tests = workspace.cargo();
    tests.args(["test", "--workspace"]).args(WITH_SIMULATION).args(WITH_GSTREAMER).args(["--test", "gstreamer"]);
    stream(&mut tests, &mut std::io::stdout().lock(), count)
}

/// Ends with the tests, however they end.
fn postgres_unless_named() -> Result<Option<Postgres>> {
    if std::env::var_os(ADDRESS).is_some() { Ok(None) } else { Postgres::start().map(Some) }
}

/// All crates, unless the caller chose some.
fn whole_unless_named(args: &[String]) -> Option<&'static str> {
    let ours = args.iter().take_while(|arg| *arg != "--");
    let chosen = ours
        .clone()
        .any(|arg| arg.starts_with("-p") || arg.starts_with("--package") || arg.starts_with("--manifest-path"));
    (!chosen).then_some("--workspace")
}

/// Passes the runner's lines through as they come, and counts.
fn stream(tests: &mut Command, out: &mut impl Write, count: &mut Count) -> Result<()> {
    let mut child = tests.stdout(Stdio::piped()).spawn().context("cargo could not be started")?;
    let lines = child.stdout.take().context("cargo's standard output was asked for as a pipe")?;
    for line in BufReader::new(lines).split(b'\n') {
        let line = line.context("reading what cargo test prints")?;
        out.write_all(&line).and_then(|()| out.write_all(b"\n")).context("printing what cargo test prints")?;
        count.take(&String::from_utf8_lossy(&line));
    }
    let status = child.wait().context("waiting for cargo test")?;
    command::check(tests, status, NEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Vec<String> {
        args.iter().map(|&arg| arg.to_owned()).collect()
    }

    #[test]
    fn the_whole_workspace_is_tested_unless_crates_are_named() {
        assert_eq!(whole_unless_named(&[]), Some("--workspace"));
        assert_eq!(whole_unless_named(&given(&["fares"])), Some("--workspace"));
        assert_eq!(whole_unless_named(&given(&["-p", "facegate-domain"])), None);
        assert_eq!(whole_unless_named(&given(&["--", "-p"])), Some("--workspace"));
    }

    #[test]
    fn a_runner_that_fails_is_counted_and_is_an_error() {
        let script = "echo 'test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out'; exit 101";
        let (mut shown, mut count) = (Vec::new(), Count::default());
        let error = stream(Command::new("sh").args(["-c", script]), &mut shown, &mut count).unwrap_err();
        assert!(shown.starts_with(b"test result: FAILED. 3 passed"), "the runner's line stays as it was");
        assert_eq!(count.to_string(), "3 passed, 2 failed");
        assert!(error.to_string().contains("101"), "{error}");
    }
}
