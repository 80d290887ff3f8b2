//! Where finance's tables go, and who is paid.

use std::path::{Path, PathBuf};

use facegate_domain::money::BasisPoints;
use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::books::BooksConfig;
use crate::books::payment::{Party, Payees};

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawBooks {
    pub dir: Option<PathBuf>,
    pub inbox_every_s: Option<u64>,
    pub payer: Option<RawParty>,
    pub payees: Vec<RawPayee>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawParty {
    pub name: String,
    pub account: String,
    pub bic: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPayee {
    pub name: String,
    pub account: String,
    pub bic: String,
    pub share_basis_points: u32,
}

impl RawBooks {
    /// In `beside` where the section does not say.
    pub fn check(self, path: &str, beside: &Path, problems: &mut Problems) -> Option<BooksConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let every = self.inbox_every_s.unwrap_or(60);
        let inbox_every = problems.duration_s(&at("inbox_every_s"), every, 1..=86_400);
        let payees = match (self.payer, self.payees.is_empty()) {
            (None, true) => Some(None),
            (Some(payer), false) => payees(&at("payees"), payer, self.payees, problems).map(Some),
            (None, false) => {
                problems.add(at("payer"), "is missing: say whose account the payees are paid from");
                None
            }
            (Some(_), true) => {
                problems.add(at("payees"), "is missing: say whom the payer pays, with shares that come to 10000");
                None
            }
        };
        Some(BooksConfig {
            dir: self.dir.unwrap_or_else(|| beside.join("books")),
            inbox_every: inbox_every?,
            payees: payees?,
        })
    }
}

fn payees(path: &str, payer: RawParty, raw: Vec<RawPayee>, problems: &mut Problems) -> Option<Payees> {
    let payer = problems.check("books.payer", Party::new(payer.name, &payer.account, &payer.bic));
    let mut payees = Vec::new();
    let mut fine = true;
    let mut whole = 0_u64;
    for (number, payee) in raw.into_iter().enumerate() {
        whole += u64::from(payee.share_basis_points);
        let party = Party::new(payee.name, &payee.account, &payee.bic);
        match problems.check(&format!("{path}[{number}]"), party) {
            Some(party) => payees.push((party, BasisPoints::new(payee.share_basis_points))),
            None => fine = false,
        }
    }
    if whole != 10_000 {
        problems.add(path, format!("the shares come to {whole} basis points, and not to the whole, 10000"));
        fine = false;
    }
    fine.then_some(Payees { payer: payer?, payees })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn check(text: &str) -> Result<BooksConfig, String> {
        let raw: RawBooks = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut problems = Problems::new();
        let checked = raw.check("books", Path::new("/d"), &mut problems);
        problems.into_result(checked).map_err(|problems| problems.to_string())
    }

    #[test]
    fn payees_have_shares_of_the_whole_and_accounts_that_banks_know() {
        let payer = "payer = { name = \"Metro\", account = \"DE89370400440532013000\", bic = \"COBADEFFXXX\" }\n";
        let payee = |share: u32| {
            format!(
                "[[payees]]\nname = \"Line 1\"\naccount = \"6222021234567890\"\nbic = \"ICBKCNBJ\"\nshare_basis_points = {share}\n"
            )
        };
        let both = check(&format!("{payer}{}{}", payee(2_500), payee(7_500))).unwrap();
        assert_eq!(both.payees.unwrap().payees.len(), 2);
        assert_eq!(
            check("").unwrap(),
            BooksConfig { dir: "/d/books".into(), inbox_every: Duration::from_secs(60), payees: None }
        );
        assert!(check(&format!("{payer}{}", payee(9_999))).unwrap_err().contains("9999"));
        assert!(check(&payee(10_000)).unwrap_err().contains("payer"));
        assert!(check(payer).unwrap_err().contains("payees"));
        let wrong = payer.replace("DE89", "DE88");
        assert!(check(&format!("{wrong}{}", payee(10_000))).unwrap_err().contains("check digits"));
        assert!(check("folder = \"x\"").unwrap_err().contains("folder"));
    }
}
