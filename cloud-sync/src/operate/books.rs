//! `facegate-cloud-sync books`: what finance does, from the command line. The page `/books` does the same in a browser.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use facegate_domain::Timestamp;
use facegate_domain::money::Money;
use facegate_domain::reconcile::DayTotals;
use facegate_domain::reserve::{Funding, FundingId, FundingRequest};
use facegate_runtime::clock::SystemClock;
use jiff::civil::Date;

use super::Target;
use crate::books::statement::Matched;
use crate::books::{Closing, Desk, trial};
use crate::cloud::Cloud;
use crate::store::WrittenFile;

pub const HELP: &str = "\
With the embedded store the cloud must not run meanwhile: its page /books does all of this while it runs. With PostgreSQL
both may run at once.";

/// The books: trial balance, settlement files, the match of a day, its close, payments and statements.
#[derive(Debug, Args)]
pub struct Books {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints what every account held at a moment.
    TrialBalance {
        /// Like 2026-11-29T20:30:00Z; now if left out.
        #[arg(long)]
        at: Option<jiff::Timestamp>,
        /// CSV instead of a table, amounts in minor units.
        #[arg(long)]
        csv: bool,
    },
    /// Imports an acquirer's settlement file: wholly, once, or not at all.
    Settlement { file: PathBuf },
    /// Matches a day as it is now, and writes its tables.
    Match {
        /// Like 2026-11-29.
        day: Date,
    },
    /// Closes a day, for good. Refuses while records are missing, files are, or outcomes are unknown.
    Close {
        day: Date,
        /// What there is to say about it; needed to force it.
        #[arg(long)]
        note: Option<String>,
        /// Closes it although something speaks against it. The note says why.
        #[arg(long, requires = "note")]
        force: bool,
        /// Who closes it.
        #[arg(long, default_value = "operator/local")]
        by: String,
    },
    /// Lists the days that are closed.
    Days,
    /// Writes the payment file (pain.001) of a closed day for the bank, and posts it.
    Pay { day: Date },
    /// Sets money aside for charges that were wrong; above `remedies.four_eyes_above_minor` another person approves it.
    FundReserve {
        #[arg(long)]
        amount_minor: i64,
        #[arg(long)]
        reason: String,
        /// Names it: the same name again is the same money.
        #[arg(long)]
        order: String,
        #[arg(long, default_value = BY)]
        by: String,
    },
    /// Approves or rejects what somebody else wants to set aside.
    DecideReserve {
        funding: FundingId,
        #[arg(long)]
        reject: bool,
        #[arg(long, default_value = BY)]
        by: String,
    },
    /// Holds the bank's statement (camt.053) against the books.
    Statement { file: PathBuf },
}

impl Books {
    pub fn run(self) -> Result<()> {
        let config = self.target.load()?;
        tokio::runtime::Runtime::new().context("starting the async runtime")?.block_on(async {
            let store = Cloud::open_store(&config).await?;
            let desk = Desk::new(store, Arc::new(SystemClock::new()), &config);
            match self.what {
                What::TrialBalance { at, csv } => trial_balance(&desk, at, csv).await,
                What::Settlement { file } => settlement(&desk, &file).await,
                What::Match { day } => {
                    let matched = desk.preview(day).await?;
                    print!("{}", totals(day, &matched.totals));
                    println!("{}", written(&desk, day, &matched.files));
                    Ok(())
                }
                What::Close { day, note, force, by } => close(&desk, day, Closing { by, note, force }).await,
                What::Days => days(&desk).await,
                What::Pay { day } => {
                    let (file, payment) = desk.pay(day, BY).await?;
                    println!("{} for {} payees", payment.sum()?, payment.transfers.len());
                    println!("{}", written(&desk, day, &[file]));
                    println!("hand it in once; `books statement` tells when the bank has paid");
                    Ok(())
                }
                What::FundReserve { amount_minor, reason, order, by } => {
                    let amount = Money::from_minor(amount_minor, config.enrolment.currency);
                    let request = FundingRequest { order, amount, reason, by };
                    let (policy, now) = (&config.after.remedies.policy, desk.clock.now());
                    funded(&desk.store.ask_funding(request, policy, now).await?);
                    Ok(())
                }
                What::DecideReserve { funding, reject, by } => {
                    funded(&desk.store.decide_funding(funding, !reject, &by, desk.clock.now()).await?);
                    Ok(())
                }
                What::Statement { file } => statement(&desk, &file).await,
            }
        })
    }
}

