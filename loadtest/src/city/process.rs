//! One server process of the city: started, killed without warning, started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::process::{Child, Command};

/// A process with the command that starts it again.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// The network namespace it runs in; none: where this program runs.
    namespace: Option<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts `program` from the folder of this executable; its output goes to `<logs>/<name>.log`.
    pub fn start(
        name: &str,
        program: &str,
        arguments: Vec<String>,
        logs: &Path,
        namespace: Option<&str>,
    ) -> Result<Self> {
        let mut process = Self {
            name: name.to_owned(),
            program: beside_this_executable(program)?,
            arguments,
            namespace: namespace.map(str::to_owned),
            log: logs.join(format!("{name}.log")),
            child: None,
        };
        process.start_again()?;
        Ok(process)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Of the running process.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Starts it with the command of its first start.
    pub fn start_again(&mut self) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = match &self.namespace {
            None => Command::new(&self.program),
            // `ip` becomes the program: a kill reaches the program itself.
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace]).arg(&self.program);
                command
            }
        };
        let child = command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// SIGKILL: no time to say goodbye.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.with_context(|| format!("cannot kill {}", self.name))?;
        }
        Ok(())
    }

    /// Asks it to stop and waits; a process that does not stop in time is killed and reported.
    pub async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id() {
            // `kill` is a program of every Debian system; sending a signal ourselves would need unsafe code.
            Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        }
        match tokio::time::timeout(Duration::from_secs(10), child.wait()).await {
            Ok(status) => {
                let status = status?;
                ensure!(status.success(), "{} ended with {status}; see {}", self.name, self.log.display());
                Ok(())
            }
            Err(_) => {
                child.kill().await?;
                bail!("{} did not stop within 10 s and was killed; see {}", self.name, self.log.display())
            }
        }
    }

    /// Errors if the process has ended by itself, with the end of its log.
    pub fn check_running(&mut self) -> Result<()> {
        let Some(child) = self.child.as_mut() else { bail!("{} is not running", self.name) };
        if let Some(status) = child.try_wait()? {
            bail!("{} ended by itself ({status}); the end of its log:\n{}", self.name, self.log_tail());
        }
        Ok(())
    }

    fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

/// The servers are built into one folder with this program, or one above it when a test runs.
pub(super) fn beside_this_executable(program: &str) -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folders = this.ancestors().skip(1).take(2);
    folders
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
        .with_context(|| format!("{program} is not built: run `cargo build --workspace --bins`, or `cargo xtask demo`"))
}
