//! The operator's certificate authority: makes itself, issues devices and takes certificates back. Behind
//! `facegate-cloud-sync ca`, the demo and the tests; an operator with a CA of his own needs only the name
//! `facegate://<role>/<id>` in what he issues.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use facegate_domain::clock::{Clock, Timestamp};
use rand::RngCore;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::{PeerIdentity, TlsPaths};

mod register;

pub use register::{CaFolder, Issued, LIST_VALIDITY};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A device renews well before this.
pub const DEVICE_VALIDITY: Duration = Duration::from_secs(30 * DAY.as_secs());
pub const CA_VALIDITY: Duration = Duration::from_secs(3650 * DAY.as_secs());
/// Certificates are valid from a little before now, for peers whose clocks run behind.
const BACKDATED: Duration = Duration::from_secs(300);

#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("making a certificate failed: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is there already; a CA that replaces another cuts off every device it issued", path.display())]
    Exists { path: PathBuf },
    #[error("line {line} of {} is not a certificate's entry; restore the file from a backup", path.display())]
    Register { path: PathBuf, line: usize },
    #[error("no certificate that could be revoked fits `{0}`; `ca list` shows them")]
    NotIssued(String),
}

/// Holds the CA's private key; `Debug` does not show it.
pub struct CertificateAuthority {
    issuer: Issuer<'static, KeyPair>,
    cert_pem: String,
    key_pem: Zeroizing<String>,
}

/// What a device gets: PEM texts, to be written with [`IssuedIdentity::save`].
pub struct IssuedIdentity {
    pub cert_pem: String,
    pub key_pem: Zeroizing<String>,
    pub ca_pem: String,
    /// Hexadecimal, as the register and the revocation lists have it.
    pub serial: String,
    pub expires_at: Timestamp,
}

/// A certificate (PEM) for a key that its holder keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    pub cert_pem: String,
    pub serial: String,
    pub expires_at: Timestamp,
}

/// A certificate taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub serial: String,
    pub at: Timestamp,
}

impl CertificateAuthority {
    /// A new CA with a key of its own, valid for `validity` (usually [`CA_VALIDITY`]).
    pub fn create(name: &str, validity: Duration, clock: &dyn Clock) -> Result<Self, CaError> {
        let mut params = params(name, validity, clock)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let cert_pem = params.self_signed(&key)?.pem();
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok(Self { issuer: Issuer::new(params, key), cert_pem, key_pem })
    }

    /// The CA that [`CertificateAuthority::save`] left in `dir`.
    pub fn load(dir: &Path) -> Result<Self, CaError> {
        let read = |path: PathBuf| std::fs::read_to_string(&path).map_err(|source| CaError::File { path, source });
        let cert_pem = read(dir.join("ca.pem"))?;
        let key_pem = Zeroizing::new(read(dir.join("ca-key.pem"))?);
        let issuer = Issuer::from_ca_cert_pem(&cert_pem, KeyPair::from_pem(&key_pem)?)?;
        Ok(Self { issuer, cert_pem, key_pem })
    }

    /// Writes `ca.pem` and, readable by the owner alone, `ca-key.pem`.
    pub fn save(&self, dir: &Path) -> Result<(), CaError> {
        write(&dir.join("ca.pem"), self.cert_pem.as_bytes(), 0o644)?;
        write(&dir.join("ca-key.pem"), self.key_pem.as_bytes(), 0o600)
    }

    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Certifies `device` for `validity` (usually [`DEVICE_VALIDITY`]). `hosts` are the names and IP addresses it
    /// serves under besides `localhost` and the loopback addresses, which a serving role always gets.
    pub fn issue(
        &self,
        device: &PeerIdentity,
        hosts: &[&str],
        validity: Duration,
        clock: &dyn Clock,
    ) -> Result<IssuedIdentity, CaError> {
        let hosts = ["localhost", "127.0.0.1", "::1"].iter().chain(hosts).map(|host| {
            Ok(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*host).try_into()?),
            })
        });
        let hosts = hosts.collect::<Result<Vec<_>, rcgen::Error>>()?;
        let key = KeyPair::generate()?;
        let Certified { cert_pem, serial, expires_at } = self.sign(device, hosts, &key, validity, clock)?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        Ok(IssuedIdentity { cert_pem, key_pem, ca_pem: self.cert_pem.clone(), serial, expires_at })
    }

    /// Certifies the key of a signing request (PKCS #10, DER) for `device`, with the hosts that the request names; of who
    /// it says it is nothing is taken.
    pub fn certify(
        &self,
        request: &[u8],
        device: &PeerIdentity,
        validity: Duration,
        clock: &dyn Clock,
    ) -> Result<Certified, CaError> {
        let request = CertificateSigningRequestParams::from_der(&request.into())?;
        let host = |name: &SanType| matches!(name, SanType::DnsName(_) | SanType::IpAddress(_));
        let hosts = request.params.subject_alt_names.into_iter().filter(host).collect();
        self.sign(device, hosts, &request.public_key, validity, clock)
    }

    fn sign(
        &self,
        device: &PeerIdentity,
        hosts: Vec<SanType>,
        key: &impl PublicKeyData,
        validity: Duration,
        clock: &dyn Clock,
    ) -> Result<Certified, CaError> {
        let mut params = params(&device.to_string(), validity, clock)?;
        params.subject_alt_names = vec![SanType::URI(device.uri().try_into()?)];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        if device.role.serves() {
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
            params.subject_alt_names.extend(hosts);
        }
        let mut serial = [0; 16];
        rand::rng().fill_bytes(&mut serial);
        // A serial number is positive, and its first byte no zero that one form of it would drop.
        serial[0] = serial[0] & 0x3F | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let cert_pem = params.signed_by(key, &self.issuer)?.pem();
        Ok(Certified { cert_pem, serial: hex(&serial), expires_at: clock.now().plus(validity) })
    }

    /// The list of what was taken back, PEM, numbered upwards and due again after `validity`.
    pub fn revocation_list(
        &self,
        revocations: &[Revocation],
        number: u64,
        validity: Duration,
        clock: &dyn Clock,
    ) -> Result<String, CaError> {
        let revoked = revocations.iter().map(|revocation| RevokedCertParams {
            serial_number: SerialNumber::from(unhex(&revocation.serial)),
            revocation_time: date(revocation.at),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date(clock.now().minus(BACKDATED)),
            next_update: date(clock.now().plus(validity)),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }
}

impl IssuedIdentity {
    /// Writes `<name>.pem`, `<name>-key.pem` (owner alone) and `ca.pem` into `dir`, which is made if need be.
    pub fn save(&self, dir: &Path, name: &str) -> Result<TlsPaths, CaError> {
        let paths = TlsPaths {
            cert: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}-key.pem")),
            ca: dir.join("ca.pem"),
            crl: None,
        };
        write(&paths.cert, self.cert_pem.as_bytes(), 0o644)?;
        write(&paths.key, self.key_pem.as_bytes(), 0o600)?;
        write(&paths.ca, self.ca_pem.as_bytes(), 0o644)?;
        Ok(paths)
    }
}

