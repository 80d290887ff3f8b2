//! `ca`: the operator's certificate authority, for operators who have no PKI of their own.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use facegate_domain::Clock;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::ca::{CA_VALIDITY, CaFolder};
use facegate_runtime::identity::{PeerIdentity, Role};

const DAY: Duration = Duration::from_secs(86_400);

/// What `ca --help` teaches.
pub const HELP: &str = "\
DIR holds ca.pem and crl.pem (public: every device's [tls] ca and crl), ca-key.pem (whoever has it can pose as any device:
keep the folder off the servers) and issued.jsonl (what was issued, and revoked).

  facegate-cloud-sync ca --dir DIR create 'Metro operator'
  facegate-cloud-sync ca --dir DIR issue cloud main --host cloud.example --out /media/cloud
  facegate-cloud-sync ca --dir DIR issue gate east-3 --days 60 --out /media/east-3
  facegate-cloud-sync ca --dir DIR list
  facegate-cloud-sync ca --dir DIR revoke gate/east-3
  facegate-cloud-sync ca --dir DIR renew-list

To renew, issue again and replace the files: every process reads its files again within seconds, without a restart, and
warns from seven days before its certificate ends (metric facegate_certificate_expires_seconds). Let certificates outlive
the longest outage that a station must survive alone.

To revoke, distribute the new crl.pem: a process that reads it refuses the device in handshakes at once, answers calls on
connections from before with PERMISSION_DENIED, and closes those within seconds. A list is fresh for 30 days; an older
one still counts and is warned of.";

#[derive(Debug, clap::Args)]
pub struct Ca {
    /// The folder of the CA.
    #[arg(long)]
    dir: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Makes a new CA; refuses where there is one.
    Create {
        /// The operator's name, as certificates show it.
        name: String,
    },
    /// Certifies a device and writes its key, certificate and the CA's.
    Issue {
        /// gate, camera, station, cloud, integrator, acquirer, operator or monitor.
        role: Role,
        /// The device's own name, as in its config.
        id: String,
        /// A host name or address that it serves under, besides localhost; may be given again.
        #[arg(long = "host")]
        hosts: Vec<String>,
        /// How long the certificate counts.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=825))]
        days: u32,
        /// Where the files go.
        #[arg(long)]
        out: PathBuf,
    },
    /// Takes back a certificate by serial number, or all of a device (`gate/east-3`), and writes crl.pem.
    Revoke {
        /// A serial number as `list` shows it, or ROLE/ID.
        what: String,
    },
    /// Shows what was issued and counts: serial number, device, days left, whether revoked.
    List,
    /// Writes crl.pem anew, which makes it fresh for another 30 days.
    RenewList,
}

impl Ca {
    pub fn run(&self) -> anyhow::Result<()> {
        let clock = SystemClock::new();
        match &self.command {
            Command::Create { name } => {
                CaFolder::create(&self.dir, name, CA_VALIDITY, &clock)?;
                println!("{} is the CA now; keep ca-key.pem off the servers", self.dir.display());
            }
            Command::Issue { role, id, hosts, days, out } => {
                let device = PeerIdentity::new(*role, id)?;
                let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
                ensure!(role.serves() || hosts.is_empty(), "a {role} serves nothing, so it needs no --host");
                let issued = CaFolder::open(&self.dir)?.issue(&device, &hosts, DAY * *days, &clock)?;
                let paths = issued.save(out, &format!("{role}-{id}"))?;
                println!("{device}, {days} days, serial {}", issued.serial);
                println!(
                    "cert = \"{}\"\nkey  = \"{}\"\nca   = \"{}\"",
                    paths.cert.display(),
                    paths.key.display(),
                    paths.ca.display()
                );
            }
            Command::Revoke { what } => {
                let mut folder = CaFolder::open(&self.dir)?;
                for revoked in folder.revoke(what, &clock)? {
                    println!("revoked {} of {}", revoked.serial, revoked.device);
                }
                println!("now give every device the new {}", folder.list_path().display());
            }
            Command::List => {
                let now = clock.now();
                for issued in CaFolder::open(&self.dir)?.issued() {
                    let days = issued.expires_at.since(now).as_secs() / DAY.as_secs();
                    let state = if issued.revoked_at.is_some() { "revoked" } else { "counts" };
                    println!("{}  {:<24} {days:>4} days  {state}", issued.serial, issued.device);
                }
            }
            Command::RenewList => {
                let folder = CaFolder::open(&self.dir)?;
                folder.renew_list(&clock)?;
                println!("now give every device the new {}", folder.list_path().display());
            }
        }
        Ok(())
    }
}
