//! A throw-away operator's CA and the identities it issues.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::ca::{CA_VALIDITY, CertificateAuthority, DEVICE_VALIDITY};
use facegate_runtime::identity::{DeviceIdentity, PeerIdentity, Role, TlsPaths};

/// Issues identities into one folder.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
    authority: CertificateAuthority,
    /// Addresses that servers are reached at, besides loopback.
    hosts: Vec<String>,
    clock: SystemClock,
}

impl Certificates {
    /// A new CA in `folder`; nothing outside the folder trusts it. Its servers are reached at `hosts` and on loopback.
    pub fn make(folder: &Path, hosts: &[IpAddr]) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let clock = SystemClock::new();
        let authority = CertificateAuthority::create("Facegate throw-away CA", CA_VALIDITY, &clock)?;
        authority.save(folder)?;
        let hosts = hosts.iter().filter(|host| !host.is_loopback()).map(ToString::to_string).collect();
        Ok(Self { folder: folder.to_owned(), authority, hosts, clock })
    }

    /// Issues an identity and writes its files.
    pub fn issue(&self, role: Role, id: &str) -> Result<TlsPaths> {
        let device = PeerIdentity::new(role, id)?;
        let hosts: Vec<&str> = self.hosts.iter().map(String::as_str).collect();
        let issued = self.authority.issue(&device, &hosts, DEVICE_VALIDITY, &self.clock)?;
        Ok(issued.save(&self.folder, &format!("{role}-{id}"))?)
    }

    /// Issues an identity and loads it into this process.
    pub fn identity(&self, role: Role, id: &str) -> Result<DeviceIdentity> {
        Ok(DeviceIdentity::load(&self.issue(role, id)?)?)
    }

    /// The CA's certificate, which apps and browsers trust.
    pub fn ca(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }
}