fn params(name: &str, validity: Duration, clock: &dyn Clock) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date(clock.now().minus(BACKDATED));
    params.not_after = date(clock.now().plus(validity));
    Ok(params)
}

/// As certificates write it, to the second.
fn date(at: Timestamp) -> OffsetDateTime {
    date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(at.unix_s()).unwrap_or(0))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is no hexadecimal digit counts as none.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).filter_map(|d| u8::try_from(d).ok()).collect();
    digits.rchunks(2).rev().map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}

/// Replaces the file in one step, so that a reader never sees half a certificate.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CaError> {
    let replace = || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let fresh = path.with_extension("pem.new");
        // A leftover of an interrupted run may have another mode; the file must be made anew to get ours.
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&fresh)?.write_all(bytes)?;
        std::fs::rename(&fresh, path)
    };
    replace().map_err(|source| CaError::File { path: path.to_owned(), source })
}

impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateAuthority(key hidden)")
    }
}

impl fmt::Debug for IssuedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuedIdentity(key hidden)")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::clock::SystemClock;
    use crate::identity::{DeviceIdentity, IdentityError, Role};

    #[test]
    fn a_saved_ca_issues_identities_that_load_and_keys_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        CertificateAuthority::create("Test operator", CA_VALIDITY, &clock).unwrap().save(dir.path()).unwrap();
        let ca = CertificateAuthority::load(dir.path()).unwrap();
        let device = PeerIdentity::new(Role::Station, "s1").unwrap();
        let issued = ca.issue(&device, &["station.example"], DEVICE_VALIDITY, &clock).unwrap();
        let paths = issued.save(dir.path(), "s1").unwrap();

        assert_eq!(DeviceIdentity::load(&paths).unwrap().name(), &device);
        for key in ["ca-key.pem", "s1-key.pem"] {
            let mode = std::fs::metadata(dir.path().join(key)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{key}");
        }
        assert_eq!(format!("{ca:?}{issued:?}"), "CertificateAuthority(key hidden)IssuedIdentity(key hidden)");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let clock = SystemClock::new();
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &clock).unwrap();
        let issue = |id: &str| {
            let device = PeerIdentity::new(Role::Gate, id).unwrap();
            ca.issue(&device, &[], DEVICE_VALIDITY, &clock).unwrap().save(dir.path(), id).unwrap()
        };
        let (a, b) = (issue("a"), issue("b"));
        let mixed = DeviceIdentity::load(&TlsPaths { key: b.key, ..a });
        assert!(matches!(mixed, Err(IdentityError::Tls(_))), "{mixed:?}");
    }

    #[test]
    fn the_ca_itself_is_not_a_device() {
        let dir = tempfile::tempdir().unwrap();
        let ca = CertificateAuthority::create("Test operator", CA_VALIDITY, &SystemClock::new()).unwrap();
        ca.save(dir.path()).unwrap();
        let file = |name: &str| dir.path().join(name);
        let paths = TlsPaths { cert: file("ca.pem"), key: file("ca-key.pem"), ca: file("ca.pem"), crl: None };
        assert!(matches!(DeviceIdentity::load(&paths), Err(IdentityError::NotADevice { .. })));
    }
}
