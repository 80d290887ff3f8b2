//! The folders that the files are exchanged over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use facegate_domain::debit::{AnswerFile, AnswerLine, DebitProblem, trailer};
use facegate_runtime::simulation::blocking;
use sha2::{Digest, Sha256};

use super::BankDebit;
use crate::store::{Chargeback, StoreError};

/// A bank's answer is no larger: some hundred thousand lines.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Files of ours so many days back are looked after, should a folder have been emptied too early.
const DAYS_BACK: i64 = 10;

/// Why files are not exchanged.
#[derive(Debug, thiserror::Error)]
pub enum BankFilesError {
    #[error("{path}: {source}")]
    Folder { path: String, source: io::Error },
    #[error(
        "{path} is not what was written there: our files never change. Put it back from a copy, or remove it, and it is \
         written again as it was"
    )]
    Changed { path: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the day of now cannot be told: {0}")]
    Day(String),
}

impl BankDebit {
    /// Writes what is to be written and takes what has come; gives how many answers were taken.
    pub async fn exchange_files(&self) -> Result<usize, BankFilesError> {
        let root = self.config.folder.clone();
        on_disk(move || {
            ["out", "in", "in/taken"].iter().try_for_each(|folder| {
                let path = root.join(folder);
                fs::create_dir_all(&path).map_err(|source| at(&path, source))
            })
        })
        .await?;
        self.write_files().await?;
        self.take_answers().await
    }

    async fn write_files(&self) -> Result<(), BankFilesError> {
        let (name, today) = (self.name.as_str(), self.config.days.of(self.clock.now()));
        self.store.cut_debit_file(name, today, self.config.currency).await?;
        let from = today.checked_sub(jiff::Span::new().days(DAYS_BACK));
        let from = from.map_err(|error| BankFilesError::Day(error.to_string()))?;
        for file in self.store.debit_files(name, from).await? {
            let seal = self.config.secret.seal(file.body.as_bytes());
            let text = format!("{}{}", file.body, trailer(&file.body, &seal));
            let path = self.config.folder.join("out").join(format!("{name}-{}.csv", file.day));
            // Where it was carried on it is not written again.
            let sent = self.config.folder.join("out/sent").join(format!("{name}-{}.csv", file.day));
            on_disk(move || if sent.exists() { Ok(()) } else { write_once(&path, &text) }).await?;
        }
        Ok(())
    }