fn funded(funding: &Funding) {
    println!("{} of {} is {}", funding.id, funding.amount, funding.approval.state.name());
}

/// Who works at the command line.
const BY: &str = "operator/local";

async fn trial_balance(desk: &Desk, at: Option<jiff::Timestamp>, csv: bool) -> Result<()> {
    let at = at.map_or_else(|| desk.clock.now(), |at| Timestamp::from_unix_ms(at.as_millisecond()));
    let totals = desk.trial_balance(at).await?;
    print!("{}", if csv { trial::csv(at, &totals) } else { trial::table(at, &totals) });
    Ok(())
}

async fn settlement(desk: &Desk, file: &Path) -> Result<()> {
    let imported = desk.import(file, BY).await?;
    let of = &imported.settlement;
    println!(
        "{} of {}: {} lines, {} less {} of fees; it counts on {}",
        of.header.acquirer, of.header.date, of.lines, of.sum, of.fees, imported.counts_on
    );
    Ok(())
}

async fn close(desk: &Desk, day: Date, closing: Closing) -> Result<()> {
    let before = desk.store.closed_day(day).await?.is_some();
    let close = desk.close(day, &closing).await?;
    if before {
        println!("{day} was closed before; it stays as it was");
    }
    print!("{}", totals(day, &close.totals));
    for reason in &close.forced {
        println!("closed although {reason}");
    }
    println!("closed by {} at {}", close.by, crate::audit_report::moment(close.closed_at));
    println!("{}", written(desk, day, &close.files));
    Ok(())
}

async fn days(desk: &Desk) -> Result<()> {
    for close in desk.store.closed_days(400).await? {
        let (at, differences) = (crate::audit_report::moment(close.closed_at), close.totals.differences_count());
        println!("{}  {} taps, {differences} differences, closed {at} by {}", close.day, close.totals.taps, close.by);
    }
    Ok(())
}

async fn statement(desk: &Desk, file: &Path) -> Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
    let found = desk.statement(&file.display().to_string(), &bytes).await?;
    let mut open = 0;
    for matched in &found {
        match matched {
            Matched::Both { entry, reference, amount } => println!("good      {amount:>16}  {entry}  {reference}"),
            Matched::OnlyBank { line, next_action } => {
                open += 1;
                println!("bank only {:>16}  {} {}\n          {next_action}", line.amount, line.booked, line.reference);
            }
            Matched::OnlyBooks { expected, next_action } => {
                open += 1;
                println!("books only{:>16}  {}\n          {next_action}", expected.amount, expected.entry);
            }
            Matched::AmountDiffers { expected, line, next_action } => {
                open += 1;
                println!(
                    "differs   {:>16}  {} has {}\n          {next_action}",
                    line.amount, expected.entry, expected.amount
                );
            }
        }
    }
    if open > 0 {
        bail!("{open} of {} movements do not agree", found.len());
    }
    Ok(())
}

/// What a day comes to, for people.
fn totals(day: Date, totals: &DayTotals) -> String {
    use std::fmt::Write as _;
    let amount = |minor: i64| trial::amount(i128::from(minor), totals.currency);
    let mut text = format!("{day}, amounts in {}\n", totals.currency);
    let counted = [("riders", totals.riders), ("taps", totals.taps), ("of them waiting", totals.taps_open)];
    for (name, count) in counted {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<20}{count:>12}");
    }
    for (name, sum) in [
        ("rides", totals.rides),
        ("items", totals.items),
        ("bills", totals.bills),
        ("captured", totals.captured),
        ("from wallets", totals.from_wallets),
        ("debts", totals.debts),
        ("outcome unknown", totals.waiting),
        ("settled", totals.settled),
        ("fees", totals.fees),
    ] {
        let _ = writeln!(text, "  {name:<20}{:>12}{:>18}", sum.count, amount(sum.minor));
    }
    let _ = writeln!(text, "  {:<20}{:>12}", "differences", totals.differences_count());
    for (kind, sum) in &totals.differences {
        let _ =
            writeln!(text, "    {:<24}{:>6}{:>18}  {}", kind.name(), sum.count, amount(sum.minor), kind.next_action());
    }
    text
}

fn written(desk: &Desk, day: Date, files: &[WrittenFile]) -> String {
    let folder = desk.matcher().folder(day);
    let line = |file: &WrittenFile| format!("{}  {}", file.sha256, folder.join(&file.name).display());
    files.iter().map(line).collect::<Vec<_>>().join("\n")
}
