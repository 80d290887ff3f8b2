//! A bank that takes debit orders in one file a day and answers in files of its own, as a program beside the cloud: it
//! reads `out/` of the folder that both share, moves what it has read to `out/sent/`, and writes into `in/`.
//!
//! | token begins with | the bank says |
//! |---|---|
//! | `acc_ok_` | accepted |
//! | `acc_poor_` | returned for want of money (`AM04`) |
//! | `acc_late_` | accepted, and returned by the next answer (`MD06`) |
//! | any other | returned for want of an account (`AC01`) |

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use facegate_cloud_sync::signature::SharedSecret;
use facegate_runtime::shutdown;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Plays the bank that takes debit orders by daily files.
#[derive(Debug, clap::Args)]
pub struct BankOptions {
    /// The folder that it shares with the cloud.
    #[arg(long)]
    folder: PathBuf,
    /// What the files are sealed with, both ways.
    #[arg(long)]
    secret_file: PathBuf,
}

/// Answers until SIGINT or SIGTERM.
pub async fn run(options: BankOptions) -> Result<()> {
    let bank = Bank { folder: options.folder, secret: SharedSecret::read(&options.secret_file)? };
    let stop = shutdown::on_signals()?;
    loop {
        for path in bank.orders()? {
            let answer = bank.answer(&path)?;
            println!("{} is answered by {}", path.display(), answer.display());
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

#[derive(Debug)]
pub struct Bank {
    pub folder: PathBuf,
    pub secret: SharedSecret,
}

impl Bank {
    /// The files that wait to be read.
    pub fn orders(&self) -> Result<Vec<PathBuf>> {
        let folder = self.folder.join("out");
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
        let mut paths: Vec<PathBuf> =
            paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "csv")).collect();
        paths.sort();
        Ok(paths)
    }

    /// Reads a file of orders, writes the answer to it, and moves it away; gives the answer's path.
    pub fn answer(&self, path: &Path) -> Result<PathBuf> {
        let text = fs::read_to_string(path)?;
        let (acquirer, currency, orders) = self.read(&text).with_context(|| path.display().to_string())?;
        let mut lines = self.taken_back()?;
        for [key, token, amount] in &orders {
            let accepted = token.starts_with("acc_ok_") || token.starts_with("acc_late_");
            let code = if token.starts_with("acc_poor_") { "AM04" } else { "AC01" };
            lines.push(if accepted {
                format!("accepted,{key},{amount},")
            } else {
                format!("returned,{key},{amount},{code}")
            });
            if token.starts_with("acc_late_") {
                fs::write(self.memory().join(key), amount)?;
            }
        }
        let answer = self.write(&acquirer, &currency, self.next_number()?, &lines)?;
        let sent = self.folder.join("out/sent");
        fs::create_dir_all(&sent)?;
        fs::rename(path, sent.join(path.file_name().context("a file has a name")?))?;
        Ok(answer)
    }

    /// A sealed answer of this number.
    pub fn write(&self, acquirer: &str, currency: &str, number: u64, lines: &[String]) -> Result<PathBuf> {
        let amounts = lines.iter().filter_map(|line| line.split(',').nth(2)?.parse::<i64>().ok());
        let sum: i64 = amounts.sum();
        let rows: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let body = format!("facegate-debit-answer,1,{acquirer},{number},{currency}\n{rows}");
        let seal = self.secret.seal(body.as_bytes());
        let path = self.folder.join("in").join(format!("answer-{number:06}.csv"));
        fs::write(&path, format!("{body}trailer,{},{sum},{seal}\n", lines.len()))?;
        Ok(path)
    }

    /// Key, token and amount of each order, after checking that the file is whole and sealed.
    fn read(&self, text: &str) -> Result<(String, String, Vec<[String; 3]>)> {
        let cut = text.trim_end_matches('\n').rfind('\n').context("the file has no trailer")? + 1;
        let (body, trailer) = text.split_at(cut);
        let fields: Vec<&str> = trailer.trim_end().split(',').collect();
        ensure!(fields.len() == 4 && fields[0] == "trailer", "the file has no trailer");
        ensure!(self.secret.is_seal(fields[3], body.as_bytes()), "the seal is not that of the file");
        let mut lines = body.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        ensure!(header.len() == 5 && header[..2] == ["facegate-debit", "1"], "this is no facegate-debit of version 1");
        let orders = lines.map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            ensure!(fields.len() == 5 && ["debit", "credit"].contains(&fields[0]), "{line:?} is no order");
            Ok([fields[1], fields[2], fields[3]].map(str::to_owned))
        });
        let orders = orders.collect::<Result<Vec<_>>>()?;
        ensure!(orders.len().to_string() == fields[1], "the trailer counts {} orders", fields[1]);
        Ok((header[2].to_owned(), header[4].to_owned(), orders))
    }

    /// What the bank keeps for itself.
    fn memory(&self) -> PathBuf {
        self.folder.join("bank")
    }

    fn taken_back(&self) -> Result<Vec<String>> {
        fs::create_dir_all(self.memory())?;
        let mut lines = Vec::new();
        for entry in fs::read_dir(self.memory())? {
            let entry = entry?;
            if entry.file_name() == "number" {
                continue;
            }
            let (key, amount) = (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?);
            lines.push(format!("returned,{key},{amount},MD06"));
            fs::remove_file(entry.path())?;
        }
        lines.sort();
        Ok(lines)
    }

    fn next_number(&self) -> Result<u64> {
        let path = self.memory().join("number");
        let last: u64 = fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        fs::write(path, (last + 1).to_string())?;
        Ok(last + 1)
    }
}
