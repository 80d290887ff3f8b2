//! What a CA has issued and taken back: `issued.jsonl` beside it, one certificate a line, and `crl.pem` made of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use facegate_domain::clock::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use super::{CaError, CertificateAuthority, Certified, IssuedIdentity, Revocation, write};
use crate::identity::PeerIdentity;

/// How long a revocation list counts as fresh; an older one still counts, and is warned of.
pub const LIST_VALIDITY: Duration = Duration::from_secs(30 * 24 * 3600);

/// A certificate that was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    pub serial: String,
    /// `role/id`.
    pub device: String,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// The folder of a CA, with what it has issued.
#[derive(Debug)]
pub struct CaFolder {
    dir: PathBuf,
    authority: CertificateAuthority,
    issued: Vec<Issued>,
}

impl CaFolder {
    /// A new CA in `dir`, with an empty revocation list.
    ///
    /// Errors: `Exists`, since another CA would cut off every device.
    pub fn create(dir: &Path, name: &str, validity: Duration, clock: &dyn Clock) -> Result<Self, CaError> {
        let key = dir.join("ca-key.pem");
        if key.exists() {
            return Err(CaError::Exists { path: key });
        }
        let authority = CertificateAuthority::create(name, validity, clock)?;
        authority.save(dir)?;
        let folder = Self { dir: dir.to_owned(), authority, issued: Vec::new() };
        folder.save(clock)?;
        Ok(folder)
    }

    pub fn open(dir: &Path) -> Result<Self, CaError> {
        let authority = CertificateAuthority::load(dir)?;
        let path = dir.join("issued.jsonl");
        let issued = match std::fs::read_to_string(&path) {
            Ok(text) => parse(&text).map_err(|line| CaError::Register { path, line })?,
            // A CA from before it kept one.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(source) => return Err(CaError::File { path, source }),
        };
        Ok(Self { dir: dir.to_owned(), authority, issued })
    }

    pub fn issued(&self) -> &[Issued] {
        &self.issued
    }

    pub fn list_path(&self) -> PathBuf {
        self.dir.join("crl.pem")
    }

    /// Certifies a device; the certificate is in the register before anybody holds it.
    pub fn issue(
        &mut self,
        device: &PeerIdentity,
        hosts: &[&str],
        validity: Duration,
        clock: &dyn Clock,
    ) -> Result<IssuedIdentity, CaError> {
        let identity = self.authority.issue(device, hosts, validity, clock)?;
        let (serial, expires_at) = (identity.serial.clone(), identity.expires_at);
        self.issued.push(Issued { serial, device: device.to_string(), expires_at, revoked_at: None });
        self.save(clock)?;
        Ok(identity)
    }

    /// Certifies the key of a signing request; the certificate is in the register before anybody holds it.
    pub fn certify(
        &mut self,
        request: &[u8],
        device: &PeerIdentity,
        validity: Duration,
        clock: &dyn Clock,
    ) -> Result<Certified, CaError> {
        let certified = self.authority.certify(request, device, validity, clock)?;
        let (serial, expires_at) = (certified.serial.clone(), certified.expires_at);
        self.issued.push(Issued { serial, device: device.to_string(), expires_at, revoked_at: None });
        self.save(clock)?;
        Ok(certified)
    }

    /// Takes back every certificate that counts of a device (`gate/east-3`), or the one with that serial number, and
    /// writes the new list. Gives what was taken back.
    ///
    /// Errors: `NotIssued` if none fits that is neither expired nor revoked.
    pub fn revoke(&mut self, what: &str, clock: &dyn Clock) -> Result<Vec<Issued>, CaError> {
        let now = clock.now();
        let mut revoked = Vec::new();
        let fits = |issued: &Issued| issued.serial.eq_ignore_ascii_case(what) || issued.device == what;
        for issued in self.issued.iter_mut().filter(|issued| fits(issued)) {
            if issued.revoked_at.is_none() && issued.expires_at > now {
                issued.revoked_at = Some(now);
                revoked.push(issued.clone());
            }
        }
        if revoked.is_empty() {
            return Err(CaError::NotIssued(what.to_owned()));
        }
        self.save(clock)?;
        Ok(revoked)
    }

    /// Writes register and list; expired certificates leave both, since nobody accepts them anyway.
    fn save(&self, clock: &dyn Clock) -> Result<(), CaError> {
        let now = clock.now();
        let counts = self.issued.iter().filter(|issued| issued.expires_at > now);
        let mut text = String::new();
        for issued in counts.clone() {
            let line = serde_json::to_string(issued)
                .map_err(|error| CaError::File { path: self.dir.join("issued.jsonl"), source: error.into() })?;
            text.push_str(&line);
            text.push('\n');
        }
        write(&self.dir.join("issued.jsonl"), text.as_bytes(), 0o600)?;
        let revoked =
            counts.filter_map(|issued| Some(Revocation { serial: issued.serial.clone(), at: issued.revoked_at? }));
        // Numbered by the time, which rises.
        let number = u64::try_from(now.unix_ms()).unwrap_or(0);
        let list = self.authority.revocation_list(&revoked.collect::<Vec<_>>(), number, LIST_VALIDITY, clock)?;
        write(&self.list_path(), list.as_bytes(), 0o644)
    }

    /// Writes a fresh list of the same content.
    pub fn renew_list(&self, clock: &dyn Clock) -> Result<(), CaError> {
        self.save(clock)
    }
}

/// Errors with the number of the line.
fn parse(text: &str) -> Result<Vec<Issued>, usize> {
    text.lines().zip(1..).map(|(line, number)| serde_json::from_str(line).map_err(|_| number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::identity::Role;
    use crate::identity::ca::{CA_VALIDITY, DEVICE_VALIDITY};

    #[test]
    fn what_was_issued_is_listed_and_can_be_taken_back_by_name_or_number_once() {
        let (dir, clock) = (tempfile::tempdir().unwrap(), SystemClock::new());
        let mut ca = CaFolder::create(dir.path(), "Operator", CA_VALIDITY, &clock).unwrap();
        assert!(matches!(CaFolder::create(dir.path(), "Other", CA_VALIDITY, &clock), Err(CaError::Exists { .. })));
        let gate = PeerIdentity::new(Role::Gate, "g1").unwrap();
        let first = ca.issue(&gate, &[], DEVICE_VALIDITY, &clock).unwrap();
        let second = ca.issue(&gate, &[], DEVICE_VALIDITY, &clock).unwrap();
        assert_ne!(first.serial, second.serial);

        let mut ca = CaFolder::open(dir.path()).unwrap();
        let by_number = ca.revoke(&first.serial.to_uppercase(), &clock).unwrap();
        assert_eq!(by_number.iter().map(|issued| &issued.serial).collect::<Vec<_>>(), [&first.serial]);
        let by_name = ca.revoke("gate/g1", &clock).unwrap();
        assert_eq!(by_name.iter().map(|issued| &issued.serial).collect::<Vec<_>>(), [&second.serial]);
        assert!(matches!(ca.revoke("gate/g1", &clock), Err(CaError::NotIssued(_))));
        assert!(CaFolder::open(dir.path()).unwrap().issued().iter().all(|issued| issued.revoked_at.is_some()));

        std::fs::write(dir.path().join("issued.jsonl"), "{}\n").unwrap();
        assert!(matches!(CaFolder::open(dir.path()), Err(CaError::Register { line: 1, .. })));
    }
}