    /// In the order of the numbers, as far as they go; what is not taken stays.
    async fn take_answers(&self) -> Result<usize, BankFilesError> {
        let folder = self.config.folder.join("in");
        let mut whole = Vec::new();
        let listed = folder.clone();
        for path in on_disk(move || csv_files(&listed)).await? {
            let bytes = on_disk({
                let path = path.clone();
                move || read(&path)
            });
            match bytes.await?.and_then(|bytes| self.understand(bytes)) {
                Ok((file, digest)) => whole.push((file, digest, path)),
                Err(problem) => self.refused(&path, &problem),
            }
        }
        whole.sort_by_key(|(file, ..)| file.number);
        let mut taken = 0;
        for (file, digest, path) in whole {
            match self.store.take_debit_answer(self.name.as_str(), &file, &digest).await {
                Ok(answered) => {
                    let (accepted, returned) = (answered.accepted, answered.returned);
                    let taken_back = answered.taken_back.len();
                    tracing::info!(number = file.number, accepted, returned, taken_back, "an answer of the bank's");
                    count(self.name.as_str(), if answered.again { "again" } else { "taken" });
                    taken += usize::from(!answered.again);
                    self.wake(&file).await?;
                    self.dispute(file.number, &answered.taken_back).await?;
                    let to = folder.join("taken").join(path.file_name().unwrap_or_default());
                    on_disk(move || fs::rename(&path, &to).map_err(|source| at(&to, source))).await?;
                }
                Err(StoreError::Debit(problem)) => self.refused(&path, &problem),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(taken)
    }

    /// The charges and refunds that it speaks of are looked at now.
    async fn wake(&self, file: &AnswerFile) -> Result<(), BankFilesError> {
        for (charge, _) in file.lines.iter().filter_map(|line| line.key.attempt()) {
            self.store.hurry_charge(charge, self.clock.now()).await?;
        }
        for refund in file.lines.iter().filter_map(|line| line.key.refund()) {
            match self.store.hurry_remedy(refund, self.clock.now()).await {
                Ok(_) | Err(StoreError::UnknownRemedy(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What a rider's bank took back is a dispute of his charge; telling so again is once.
    async fn dispute(&self, number: u64, taken_back: &[AnswerLine]) -> Result<(), BankFilesError> {
        for (line, (charge, _)) in taken_back.iter().filter_map(|line| Some((line, line.key.attempt()?))) {
            let chargeback =
                Chargeback { charge, reference: format!("{}-answer-{number}", self.name), amount: line.amount };
            match self.store.open_dispute(&chargeback, self.clock.now()).await {
                Ok(_) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error.into()),
                // The books stay as they are; a person has to look.
                Err(error) => tracing::error!(key = %line.key, %error, "what the bank took back is no dispute"),
            }
        }
        Ok(())
    }

    fn understand(&self, bytes: Vec<u8>) -> Result<(AnswerFile, String), DebitProblem> {
        let digest = hex::encode(Sha256::digest(&bytes));
        let Ok(text) = String::from_utf8(bytes) else {
            return Err(DebitProblem::Malformed { line: 1, what: "the file is not UTF-8".to_owned() });
        };
        let sealed = |seal: &str, body: &[u8]| self.config.secret.is_seal(seal, body);
        let file = AnswerFile::read(&text, self.name.as_str(), self.config.currency, sealed)?;
        Ok((file, digest))
    }

    fn refused(&self, path: &Path, problem: &DebitProblem) {
        let file = path.display();
        tracing::error!(acquirer = %self.name, %file, %problem, "an answer of the bank's is not taken, and nothing changed");
        count(self.name.as_str(), if matches!(problem, DebitProblem::Early { .. }) { "early" } else { "refused" });
    }
}

/// Where it holds nobody else up.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BankFilesError> + Send + 'static,
) -> Result<T, BankFilesError> {
    blocking(work).await.map_err(|stopped| StoreError::Unavailable(stopped.to_string()))?
}

fn read(path: &Path) -> Result<Result<Vec<u8>, DebitProblem>, BankFilesError> {
    let length = fs::metadata(path).map_err(|source| at(path, source))?.len();
    if length > ANSWER_BYTES_MAX {
        let what = format!("the file has {length} bytes, and no answer has more than {ANSWER_BYTES_MAX}");
        return Ok(Err(DebitProblem::Malformed { line: 1, what }));
    }
    Ok(Ok(fs::read(path).map_err(|source| at(path, source))?))
}

fn count(acquirer: &str, outcome: &'static str) {
    metrics::counter!("facegate_debit_files_total", "acquirer" => acquirer.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// By a rename of what is durable, so that nobody ever sees half a file.
fn write_once(path: &Path, text: &str) -> Result<(), BankFilesError> {
    match fs::read_to_string(path) {
        Ok(before) if before == text => return Ok(()),
        Ok(_) => return Err(BankFilesError::Changed { path: path.display().to_string() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(at(path, source)),
    }
    let half = path.with_extension("part");
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&half)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&half, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| at(path, source))
}

fn csv_files(folder: &Path) -> Result<Vec<PathBuf>, BankFilesError> {
    let entries = fs::read_dir(folder).map_err(|source| at(folder, source))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|source| at(folder, source))?.path();
        if path.is_file() && path.extension().is_some_and(|extension| extension == "csv") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn at(path: &Path, source: io::Error) -> BankFilesError {
    BankFilesError::Folder { path: path.display().to_string(), source }
}
